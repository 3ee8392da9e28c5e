import { z } from 'zod';
import { exec } from '../kit/exec.ts';
import type { Bridge, HostLinks } from './contract.ts';
import { hasGuestLinks } from './guest-links.ts';
import { FAMILIES } from './ruleset.ts';

const LIMIT_MS = 10_000;

const links = z.array(
  z.object({
    ifname: z.string(),
    master: z.string().optional(),
    linkinfo: z.object({ info_kind: z.string().optional() }).optional(),
  }),
);
const tables = z.object({
  nftables: z.array(z.object({ table: z.object({ family: z.string(), name: z.string() }).optional() })),
});

/** The kernel's own word, by `ip` and `nft`. */
export class KernelLinks implements HostLinks {
  async bridges(): Promise<readonly Bridge[]> {
    const { stdout } = await exec('ip', ['-json', '-details', 'link', 'show'], { timeoutMs: LIMIT_MS });
    const all = links.parse(JSON.parse(stdout));
    return all
      .filter(({ linkinfo }) => linkinfo?.info_kind === 'bridge')
      .map(({ ifname }) => ({
        name: ifname,
        ports: all.filter(({ master }) => master === ifname).map((port) => port.ifname),
      }));
  }

  async tables(): Promise<readonly string[]> {
    const { stdout } = await exec('nft', ['-j', 'list', 'tables'], { timeoutMs: LIMIT_MS });
    const { nftables } = tables.parse(JSON.parse(stdout));
    const families: readonly string[] = FAMILIES;
    return [
      ...new Set(
        nftables.flatMap(({ table }) => (table && families.includes(table.family) ? [table.name] : [])),
      ),
    ];
  }

  hasGuests(fleet: string): Promise<boolean> {
    return hasGuestLinks(fleet);
  }

  async removeBridge(name: string): Promise<void> {
    await exec('ip', ['link', 'delete', 'dev', name, 'type', 'bridge'], { timeoutMs: LIMIT_MS });
  }
}
