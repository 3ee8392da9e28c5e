import type { Command } from '../context.ts';
import { dossierText } from '../dossier-text.ts';
import { json } from '../output.ts';

export const why: Command = {
  usage: '<id>',
  summary: 'all that is known of a VM: why it is where it is, or is not, and what went wrong',
  async run(context, [id = '']) {
    const dossier = await (await context.client()).dossier(id);
    if (!context.json) {
      context.print(dossierText(dossier));
      return 0;
    }
    const { state, host, incarnation, retryAtMs, failure, proof, placement } = dossier.vm;
    const { failures, failedOn, restarts, steps, tasks } = dossier.vm;
    const { successor = null, stay = null, lastMove = null, moveTo = null } = dossier.vm;
    const moveWait = moveTo === null ? null : (dossier.vm.moveWait ?? null);
    const { host: hostFacts, consoleTail, givenUp, pictures } = dossier;
    context.print(
      json({
        ...{ id, state, host, incarnation, givenUp, retryAtMs, failure, failures, failedOn, restarts },
        ...{ successor, moveTo, moveWait, stay, lastMove },
        ...{ proof, placement, steps, tasks, consoleTail, pictures, hostFacts },
      }),
    );
    return 0;
  },
};
