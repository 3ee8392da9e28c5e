import { createHash } from 'node:crypto';
import { fleetPrefix } from '../network/names.ts';
import type { NetworkGoal } from '../protocol/index.ts';

/** libvirt's name of a VM. One name a VM, whatever its incarnation: a host can never run two of them. */
export const domainName = (fleet: string, vmId: string) =>
  `weft-${fleetPrefix(fleet)}-${vmId.replace('/', '-')}-${shortHash(vmId)}`;

/** `a-b/c` and `a/b-c` must not meet. */
const shortHash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 6);

export const networkName = (fleet: string, network: Pick<NetworkGoal, 'number'>) =>
  `weft-${fleetPrefix(fleet)}-${network.number}`;

/** A UUID (version 8 of RFC 9562) made from fleet and VM: libvirt keeps one domain a UUID. */
export const domainUuid = (fleet: string, vmId: string) => uuidOf(`${fleet}\n${vmId}`);

/** Before the names of all our secrets. */
export const secretPrefix = (fleet: string) => `weft-${fleetPrefix(fleet)}-`;

/** libvirt's secret with the key to a pool of Ceph's. */
export const poolSecret = (fleet: string, pool: string) => ({
  uuid: uuidOf(`${fleet}\nsecret\n${pool}`),
  name: `${secretPrefix(fleet)}${pool}`,
});

function uuidOf(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
