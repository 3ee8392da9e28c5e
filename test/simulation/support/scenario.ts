import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { HostShape } from '../../support/builders/host.ts';
import { ACTIONS } from './actions.ts';
import { convergedUnder } from './converged.ts';
import { Journal } from './journal.ts';
import { networkFaults } from './network/as-declared.ts';
import { onlyRefusals } from './script.ts';
import { RBD_POOL, SHARED_POOL } from './shared-pool.ts';
import { deviceOf } from './simulated-power.ts';
import { Simulation, type SimulationOptions } from './simulation.ts';
import { storageFenceOf } from './storage/simulated-storage.ts';

const host = z.strictObject({
  memoryMiB: z.number().int().default(2_048),
  faultDomain: z.string().default(''),
  /** Fence devices. */
  devices: z.number().int().min(0).max(2).default(1),
  /** Has the pool in Ceph. */
  rbd: z.boolean().default(false),
  /** Can be shut out of it. */
  storageFence: z.boolean().default(false),
  /** Mounts the pool that hosts share. */
  shared: z.boolean().default(true),
});

const scenario = z.strictObject({
  hosts: z.array(host),
  /** Takes what things take from this; absent: everything takes as long as it usually does. */
  seed: z.number().int().optional(),
  failureRate: z.number().min(0).max(1).default(0),
  /** Hosts reach each other, and machines go straight from one to the next. */
  listens: z.boolean().default(false),
  /** Hosts leave words in the pool that they share. */
  beats: z.boolean().default(false),
  steps: z.array(
    z.strictObject({
      /** Seconds since the beginning. */
      at: z.number(),
      do: z.enum(Object.keys(ACTIONS) as [keyof typeof ACTIONS, ...(keyof typeof ACTIONS)[]]),
      /** What it is done to, and how. */
      to: z.string().default(''),
      with: z.union([z.string(), z.number()]).optional(),
    }),
  ),
  /** Seconds. */
  lasts: z.number(),
  /** The end: everything declared is ready and nothing else is anywhere, or whatever the log says. */
  ends: z.enum(['whole', 'as logged']),
  /** What the log has to say of what happened: regular expressions. */
  shows: z.array(z.string()).min(1),
});

/** Plays a script. @param broken what is broken on purpose. @returns its log, a line an event. @throws what an invariant says, or what the end is not. */
export async function playScenario(
  file: string,
  broken: Pick<SimulationOptions, 'plan' | 'hostMutation'> = {},
): Promise<string> {
  const script = scenario.parse(JSON.parse(await readFile(file, 'utf8')));
  const journal = new Journal();
  const simulation = await Simulation.start({
    seed: script.seed ?? 1,
    steady: script.seed === undefined,
    failureRate: script.failureRate,
    leavesBeats: script.beats,
    listens: script.listens,
    hosts: script.hosts.map((made, index) => shapeOf(made, `h${index + 1}`)),
    ...broken,
    onCommit: (transaction) => journal.committed(transaction),
    onHostChange: (changed) => journal.hostChanged(changed),
  });
  journal.begin(simulation);
  try {
    for (const step of script.steps) {
      await simulation.run(Math.max(0, step.at * 1_000 - journal.passedMs));
      journal.say(`-- ${[step.do, step.to, step.with ?? ''].join(' ').trim()}`);
      await Promise.resolve(ACTIONS[step.do](simulation, step.to, step.with ?? '')).catch(
        (error: unknown) => {
          onlyRefusals(error);
          journal.say(`refused: ${(error as Error).message}`);
        },
      );
    }
    await simulation.run(Math.max(0, script.lasts * 1_000 - journal.passedMs));
    const log = journal.end();
    if (script.ends === 'whole' && !convergedUnder(simulation.records, simulation.hosts))
      throw new Error(`not everything is as declared at the end:\n${log}`);
    const unlike = script.ends === 'whole' ? networkFaults(simulation.records, simulation.hosts) : [];
    if (unlike.length > 0) throw new Error(`the network is not as declared:\n${unlike.join('\n')}\n${log}`);
    for (const shown of script.shows)
      if (!new RegExp(shown, 'm').test(log)) throw new Error(`the log says nothing of ${shown}:\n${log}`);
    return log;
  } finally {
    simulation.killController();
  }
}

const shapeOf = (made: z.infer<typeof host>, name: string): HostShape => ({
  memoryMiB: made.memoryMiB,
  faultDomain: made.faultDomain,
  pools: [...(made.shared ? [SHARED_POOL] : []), ...(made.rbd ? [RBD_POOL] : [])].map((pool) => ({
    ...pool,
    sizeMiB: 102_400,
  })),
  fence: [
    ...(made.storageFence ? [storageFenceOf(name)] : []),
    ...Array.from({ length: made.devices }, (_, index) => deviceOf(name, index + 1)),
  ],
});
