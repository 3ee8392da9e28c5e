import type { EventEmitter } from 'node:events';
import { EVENT_NAMES } from '../../src/event-names.ts';
import type { ConnectionEvents } from '../../src/index.ts';
import { until } from './wait.ts';

type Name = keyof ConnectionEvents;
type Payload<N extends Name> = ConnectionEvents[N][0];

/** Everything that a connection has told, in order. */
export class Heard {
  readonly all: { readonly name: Name; readonly payload: unknown }[] = [];

  constructor(source: EventEmitter<ConnectionEvents>) {
    for (const name of [...EVENT_NAMES, 'close'] as const)
      (source as EventEmitter).on(name, (payload) => this.all.push({ name, payload }));
  }

  of<N extends Name>(name: N): readonly Payload<N>[] {
    return this.all.filter((each) => each.name === name).map((each) => each.payload as Payload<N>);
  }

  /** The first such event, past or to come, that `wanted` takes. */
  async first<N extends Name>(
    name: N,
    wanted: (payload: Payload<N>) => boolean = () => true,
    limitMs?: number,
  ): Promise<Payload<N>> {
    return until(`event ${name}`, () => this.of(name).find(wanted), limitMs);
  }

  forget(): void {
    this.all.length = 0;
  }
}
