import type { Clock } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import type { DeviceTest, Fencer } from '../fencing/contract.ts';
import type { Fleet } from '../fleet/contract.ts';
import type { FencingRecord, HostRecord } from '../model/index.ts';
import { change, read } from '../store/change.ts';
import type { Store } from '../store/contract.ts';
import type { Operations } from './contract.ts';
import { unknownHost } from './hosts.ts';

type DeathOperations = Pick<Operations, 'confirmDead' | 'fenceTest'>;

interface DeathsOptions {
  readonly store: Store;
  readonly fleet: Pick<Fleet, 'hosts'>;
  readonly fencer: Pick<Fencer, 'test'>;
  readonly clock: Clock;
}

/** Proofs by operators, and tests of the devices that give the others. */
export class Deaths implements DeathOperations {
  readonly #options: DeathsOptions;

  constructor(options: DeathsOptions) {
    this.#options = options;
  }

  /** The record says which death it is that is proven, and the check on the host that it is still that one. */
  confirmDead(host: string, by: string): Promise<void> {
    const { store, clock } = this.#options;
    return change(store, async () => {
      const { value: record, check } = await read<HostRecord>(store, `hosts/${host}`);
      if (!record) throw unknownHost(host);
      const fencing = await read<FencingRecord>(store, `fencing/${host}`);
      const before = fencing.value?.downSinceMs === record.stateSinceMs ? fencing.value : null;
      this.#refuse(record, before);
      const signed: FencingRecord = {
        host,
        downSinceMs: record.stateSinceMs,
        attempts: before?.attempts ?? [],
        tried: before?.tried ?? 0,
        proof: {
          kind: 'operator',
          host,
          atMs: clock.now(),
          detail: `${by || 'a token without a label'} signed that it is dead`,
        },
        // Whatever else is known of the host, it is let in to its storage again one day.
        ...(fencing.value?.storage ? { storage: fencing.value.storage } : {}),
      };
      return {
        answer: undefined,
        transaction: { checks: [check, fencing.check], puts: [{ key: fencing.check.key, value: signed }] },
      };
    });
  }

  async fenceTest(host: string): Promise<readonly DeviceTest[]> {
    const { value: record } = await read<HostRecord>(this.#options.store, `hosts/${host}`);
    if (!record) throw unknownHost(host);
    const devices = record.offer?.fence ?? [];
    if (devices.length === 0)
      throw new WeftError('conflict', `host ${host} names no fence device`, {
        remedy: `Write one into its /etc/weft/agent.yaml, as "fence: [{agent: fence_ipmilan, options: {ip: 10.0.0.11, username: admin}, secret: ${host}-bmc}]", and start its agent again.`,
      });
    return this.#options.fencer.test(devices);
  }

  #refuse({ name, state, proof }: HostRecord, fencing: FencingRecord | null): void {
    const link = this.#options.fleet.hosts().find((each) => each.name === name);
    const proven = proof ?? fencing?.proof;
    if (state === 'fenced' || (state === 'down' && proven))
      throw new WeftError('conflict', `host ${name} is proven to be dead already: ${proven?.detail}`, {
        remedy: 'Nothing more needs to be signed. See "weft host ls" and "weft events".',
      });
    if (state === 'joining')
      throw new WeftError('conflict', `host ${name} is joining: it was never up, so nothing is on it`, {
        remedy: 'Remove it, if it is not to come: weft host rm.',
      });
    if (state === 'down' && link?.connected !== true) return;
    const heard = link?.lastHeardMs
      ? `it was heard from ${((this.#options.clock.now() - link.lastHeardMs) / 1000).toFixed(1)} s ago`
      : 'it has not had its time to be heard since the controller started';
    const now = state === 'down' ? 'in session again' : state;
    throw new WeftError('conflict', `host ${name} is ${now}: its lease is held, ${heard}`, {
      remedy:
        'Only a host that is down can be signed for. If it is to be off, switch it off and wait until "weft host ls" says down; it takes seconds.',
    });
  }
}
