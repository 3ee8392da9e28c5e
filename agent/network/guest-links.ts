import { z } from 'zod';
import { exec } from '../kit/exec.ts';
import { bridgeNic, isBridgeOf, isMeshOf, isTapOf } from './names.ts';

const LIMIT_MS = 10_000;

const links = z.array(z.object({ ifname: z.string(), master: z.string().optional() }));
type Link = z.infer<typeof links>[number];

/** Whether interfaces of the fleet's guests are here: they may outlive what the goal knows of. What cannot be read has some. */
export async function hasGuestLinks(fleet: string): Promise<boolean> {
  const read = exec('ip', ['-json', 'link', 'show'], { timeoutMs: LIMIT_MS });
  return read.then(({ stdout }) => areGuestsAmong(fleet, links.parse(JSON.parse(stdout)))).catch(() => true);
}

/** An older agent's guests are known by the bridge that they are on alone. An empty bridge has nobody, whoever made it. */
export const areGuestsAmong = (fleet: string, all: readonly Link[]): boolean =>
  all.some(
    ({ ifname, master }) =>
      isTapOf(fleet, ifname) ||
      (master !== undefined && isBridgeOf(fleet, master) && !isHostsOwn(fleet, master, ifname)),
  );

const isHostsOwn = (fleet: string, bridge: string, port: string): boolean =>
  isMeshOf(fleet, port) || port === bridgeNic(bridge);
