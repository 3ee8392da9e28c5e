import { readdir, writeFile } from 'node:fs/promises';
import { exec } from '../kit/exec.ts';
import { ensureSetting, readSetting } from './kernel-setting.ts';
import { observeLinks } from './links-observed.ts';
import { isNothing, planLinks } from './links-plan.ts';
import { composeLinks } from './links-wanted.ts';
import { fleetPrefix, isFleetsName } from './names.ts';
import { isRouting, type RouterPart } from './router-part.ts';

const LIMIT_MS = 30_000;
const IP6 = '/proc/sys/net/ipv6/conf';

export interface LinksApplied {
  /** Whether there was something to do. */
  readonly changed: boolean;
  /** Names of the bridges that should be there and are not: libvirt makes them. */
  readonly missing: readonly string[];
}

/**
 * Brings the kernel's links, addresses, routes and neighbours in line with a goal.
 * @param near addresses and prefixes that this host has to reach whatever the fleet has.
 * @throws WeftError `command-failed` with what the kernel refused; what was done until then stays, and the next call goes on from there.
 */
export async function applyLinks(
  part: RouterPart,
  near: readonly string[],
  isMaking: (bridge: string) => boolean = () => false,
): Promise<LinksApplied> {
  const wanted = composeLinks(part);
  const bridges = wanted.bridges.map(({ name }) => name);
  // Asked before the look: what stands by now may have been seen half made.
  const making = new Set(bridges.filter(isMaking));
  const observed = await observeLinks([...bridges, ...wanted.addresses.map(({ device }) => device)]);
  const found = new Set(observed.links.map(({ ifname }) => ifname));
  const missing = bridges.filter((name) => !found.has(name));
  const plan = planLinks(fleetPrefix(part.fleet), wanted, observed, near, making);
  if (isRouting(part)) await enableForwarding(observed.has6);
  if (isNothing(plan)) return { changed: false, missing };
  const failures: unknown[] = [];
  // What comes or goes in this very moment is one line; the others are done all the same.
  const all = (work: Promise<void>) => work.catch((error: unknown) => void failures.push(error));
  await all(batch('ip', plan.links));
  for (const device of plan.enable6) await all(enable6(device));
  await all(batch('ip', plan.addresses));
  await all(batch('bridge', plan.forwards));
  if (failures.length > 0) throw failures[0];
  return { changed: true, missing };
}

async function batch(program: string, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const input = `${lines.join('\n')}\n`;
  await exec(program, ['-force', '-batch', '-'], { input, wholeInput: true, timeoutMs: LIMIT_MS });
}

/** libvirt turns it off where a network has no IPv6 of its own making, and some hosts do wherever they are not asked to. */
async function enable6(device: string): Promise<void> {
  await ensureSetting(`${IP6}/${device}/accept_ra`, '0');
  await ensureSetting(`${IP6}/${device}/disable_ipv6`, '0');
}

/** What comes later, as guests' interfaces do, begins with what `default` says. */
const isOfHost = (device: string) => device !== 'default' && !isFleetsName(device);

async function enableForwarding(has6: boolean): Promise<void> {
  await ensureSetting('/proc/sys/net/ipv4/ip_forward', '1');
  if (!has6 || (await readSetting(`${IP6}/all/forwarding`)) === '1') return;
  // A router takes no routes from other routers, unless it is told to: this host goes on with those that it lives by.
  for (const device of (await readdir(IP6)).filter(isOfHost)) {
    const file = `${IP6}/${device}/accept_ra`;
    if ((await readSetting(file)) === '1') await writeFile(file, '2').catch(() => undefined);
  }
  await ensureSetting(`${IP6}/all/forwarding`, '1');
}
