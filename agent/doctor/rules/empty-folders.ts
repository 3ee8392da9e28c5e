import type { Finding } from '../findings.ts';
import type { Rule } from '../world.ts';

/** Folders that a removal, or a making that was cut short, left with nothing in them. */
export const emptyFolders: Rule<Finding> = (world) => {
  const { goal } = world;
  if (goal === null) return [];
  const wanted = new Set([...goal.vms.map((vm) => vm.id), ...world.busy]);
  const isWanted = (vmId: string | null, path: string) =>
    vmId === null
      ? [...wanted].some((id) => id.split('/')[0] === path.slice(path.lastIndexOf('/') + 1))
      : wanted.has(vmId);
  return world.emptyFolders
    .filter(({ vmId, path }) => !isWanted(vmId, path))
    .map(({ pool, path, vmId }) => ({
      kind: 'empty-folder',
      subject: path,
      severity: 'note',
      message: vmId === null ? 'an empty folder of an application' : `an empty folder of ${vmId}`,
      repair:
        pool === null || world.poolKinds[pool] === 'local'
          ? { kind: 'remove-empty-folder', pool, path }
          : null,
    }));
};
