import { describe, expect, test } from 'vitest';
import type { LiveMove } from '../../../controller/model/live-move.ts';
import {
  ARRIVAL_MS,
  type HandOverSeen,
  nextOfHandOver,
  type SourceWord,
  type TargetWord,
} from '../../../controller/reconciler/hand-over.ts';

const FILES = { disk: '/san/disk.qcow2', seed: '/run/seed-2.iso', console: '/run/console.log' };
const LIVE: LiveMove = {
  ...{
    state: 'moving',
    sinceMs: 0,
    files: FILES,
    reason: null,
    failed: false,
    resume: false,
    goneAtMs: null,
  },
};
const STOPPING: LiveMove = { ...LIVE, state: 'stopping', reason: 'it was called off' };
const ID = { id: 'crm/db', incarnation: 2 };
const source = (word: Partial<SourceWord>): SourceWord => ({
  ...{ ...ID, role: 'out', order: 'move', resume: false, state: 'idle', guest: 'running', ...word },
});
const target = (word: Partial<TargetWord>): TargetWord => ({
  ...{ ...ID, role: 'in', state: 'ready', guest: 'absent', ...word },
});
const next = (seen: Partial<HandOverSeen>, nowMs = 0) =>
  nextOfHandOver(
    {
      ...{ live: LIVE, source: null, target: null, sourceDead: false, targetDead: false, calledOff: null },
      ...seen,
    },
    nowMs,
  );

describe('a machine that is handed over', () => {
  test('is there when it runs there, whatever its own host says, or does not say', () => {
    const there = { kind: 'there', proof: 'target' };
    const running = target({ guest: 'running' });
    for (const live of [LIVE, STOPPING])
      for (const word of [null, source({ state: 'working', guest: 'paused' }), source({ guest: 'absent' })])
        expect(next({ live, source: word, target: running })).toEqual(there);
  });

  test('is waited for while its own host is not heard, unless that is proven to be dead', () => {
    for (const live of [LIVE, STOPPING])
      for (const word of [null, target({ guest: 'paused' }), target({ guest: 'absent' })]) {
        expect(next({ live, target: word })).toEqual({ kind: 'wait' });
        expect(next({ live, target: word, targetDead: true })).toEqual({ kind: 'wait' });
        expect(next({ live, target: word, sourceDead: true })).toEqual({ kind: 'there', proof: 'death' });
      }
  });

  test('is there as well when nothing of it runs on its own host: after a while in which the other may say so first', () => {
    const gone = source({ guest: 'absent' });
    expect(next({ source: gone })).toEqual({ kind: 'gone-here' });
    const live = { ...LIVE, goneAtMs: 1_000 };
    expect(next({ live, source: gone }, 1_000 + ARRIVAL_MS - 1)).toEqual({ kind: 'wait' });
    expect(next({ live, source: gone }, 1_000 + ARRIVAL_MS)).toEqual({ kind: 'there', proof: 'source' });
  });

  test('is stopped on its way when it failed, when it is called off, and when it stands still with nothing under way', () => {
    expect(next({ source: source({ state: 'failed', message: 'no route' }) })).toEqual({
      ...{ kind: 'stop', reason: 'no route', failed: true },
    });
    expect(next({ source: source({ state: 'working' }), calledOff: 'it is not to leave' })).toEqual({
      ...{ kind: 'stop', reason: 'it is not to leave', failed: false },
    });
    expect(next({ source: source({ guest: 'paused' }) })).toMatchObject({ kind: 'stop', failed: true });
    expect(next({ source: source({ guest: 'paused', state: 'working' }) })).toEqual({ kind: 'wait' });
    expect(next({ source: source({ state: 'working' }) })).toEqual({ kind: 'wait' });
    expect(next({ source: source({}) })).toEqual({ kind: 'wait' });
  });

  test('that is being stopped is here when it runs here with nothing under way, and not a moment before', () => {
    const word = (each: Partial<SourceWord>) => source({ order: 'stop', ...each });
    const stopping = (each: Partial<SourceWord>, seen: Partial<HandOverSeen> = {}) =>
      next({ live: STOPPING, source: word(each), ...seen });
    expect(stopping({ state: 'working' })).toEqual({ kind: 'wait' });
    expect(stopping({})).toEqual({ kind: 'here' });
    expect(stopping({ state: 'failed' })).toEqual({ kind: 'here' });
    expect(stopping({ guest: 'absent' })).toEqual({ kind: 'gone-here' });
  });

  test('that stands still here is over here when it has run there, or may have before that host died', () => {
    const paused = { live: STOPPING, source: source({ order: 'stop', guest: 'paused' }) };
    expect(next({ ...paused, target: target({ ran: true }) })).toEqual({
      kind: 'there',
      proof: 'stands-still',
    });
    expect(next({ ...paused, targetDead: true })).toEqual({ kind: 'there', proof: 'stands-still' });
    const working = source({ order: 'stop', guest: 'paused', state: 'working' });
    expect(next({ ...paused, source: working, targetDead: true })).toEqual({ kind: 'wait' });
    const running = source({ order: 'stop' });
    // What was about to run there, and was not let, leaves its description behind as well.
    expect(next({ ...paused, source: running, target: target({ ran: true }) })).toEqual({ kind: 'here' });
    expect(next({ ...paused, source: null, target: target({ ran: true }) })).toEqual({ kind: 'wait' });
    expect(next({ ...paused, source: running, targetDead: true })).toEqual({ kind: 'here' });
  });

  test('that stands still here may run on only when nothing of it is there, by the other host’s word', () => {
    const paused = { live: STOPPING, source: source({ order: 'stop', guest: 'paused' }) };
    expect(next(paused)).toEqual({ kind: 'wait' });
    expect(next({ ...paused, target: target({ guest: 'paused' }) })).toEqual({ kind: 'wait' });
    expect(next({ ...paused, target: target({}) })).toEqual({ kind: 'resume' });
    const resumed = { live: { ...STOPPING, resume: true } };
    // Its agent has let it run on; that it stands still for another reason is no part of this.
    expect(next({ ...paused, ...resumed })).toEqual({ kind: 'here' });
    const working = source({ order: 'stop', guest: 'paused', resume: true, state: 'working' });
    expect(next({ ...resumed, source: working })).toEqual({ kind: 'wait' });
  });
});
