import { describe, expect, test } from 'vitest';
import type { HostRecord } from '../../../controller/model/index.ts';
import { aMachine, beatOf, GRACE_MS, PoolStage, START_MS } from '../../support/pool-stage.ts';

describe('hosts that share a pool in fact', () => {
  test('are known to at the first look, and nothing is planned for after that', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'a' });
    expect(stage.pass()).toEqual([]);
    expect(stage.hosts.get('h1')?.sharedPools?.san?.seen).toEqual({ h2: true });
    expect(stage.nextMs).toBe(START_MS + 2_000);
    expect(stage.pass(GRACE_MS)).toEqual([]);
    expect(stage.odd).toEqual([]);
  });

  test('stay so while one writes anew and the other has yet to look', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'a' });
    stage.settle();
    // h2 has renewed its beat; h1 looked before that.
    stage.beats.set('h2', [beatOf('h2', 2), beatOf('h2')]);
    expect(stage.settle()).toEqual([]);
    expect(stage.hosts.get('h1')?.sharedPools?.san?.seen).toEqual({ h2: true });
  });

  test('are not doubted because one is away, or its agent says nothing of pools', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'a', h3: 'a' });
    stage.settle();
    stage.dies('h2');
    stage.silent.add('h3');
    // Its file is lost.
    stage.storageOf.set('h2', 'lost');
    expect(stage.settle()).toEqual([]);
    expect(stage.odd).toEqual([]);
  });
});

describe('an agent that was started anew', () => {
  test('has its new beat found before it tells of it, and is not taken for one with another storage', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'a' });
    stage.settle();
    stage.silent.add('h2');
    stage.beats.set('h2', [beatOf('h2', 2)]);
    expect(stage.settle()).toEqual([]);
    expect(stage.hosts.get('h1')?.sharedPools?.san?.seen).toEqual({ h2: true });
    stage.silent.delete('h2');
    expect(stage.settle()).toEqual([]);
    expect(stage.hosts.get('h1')?.sharedPools?.san?.seen).toEqual({ h2: true });
  });
});

describe('a host that mounts another storage', () => {
  test('and dies has its machine go to nobody who saw it with the one before', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'a' });
    stage.vms.set('crm/db', aMachine());
    stage.settle();
    stage.dies('h2');
    stage.settle();
    stage.mounts('h1', 'b');
    stage.settle();
    stage.dies('h1');
    stage.returns('h2');
    stage.settle();
    expect(stage.vms.get('crm/db')).toMatchObject({ host: 'h1' });
    // It has that storage as well now, and finds what h1 left there.
    stage.mounts('h2', 'b');
    stage.settle();
    expect(stage.vms.get('crm/db')).toMatchObject({ host: 'h2' });
  });
});

