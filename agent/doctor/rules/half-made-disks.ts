import type { Finding } from '../findings.ts';
import type { Rule } from '../world.ts';

/** Making an overlay takes a second, and a minute at the very most. */
export const HALF_MADE_MS = 600_000;

/**
 * What a crash leaves of a disk that was being made. In a pool that hosts share it may be another host's work, unless it is written beside
 * it that this host was the last to have that disk: who makes it writes that first.
 */
export const halfMadeDisks: Rule<Finding> = (world, nowMs) => {
  const used = new Set(world.domains.flatMap(({ files }) => files));
  return world.halfMade
    .filter(({ path, vmId, modifiedMs }) => {
      return nowMs - modifiedMs >= HALF_MADE_MS && !world.busy.has(vmId) && !used.has(path);
    })
    .map(({ pool, path, vmId, owner }) => ({
      kind: 'half-made-disk',
      subject: path,
      severity: 'note',
      message: `a disk of ${vmId} whose making was cut short`,
      ...(world.poolKinds[pool] === 'local' || owner === world.host
        ? { repair: { kind: 'remove-half-made', pool, path } }
        : { remedy: 'Remove it when no host of the fleet is making that disk.', repair: null }),
    }));
};
