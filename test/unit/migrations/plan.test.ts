import { expect, test } from 'vitest';
import { machinesToGuard } from '../../../agent/executor/machines-to-guard.ts';
import { domainName } from '../../../agent/executor/names.ts';
import { leaving, type Observed, plan } from '../../../agent/executor/plan.ts';
import { Strangers } from '../../../agent/executor/strangers.ts';
import type { DomainView } from '../../../agent/hypervisor/driver.ts';
import type { Goal } from '../../../agent/protocol/index.ts';
import { aGoal, aMachineGoal, FLEET } from '../../support/builders/goal.ts';

const machine = aMachineGoal({ pool: 'san' });
const arriving = aMachineGoal({ pool: 'san', incarnation: 2 });
const PATH = '/san/machines/crm/db/disk.qcow2';
const disk = { pool: 'san', path: PATH, vmId: 'crm/db', kind: 'machine', incarnation: null } as const;
const domain = (incarnation: number, state: DomainView['state']): DomainView => ({
  name: domainName(FLEET, 'crm/db'),
  mark: { fleet: FLEET, id: 'crm/db', incarnation, kind: 'machine', rebootGeneration: 0 },
  ...{ state, reason: 'booted', overlay: PATH, files: [PATH] },
});
const seen = (overrides: Partial<Observed>): Observed => ({
  ...{ domains: [], networks: [], disks: [], folders: [], memory: new Map(), unnamedSinceMs: new Map() },
  ...overrides,
});
const kinds = (goal: Goal, overrides: Partial<Observed>) =>
  plan(goal, seen(overrides), 0, { reapAfterMs: 1, unreadyLimitMs: 1, networkNames: new Set() }).map(
    ({ kind }) => kind,
  );
const order = { id: 'crm/db', incarnation: 2, to: 'h2', order: 'move', resume: false } as const;
const files = { disk: PATH, seed: null, console: '/console.log' };

test('a machine that leaves while it runs is neither started, stopped, examined nor rebooted here, whatever is seen of it', () => {
  const leaves = aGoal([{ ...machine, rebootGeneration: 1 }], { outgoing: [{ ...order, files }] });
  for (const domains of [[], [domain(1, 'shut-off')], [domain(1, 'crashed')]])
    expect(kinds(leaves, { domains, disks: [disk] })).toEqual([]);
  expect(kinds(leaves, { domains: [domain(1, 'running')], disks: [disk] })).toEqual(['supervise']);
  const stopped = { ...leaves, vms: [{ ...machine, power: 'stopped' as const }] };
  expect(kinds(stopped, { domains: [domain(1, 'running')] })).toEqual([]);
  // Once the goal says no more that it leaves, it is like any other.
  expect(kinds(aGoal([machine]), { domains: [], disks: [disk] })).toEqual(['provision']);
});

test('a machine that comes is started by nobody here, swept away by nobody, and no stranger; the guard knows of it', () => {
  const goal = aGoal([], { incoming: [{ vm: arriving, from: 'h1' }] });
  for (const domains of [[], [domain(2, 'paused')], [domain(2, 'running')]])
    expect(kinds(goal, { domains, disks: [disk], folders: ['crm/db'] })).toEqual([]);
  expect(leaving(goal, seen({ folders: ['crm/db'] }), [])).toEqual([]);
  const strangers = new Strangers();
  strangers.update(goal, [domain(2, 'running')], [disk]);
  expect(strangers.list()).toEqual([]);
  const pools = [{ name: 'san', kind: 'shared', path: '/san' }] as const;
  expect(machinesToGuard(goal, 'none', pools)?.machines).toHaveLength(1);
  // It came to nothing: what is here of it goes.
  const over = aGoal([], { superseded: [{ id: 'crm/db', upToIncarnation: 2 }] });
  expect(kinds(over, { domains: [domain(2, 'paused')] })).toEqual(['retire']);
  expect(kinds(over, { folders: ['crm/db'] })).toEqual(['sweep']);
});