describe('hosts that share a pool by name only', () => {
  test('are found when both had their time, not before, and the one that fewer use is told of', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'copy', h3: 'a' });
    stage.pass();
    expect(stage.pass(GRACE_MS - 1)).toEqual([]);
    expect(stage.nextMs).toBeLessThanOrEqual(stage.nowMs + 2_001);
    expect(stage.pass(1)).toEqual(['pool-apart h1', 'pool-apart h2', 'pool-apart h3']);
    expect(stage.odd).toEqual(['h2']);
    expect(stage.hosts.get('h1')?.apartPools?.san).toEqual({ from: ['h2'], isOdd: false });
    expect(stage.hosts.get('h2')?.apartPools?.san).toEqual({ from: ['h1', 'h3'], isOdd: true });
    expect(stage.pass(GRACE_MS)).toEqual([]);
  });

  test('are not when the look that shows nothing is an old one', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'copy' });
    stage.ageMs = GRACE_MS + 1;
    expect([...stage.settle(), ...stage.pass(1)]).toEqual([]);
    stage.ageMs = 0;
    expect(stage.pass(1)).toEqual(['pool-apart h1', 'pool-apart h2']);
  });

  test('are looked for as soon as both must have said what they found; then again, until they have', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'copy' });
    stage.pass();
    expect(stage.nextWaitMs).toBe(START_MS + GRACE_MS + 2_000);
    stage.ageMs = GRACE_MS;
    stage.pass(GRACE_MS + 2_000);
    expect(stage.nextWaitMs).toBe(stage.nowMs + 2_000);
  });

  test('are one again when the storage is mounted', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'copy' });
    stage.settle();
    stage.mounts('h2', 'a');
    expect(stage.pass()).toEqual(['pool-together h1', 'pool-together h2']);
    expect(stage.odd).toEqual([]);
  });

  test('are nothing to each other when one does not offer the pool any more', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'copy' });
    stage.settle();
    stage.unmounts('h2');
    expect(stage.pass()).toEqual(['pool-together h1']);
    expect(stage.hosts.get('h2')?.apartPools).toEqual({});
  });

  test('include one whose storage was swapped under it', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'a' });
    stage.settle();
    stage.mounts('h2', 'copy');
    expect(stage.settle()).toEqual(['pool-apart h1', 'pool-apart h2']);
  });

  test('the storage with machines on it is the one that counts, and stays it while its host is away', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'copy', h3: 'a' });
    stage.vms.set('crm/db', aMachine({ host: 'h2' }));
    stage.settle();
    expect(stage.odd).toEqual(['h1', 'h3']);
    stage.dies('h2');
    stage.pass();
    expect(stage.hosts.get('h1')?.apartPools?.san?.from).toEqual(['h2']);
  });
});

describe('a machine whose host is dead', () => {
  const dbOf = (stage: PoolStage) => stage.vms.get('crm/db');

  test('goes on where its disk is, and not on a copy that has more room', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'copy', h3: 'a' });
    stage.vms.set('crm/db', aMachine());
    stage.settle();
    stage.dies('h1');
    expect(stage.pass()).toEqual(['machine-restarted crm/db']);
    expect(dbOf(stage)?.host).toBe('h3');
  });

  test('waits, and says why, when there are copies only', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'copy' });
    stage.vms.set('crm/db', aMachine());
    stage.settle();
    stage.dies('h1');
    expect(stage.pass()).toEqual([]);
    expect(dbOf(stage)).toMatchObject({ state: 'unknown', host: 'h1' });
    expect(JSON.stringify(dbOf(stage)?.placement)).toContain('is a copy or another mount');
    // The operator mounts the storage, where the dead host has left its beat.
    stage.mounts('h2', 'a');
    expect(stage.pass()).toEqual(['machine-restarted crm/db', 'pool-together h2']);
    expect(dbOf(stage)?.host).toBe('h2');
  });

  test('waits for the first look of a host that has just joined', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'a' });
    stage.vms.set('crm/db', aMachine());
    // It looked before there was anything to be found.
    stage.storageOf.set('h2', 'not looked yet');
    stage.pass();
    stage.dies('h1');
    expect(stage.pass()).toEqual([]);
    expect(JSON.stringify(dbOf(stage)?.placement)).toContain('has yet to find');
    stage.storageOf.set('h2', 'a');
    expect(stage.pass()).toEqual(['machine-restarted crm/db']);
  });

  test('goes by name and id where an agent leaves nothing in its pools', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'a' });
    stage.vms.set('crm/db', aMachine());
    stage.silent.add('h2');
    stage.pass();
    stage.dies('h1');
    expect(stage.pass()).toEqual(['machine-restarted crm/db']);
  });

  test('that died before anybody could look goes by what it left', () => {
    const stage = new PoolStage({ h1: 'a', h2: 'copy' });
    stage.vms.set('crm/db', aMachine());
    stage.pass();
    stage.dies('h1');
    stage.hosts.set('h1', { ...(stage.hosts.get('h1') as HostRecord), proof: null, state: 'down' });
    stage.pass(GRACE_MS);
    stage.dies('h1');
    expect(stage.pass()).toEqual([]);
    expect(dbOf(stage)?.host).toBe('h1');
  });
});
