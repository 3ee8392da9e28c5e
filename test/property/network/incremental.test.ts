import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Goal } from '../../../agent/protocol/index.ts';
import type { ApplicationRecord, NetworkRecord } from '../../../controller/model/index.ts';
import type { FleetRecord, HostRecord } from '../../../controller/model/records.ts';
import { GoalDispatch } from '../../../controller/reconciler/goal-dispatch.ts';
import { withoutMachine } from '../../../controller/reconciler/retired.ts';
import { PREFIXES } from '../../../controller/reconciler/world.ts';
import { WorldCache } from '../../../controller/reconciler/world-cache.ts';
import type { Change } from '../../../controller/store/contract.ts';
import { FLEET } from '../../support/builders/goal.ts';
import {
  type AnyDeclared,
  anyDeclared,
  anyHost,
  applicationOf,
  guestsOf,
  HOSTS,
  hostOf,
} from './any-fabric.ts';

const APPS = ['crm', 'shop'];
const FLEET_RECORD: FleetRecord = { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' };

const anyChange = fc.oneof(
  fc.record({ of: fc.constant('host' as const), host: fc.nat(3), value: fc.option(anyHost, { freq: 6 }) }),
  // It is heard no more, or again.
  fc.record({
    of: fc.constant('standing' as const),
    host: fc.nat(3),
    what: fc.constantFrom('state' as const, 'draining' as const, 'names' as const),
  }),
  fc.record({ of: fc.constant('declared' as const), app: fc.nat(1), value: anyDeclared }),
  // A subnet is elsewhere: a store that was restored, and followed, tells that too.
  fc.record({ of: fc.constant('network' as const), app: fc.nat(1), network: fc.nat(5) }),
  fc.record({
    of: fc.constantFrom('delete' as const, 'delete machine' as const, 'forget' as const),
    app: fc.nat(1),
  }),
  fc.record({
    of: fc.constant('vm' as const),
    app: fc.nat(1),
    guest: fc.nat(9),
    host: fc.option(fc.constantFrom(...HOSTS), { freq: 4 }),
    follows: fc.option(fc.constantFrom(...HOSTS), { freq: 2 }),
    state: fc.constantFrom('ready' as const, 'draining' as const, 'booting' as const, 'unready' as const),
    deleting: fc.boolean(),
  }),
);

type AnyChange = typeof anyChange extends fc.Arbitrary<infer T> ? T : never;

/** The store's records, as far as goals are made from them. */
class Records {
  readonly values = new Map<string, unknown>();
  revision = 0;
  #placed = 0;

  /** All of it in one transaction. */
  write(entries: readonly (readonly [string, unknown])[]): readonly Change[] {
    this.revision++;
    return entries.map(([key, value]) => {
      if (value === null) this.values.delete(key);
      else this.values.set(key, value);
      return { key, value, revision: this.revision } as Change;
    });
  }

  /** Every second guest is on a host from the beginning. */
  #hosts(id: string): string | null {
    this.#placed++;
    return this.#placed % 2 === 0 ? null : (HOSTS[(this.#placed + id.length) % HOSTS.length] ?? null);
  }

  /** What is declared, and then, as a plan does, with a record for each guest that is; what nobody declares any more is gone. */
  declare(app: number, declared: AnyDeclared): readonly (readonly Change[])[] {
    const application = applicationOf(APPS[app] ?? '', declared);
    const { vms, networks } = guestsOf(application, 1 + app * 8, (id) => this.#hosts(id));
    const puts: (readonly [string, unknown])[] = [
      ...networks.map((network) => [`${PREFIXES.networks}${network.id}`, network] as const),
      ...vms.map((vm) => [`${PREFIXES.vms}${vm.id}`, vm] as const),
    ];
    const kept = new Set(puts.map(([key]) => key));
    const mine = (key: string) =>
      [PREFIXES.networks, PREFIXES.vms].some((each) => key.startsWith(`${each}${application.name}/`));
    const gone = [...this.values.keys()].filter((key) => mine(key) && !kept.has(key));
    return [
      this.write([[`${PREFIXES.applications}${application.name}`, application]]),
      this.write(gone.map((key) => [key, null])),
      // One after another, as what is made and placed in several passes.
      ...puts.map((put) => this.write([put])),
    ];
  }

  /** The application; the first of its machines, which may have connections left; or what is remembered of those. */
  #delete(of: 'delete' | 'delete machine' | 'forget', app: string): readonly (readonly Change[])[] {
    const key = `${PREFIXES.applications}${app}`;
    const application = this.values.get(key) as ApplicationRecord | undefined;
    if (!application) return [];
    const { retiredMachines: _retired, ...rest } = application;
    const [machine = ''] = Object.keys(application.service.machines);
    const after = {
      delete: { ...application, deleting: true },
      'delete machine': withoutMachine(application, machine),
      forget: rest,
    }[of];
    return [this.write([[key, after]])];
  }

  /** A subnet of an application gets another number, and what goes with it. */
  #renumber(app: string, which: number): readonly (readonly Change[])[] {
    const keys = [...this.values.keys()].filter((key) => key.startsWith(`${PREFIXES.networks}${app}/`));
    const key = keys[which % Math.max(1, keys.length)];
    if (key === undefined) return [];
    const network = this.values.get(key) as NetworkRecord;
    const number = network.number + 16;
    const [cidr, gateway] = [network.cidr, network.gateway].map((text) =>
      text.replace(/^10\.128\./, '10.129.'),
    );
    return [this.write([[key, { ...network, number, cidr, gateway }]])];
  }

  change(any: AnyChange): readonly (readonly Change[])[] {
    if (any.of === 'declared') return this.declare(any.app, any.value);
    if (any.of === 'host') {
      const name = HOSTS[any.host] ?? '';
      return [this.write([[`${PREFIXES.hosts}${name}`, any.value && hostOf(name, any.value)]])];
    }
    if (any.of === 'standing') {
      const key = `${PREFIXES.hosts}${HOSTS[any.host]}`;
      const host = this.values.get(key) as HostRecord | undefined;
      if (!host) return [];
      const after: Partial<HostRecord> = {
        state: { state: host.state === 'up' ? 'down' : 'up' } as const,
        draining: { draining: !host.draining },
        names: { nameServer: host.nameServer ? null : 'absent' } as const,
      }[any.what];
      return [this.write([[key, { ...host, ...after }]])];
    }
    if (any.of === 'network') return this.#renumber(APPS[any.app] ?? '', any.network);
    if (any.of !== 'vm') return this.#delete(any.of, APPS[any.app] ?? '');
    const keys = [...this.values.keys()].filter((key) => key.startsWith(`${PREFIXES.vms}${APPS[any.app]}/`));
    const key = keys[any.guest % Math.max(1, keys.length)];
    if (key === undefined) return [];
    const vm = this.values.get(key) as Record<string, unknown>;
    const { host, state, deleting } = any;
    const at = String(vm.address).replace(/\d+$/, (last) => String(Number(last) + 100));
    const successor =
      any.follows && any.follows !== host
        ? {
            ...vm,
            host: any.follows,
            incarnation: 2,
            address: at,
            mac: `52:54:00:00:00:${at.slice(-2)}`,
            sinceMs: 0,
          }
        : null;
    return [this.write([[key, { ...vm, host, state, deleting, successor }]])];
  }
}

