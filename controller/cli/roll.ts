import { setTimeout as sleep } from 'node:timers/promises';
import { WeftError } from '../../agent/kit/errors.ts';
import type { HostRow, RollRow, WeftClient } from '../client/index.ts';
import type { Context } from './context.ts';
import { waitUntilEmpty } from './drain-wait.ts';
import { seconds } from './output.ts';

const LOOK_EVERY_MS = 1_000;

export interface RollOptions {
  readonly roll: RollRow;
  /** Boots the host that is its argument; null: its agent does. */
  readonly program: string | null;
  readonly cold: boolean;
  readonly live?: boolean;
  readonly copyStorage?: boolean;
  readonly timeoutMs: number;
}

/**
 * The hosts of one fault domain after those of another. @param names only these; none: all. @param atHand of an earlier try, which may
 * be on their way through a boot.
 * @throws WeftError `not-found`; `conflict` when one of them is not up: who rolls then takes away what is left.
 */
export function roundsOf(
  rows: readonly HostRow[],
  names: readonly string[],
  atHand: readonly string[] = [],
): readonly (readonly string[])[] {
  const unknown = names.find((name) => !rows.some((row) => row.name === name));
  if (unknown !== undefined)
    throw new WeftError('not-found', `there is no host ${unknown}`, { remedy: 'See "weft host ls".' });
  const lame = rows.find(
    ({ name, state }) => !['up', 'draining', 'maintenance'].includes(state) && !atHand.includes(name),
  );
  if (lame)
    throw new WeftError('conflict', `host ${lame.name} is ${lame.state}: no other is taken away meanwhile`, {
      remedy: 'Bring it back, or remove it; then roll.',
    });
  const rounds = new Map<string, string[]>();
  for (const { name, faultDomain } of rows) {
    if (names.length > 0 && !names.includes(name)) continue;
    const domain = faultDomain || `host ${name}`;
    rounds.set(domain, [...(rounds.get(domain) ?? []), name]);
  }
  return [...rounds.entries()]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, hosts]) => hosts.sort());
}

/** Empties these hosts, boots them anew, and lets them take VMs again; ends when all that was ready before is ready. */
export async function rollOne(
  context: Context,
  client: WeftClient,
  hosts: readonly string[],
  options: RollOptions,
): Promise<void> {
  const { timeoutMs } = options;
  const ready = new Set(
    (await client.listVms()).filter(({ state }) => state === 'ready').map(({ id }) => id),
  );
  for (const host of hosts)
    await client.drainHost(host, {
      cold: options.cold,
      live: options.live === true,
      ...(options.copyStorage ? { copyStorage: true } : {}),
      roll: options.roll,
    });
  for (const host of hosts) await waitUntilEmpty(context, client, host, timeoutMs);
  for (const host of hosts) {
    const found = await rowOf(client, host);
    // Of an earlier try: it may have been booted anew before that ended.
    const before = found.roll ? found.roll.bootId : found.bootId;
    if (found.bootId !== before) {
      context.say(`${host}: was booted anew before`);
      continue;
    }
    context.say(`${host}: is booted anew`);
    if (options.program === null) await client.rebootHost(host);
    else await run(options.program, host, timeoutMs);
    await until(`${host} to be back from another boot`, timeoutMs, async () => {
      const { state, bootId } = await rowOf(client, host);
      return state === 'maintenance' && bootId !== before;
    });
    context.say(`${host}: is back`);
  }
  for (const host of hosts) await client.undrainHost(host);
  await until('everything that was ready to be ready', timeoutMs, async () => {
    const vms = await client.listVms();
    const down = (await client.listHosts()).filter(
      ({ name, state }) => hosts.includes(name) && state !== 'up',
    );
    return down.length === 0 && vms.every(({ id, state }) => state === 'ready' || !ready.has(id));
  });
}

async function run(program: string, host: string, timeoutMs: number): Promise<void> {
  const { exec } = await import('../../agent/kit/exec.ts');
  await exec(program, [host], { timeoutMs });
}

async function rowOf(client: WeftClient, host: string): Promise<HostRow> {
  const row = (await client.listHosts()).find(({ name }) => name === host);
  if (row) return row;
  throw new WeftError('not-found', `there is no host ${host} any more`);
}

/** A controller that is away meanwhile is waited for. */
async function until(what: string, timeoutMs: number, holds: () => Promise<boolean>): Promise<void> {
  const untilMs = Date.now() + timeoutMs;
  for (;;) {
    const held = await holds().catch((error: unknown) => {
      if (WeftError.from(error).code !== 'host-unreachable') throw error;
      return false;
    });
    if (held) return;
    if (Date.now() >= untilMs)
      throw new WeftError('timeout', `waited ${seconds(timeoutMs)} for ${what}, in vain`);
    await sleep(LOOK_EVERY_MS);
  }
}
