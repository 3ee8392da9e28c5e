import { isAlive } from '../lab/processes.ts';
import type { GoldenLab } from './golden-lab.ts';
import { leftoversOn, NOTHING_LEFT } from './leftovers.ts';
import { waitFor } from './wait-for.ts';
import type { PsRow } from './weft.ts';

/** Every host of the lab is swept clean, soon after the last VM has gone. */
export const waitUntilNothingIsLeft = (golden: Pick<GoldenLab, 'lab'>): Promise<void> =>
  waitOnEveryHost(
    golden,
    'nothing to be left',
    (host) => leftoversOn(golden.lab, host),
    (left) => JSON.stringify(left) === JSON.stringify(NOTHING_LEFT),
  );

/** One host of the lab after the other, each for a minute at most. */
export async function waitOnEveryHost<T>(
  { lab }: Pick<GoldenLab, 'lab'>,
  what: string,
  ask: (host: string) => Promise<T>,
  wanted: (answer: T) => boolean,
): Promise<void> {
  const { hosts } = await lab.state();
  for (const { name } of hosts) await waitFor(`${what} on ${name}`, () => ask(name), wanted, 60_000);
}

/** The domains that really run in the whole lab, whatever Weft says: one entry for each QEMU. */
export async function runningQemus({ lab }: GoldenLab): Promise<readonly string[]> {
  const { hosts } = await lab.state();
  const found = await Promise.all(
    // Its power may have been cut by another than the lab.
    hosts.filter(({ power }) => power && isAlive(power.init)).map((host) => leftoversOn(lab, host.name)),
  );
  return found.flatMap((left) => left.qemus);
}

/** Of the only machine of a lab. */
export async function waitForOneQemu(golden: GoldenLab): Promise<void> {
  await waitFor(
    'one QEMU of it, in the whole lab',
    () => runningQemus(golden),
    (qemus) => qemus.length === 1,
  );
}

/** Power and network for every host. One test's failure is not the next one's. */
export async function mendAllHosts({ lab }: Pick<GoldenLab, 'lab'>): Promise<void> {
  const { hosts } = await lab.state();
  for (const { name } of hosts) {
    await lab.mend(name);
    await lab.powerOn(name);
  }
  await lab.waitForHosts(hosts.map(({ name }) => name));
}

export const isReady = (row: PsRow) => row.state === 'ready';

export function rowOf(rows: readonly PsRow[], id: string): PsRow {
  const row = rows.find((each) => each.id === id);
  if (!row) throw new Error(`weft ps does not list ${id}: ${JSON.stringify(rows)}`);
  return row;
}
