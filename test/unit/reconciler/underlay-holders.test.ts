import { expect, test } from 'vitest';
import type { HostRecord } from '../../../controller/model/records.ts';
import { backboneGoalOf } from '../../../controller/reconciler/backbone-goals.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHost } from '../../support/builders/host.ts';

const fleet = { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' };

const hostAt = (name: string, number: number, address: string, overrides: Partial<HostRecord> = {}) =>
  aHost(name, { underlay: { address, mtu: 1_500, networks: [] } }, { number, ...overrides });

/** Whom each host sends to. */
function known(...hosts: readonly HostRecord[]): Readonly<Record<string, readonly string[]>> {
  const world = {
    ...{ fleet, applications: new Map(), networks: new Map(), vms: new Map() },
    hosts: new Map(hosts.map((host) => [host.name, host])),
  };
  return Object.fromEntries(
    hosts.map(({ name }) => [name, (backboneGoalOf(name, world)?.others ?? []).map(({ host }) => host)]),
  );
}

test('an address that a dead host had is the one’s that has it now', () => {
  const [a, b] = [hostAt('a', 2, '192.0.2.7', { state: 'down' }), hostAt('b', 3, '192.0.2.7')];
  expect(known(a, b, hostAt('c', 4, '192.0.2.8'))).toEqual({ a: ['b', 'c'], b: ['c'], c: ['b'] });
  expect(known({ ...a, state: 'up' }, { ...b, state: 'down' })).toEqual({ a: [], b: ['a'] });
});

test('of two that are up it is the one’s that joined later, and a host without a place takes none', () => {
  const a = hostAt('a', 2, '192.0.2.7', { joinedAtMs: 2 });
  const b = hostAt('b', 3, '192.0.2.7', { joinedAtMs: 1 });
  expect(known(a, b, hostAt('c', 4, '192.0.2.8')).c).toEqual(['a']);
  const { number: _number, ...unnumbered } = a;
  expect(known(unnumbered, b, hostAt('c', 4, '192.0.2.8')).c).toEqual(['b']);
});
