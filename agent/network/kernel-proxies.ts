import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { exec } from '../kit/exec.ts';
import { hasIp6, readSetting } from './kernel-setting.ts';
import type { RouterPart } from './router-part.ts';
import { composeProxies, type WantedProxy } from './shared-subnets.ts';
import { standingLinks } from './standing-links.ts';

const LIMIT_MS = 10_000;
const observed = z.array(z.object({ dst: z.string(), dev: z.string() }));

/** Makes the router answer for guests of one subnet where it should, and nowhere else. @returns whether it did not. */
export async function applyProxies(part: RouterPart): Promise<boolean> {
  const wanted = composeProxies(part);
  const changes = await Promise.all(wanted.flatMap(settingsOf).map(([path, value]) => change(path, value)));
  const lines = await neighbourLines(wanted.filter(({ isOn }) => isOn));
  if (lines.length > 0)
    await exec('ip', ['-batch', '-'], {
      ...{ input: `${lines.join('\n')}\n`, wholeInput: true },
      timeoutMs: LIMIT_MS,
    });
  return lines.length > 0 || changes.includes(true);
}

function settingsOf({ bridge, isOn }: WantedProxy): readonly (readonly [path: string, value: string])[] {
  const of = (family: string, name: string) => `/proc/sys/net/${family}/conf/${bridge}/${name}`;
  const value = isOn ? '1' : '0';
  return [
    [of('ipv4', 'proxy_arp'), value],
    // Also for those behind the same bridge.
    [of('ipv4', 'proxy_arp_pvlan'), value],
    [of('ipv6', 'proxy_ndp'), value],
    // Of its own it waits for most of a second before it answers for others.
    ...(isOn ? ['ipv4', 'ipv6'] : []).map(
      (family) => [`/proc/sys/net/${family}/neigh/${bridge}/proxy_delay`, '0'] as const,
    ),
  ];
}

/** A bridge that is not there yet, or a kernel without IPv6, has no such setting. */
async function change(path: string, value: string): Promise<boolean> {
  const text = await readSetting(path);
  if (text === null || text.trim() === value) return false;
  await writeFile(path, value);
  return true;
}

async function neighbourLines(wanted: readonly WantedProxy[]): Promise<readonly string[]> {
  if (wanted.length === 0 || !(await hasIp6())) return [];
  const all = observed.parse(await standingLinks.proxies());
  const lines = await Promise.all(
    wanted.map(async ({ bridge, addresses6 }) => {
      if ((await readSetting(`/proc/sys/net/ipv6/conf/${bridge}/proxy_ndp`)) === null) return [];
      const present = all.filter(({ dev }) => dev === bridge).map(({ dst }) => dst);
      return [
        ...present
          .filter((address) => !addresses6.includes(address))
          .map((address) => `neigh delete proxy ${address} dev ${bridge}`),
        ...addresses6
          .filter((address) => !present.includes(address))
          .map((address) => `neigh replace proxy ${address} dev ${bridge}`),
      ];
    }),
  );
  return lines.flat();
}
