import { hereOrComing } from '../../protocol/index.ts';
import type { Finding } from '../findings.ts';
import type { Rule } from '../world.ts';

/** What is ours and in no goal. The executor keeps the quarantine of instances and removes them; machines stay, whatever happens. */
export const unnamed: Rule<Finding> = ({ goal, domains, disks }) => {
  if (goal === null) return [];
  const named = new Set([...hereOrComing(goal), ...goal.tombstones].map(({ id }) => id));
  const found = [
    ...domains.flatMap(({ name, mark }) =>
      mark === null ? [] : [{ subject: name, vmId: mark.id, kind: mark.kind, what: 'domain' }],
    ),
    ...disks.map(({ path, vmId, kind }) => ({ subject: path, vmId, kind, what: 'disk' })),
  ];
  return found
    .filter(({ vmId }) => !named.has(vmId))
    .map(({ subject, vmId, kind, what }): Finding => {
      if (kind === 'instance')
        return {
          kind: 'unnamed',
          subject,
          severity: 'note',
          message: `the ${what} of ${vmId}, which no application has any more: it is removed in a moment`,
          repair: null,
        };
      return {
        kind: 'stranger',
        subject,
        severity: 'warning',
        message: `the ${what} of machine ${vmId}, which no application declares: it is kept`,
        remedy: 'Apply the model that declares it, and it goes on here; or delete it there.',
        repair: null,
      };
    });
};
