import type { EventRecord } from '../model/records.ts';
import type { Store } from '../store/contract.ts';
import type { PlannedEvent } from './draft.ts';

const KEPT_EVENTS = 10_000;
const PREFIX = 'events/';

const keyOf = (sequence: number) => PREFIX + String(sequence).padStart(12, '0');

/** Numbers events and makes the writes that keep the last 10,000 of them. */
export class EventLog {
  #next = 1;

  async open(store: Store): Promise<void> {
    const { entries } = await store.list(PREFIX);
    this.#next = ((entries.at(-1)?.value as EventRecord | undefined)?.sequence ?? 0) + 1;
  }

  /** The writes for these events, to be made in the transaction that they tell of. */
  writes(
    events: readonly PlannedEvent[],
    atMs: number,
  ): { puts: { key: string; value: EventRecord }[]; deletes: string[] } {
    const puts = events.map((event) => {
      const sequence = this.#next++;
      return { key: keyOf(sequence), value: { ...event, sequence, atMs } };
    });
    const deletes = puts
      .map(({ value }) => value.sequence - KEPT_EVENTS)
      .filter((sequence) => sequence > 0)
      .map(keyOf);
    return { puts, deletes };
  }
}
