import { z } from 'zod';
import { exec } from '../kit/exec.ts';
import { fleetPrefix } from './names.ts';

const LIMIT_MS = 10_000;
const ports = z.array(z.object({ ifname: z.string() }));

/**
 * Whether all that is on a bridge is put back when the bridge is made anew: interfaces of guests have names of ours, by which they are known,
 * but for those of guests that an older agent has started.
 */
export async function areOurs(fleet: string, bridge: string): Promise<boolean> {
  const { stdout } = await exec('ip', ['-json', 'link', 'show', 'master', bridge], { timeoutMs: LIMIT_MS });
  return ports.parse(JSON.parse(stdout || '[]')).every(({ ifname }) => isOurs(fleet, bridge, ifname));
}

/** libvirt has kept an interface of its own on a bridge, for the bridge's hardware address. */
const isOurs = (fleet: string, bridge: string, port: string): boolean =>
  new RegExp(`^w[tv]${fleetPrefix(fleet)}-`).test(port) || port === `${bridge}-nic`;
