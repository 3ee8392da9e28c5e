import { setTimeout as sleep } from 'node:timers/promises';
import type { PrivateLibvirt } from '../test/support/private-libvirt.ts';
import { demand, figuresOf, type ProgramOptions, runProgram } from './program.ts';

const CONNECTIONS = 20;
const WORKING_MS = 1_500;
const STOP_MS = 4_000;

/**
 * Twenty connections, several calls at once on each, lost together `rounds` times, by keep-alive and by a kill in turn. A
 * libvirt client before 10.4 by itself crashes here: see native/poll-source-guard.cc.
 */
export async function stressLosses(
  libvirt: PrivateLibvirt,
  rounds: number,
  options: ProgramOptions = {},
): Promise<object> {
  let answered = 0;
  let refused = 0;
  for (let round = 0; round < rounds; round++) {
    const end = await runProgram('losses.mjs', [libvirt.uri, CONNECTIONS], {
      ...options,
      limitMs: 60_000,
      meanwhile: async () => {
        await sleep(WORKING_MS);
        await libvirt.signal('STOP');
        await sleep(round % 2 === 0 ? STOP_MS : 0);
        await libvirt.signal(round % 2 === 0 ? 'CONT' : 'KILL');
        await libvirt.answers();
      },
    });
    const figures = figuresOf('losses', end);
    answered += Number(figures.answered);
    refused += Number(figures.refused);
  }
  const figures = { losses: rounds * CONNECTIONS, answered, refused };
  demand(figures, {
    'calls were answered before': answered > 100 * rounds,
    'calls under way were refused': refused > rounds,
  });
  return figures;
}
