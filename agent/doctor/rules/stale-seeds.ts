import type { Finding } from '../findings.ts';
import type { Rule } from '../world.ts';

/** Seeds of earlier incarnations. Those of VMs that no goal names go with their folder; a newer one than the goal's is no orphan. */
export const staleSeeds: Rule<Finding> = ({ goal, seeds, domains, busy }) => {
  if (goal === null) return [];
  const used = new Set(domains.flatMap(({ files }) => files));
  const incarnations = new Map(goal.vms.map((vm) => [vm.id, vm.incarnation]));
  return seeds
    .filter(({ path, vmId, incarnation }) => {
      return incarnation < (incarnations.get(vmId) ?? 0) && !used.has(path) && !busy.has(vmId);
    })
    .map(({ path, vmId, incarnation }) => ({
      kind: 'stale-seed',
      subject: path,
      severity: 'note',
      message: `seed of incarnation ${incarnation} of ${vmId}, which is at ${incarnations.get(vmId)}`,
      repair: { kind: 'remove-seed', vmId, incarnation, path },
    }));
};
