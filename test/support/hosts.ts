import { isAlive } from '../lab/processes.ts';
import type { GoldenLab } from './golden-lab.ts';
import { leftoversOn, NOTHING_LEFT } from './leftovers.ts';
import { waitFor } from './wait-for.ts';
import type { PsRow } from './weft.ts';

/** Every host of the lab is swept clean, soon after the last VM has gone. */
export async function waitUntilNothingIsLeft({ lab }: Pick<GoldenLab, 'lab'>): Promise<void> {
  const { hosts } = await lab.state();
  for (const host of hosts) {
    await waitFor(
      `nothing to be left on ${host.name}`,
      () => leftoversOn(lab, host.name),
      (left) => JSON.stringify(left) === JSON.stringify(NOTHING_LEFT),
      60_000,
    );
  }
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