class Line {
  readonly cache = new WorldCache();
  readonly goals = new Map<string, Omit<Goal, 'revision' | 'atMs'>>();
  readonly dispatch: GoalDispatch;

  constructor(encrypt: FleetRecord['encrypt']) {
    this.dispatch = new GoalDispatch(
      { sendGoal: (host, { revision: _revision, atMs: _atMs, ...goal }) => void this.goals.set(host, goal) },
      encrypt ? { ...FLEET_RECORD, encrypt } : FLEET_RECORD,
      this.cache,
    );
  }
}

test('goals that follow changes are those that would be made from scratch', () => {
  fc.assert(
    fc.property(
      anyDeclared,
      anyDeclared,
      fc.array(anyChange, { minLength: 1, maxLength: 25 }),
      fc.constantFrom(undefined, 'prefer' as const, 'require' as const),
      (crm, shop, changes, encrypt) => {
        const records = new Records();
        const line = new Line(encrypt);
        const take = (batches: readonly (readonly Change[])[]) => {
          for (const batch of batches) {
            line.dispatch.follow(line.cache.apply(batch));
            line.dispatch.send(1);
          }
        };
        for (const [index, name] of HOSTS.entries())
          take(
            records.change({
              of: 'host',
              host: index,
              value: {
                underlay: true,
                isElsewhere: false,
                state: 'up',
                mtu: 1_500,
                edge: name === 'h1',
                label: undefined,
                key: undefined,
              },
            }),
          );
        take(records.declare(0, crm));
        take(records.declare(1, shop));
        for (const any of changes) {
          take(records.change(any));
          const scratch = new Line(encrypt);
          scratch.cache.load(
            // By copy: nothing is known of these records from before.
            [...records.values].map(([key, value]) => ({ key, value: structuredClone(value), revision: 1 })),
            records.revision,
          );
          const hosts = [...scratch.cache.records('hosts').keys()];
          scratch.dispatch.concern(hosts);
          scratch.dispatch.send(1);
          for (const host of hosts)
            expect(line.goals.get(host), `${host} after ${any.of}`).toEqual(scratch.goals.get(host));
        }
      },
    ),
    { numRuns: 150 },
  );
});
