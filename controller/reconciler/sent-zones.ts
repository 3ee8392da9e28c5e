import { digestOfNames, type NamesGoal, refusalOf } from '../../agent/protocol/index.ts';
import type { SeenZones } from './world.ts';

/** Of zones by their digests. Who serves one that is older than that gets another one anyhow. */
const MOST_ZONES = 1_024;

type NameRecord = NamesGoal['records'][number];

export const keyOfRecord = ({ name, type, data }: NameRecord): string => `${name} ${type} ${data}`;

/**
 * The zones that were sent to name servers. A record is known by the zone with which it came, so that a name server whose zone is behind the
 * newest counts for all that is in its own: while much is placed, none is ever up to date.
 */
export class SentZones implements SeenZones {
  #newest: NamesGoal | null = null;
  #count = 0;
  /** Digest → which one it was. */
  readonly #numbers = new Map<string, number>();
  /** Record of the newest zone → the first zone from which on all have it. */
  readonly #since = new Map<string, number>();

  note(zone: NamesGoal): void {
    if (zone === this.#newest) return;
    this.#newest = zone;
    this.#count++;
    const records = this.#servable(zone);
    const digest = digestOfNames({ ...zone, records });
    this.#numbers.delete(digest);
    this.#numbers.set(digest, this.#count);
    const [oldest] = this.#numbers.keys();
    if (this.#numbers.size > MOST_ZONES && oldest !== undefined) this.#numbers.delete(oldest);
    const keys = new Set(records.map(keyOfRecord));
    for (const known of [...this.#since.keys()]) if (!keys.has(known)) this.#since.delete(known);
    for (const key of keys) if (!this.#since.has(key)) this.#since.set(key, this.#count);
  }

  /** Without what name servers leave out, of which none has what nobody serves. What was served before need not be looked at again. */
  #servable({ zone, records }: NamesGoal): NameRecord[] {
    return records.filter(
      (record) => this.#since.has(keyOfRecord(record)) || refusalOf(record, zone) === null,
    );
  }

  hasAll(digest: string, records: readonly NameRecord[]): boolean {
    const number = this.#numbers.get(digest);
    if (number === undefined) return false;
    return records.every((record) => {
      const since = this.#since.get(keyOfRecord(record));
      return since !== undefined && since <= number;
    });
  }
}
