import { describe, expect, test } from 'vitest';
import { livenessNotes } from '../../../controller/cli/liveness-notes.ts';
import type { HostRow } from '../../../controller/client/index.ts';

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const aRow = (overrides: Partial<HostRow>): HostRow => ({
  name: 'h1',
  state: 'up',
  evidence: 'it is in session',
  mode: 'in-service',
  bootId: null,
  fencing: null,
  proof: null,
  heldOffUntilMs: null,
  fenceDevices: 0,
  guard: null,
  faultDomain: null,
  cpus: null,
  memoryMiB: null,
  vms: 0,
  lastSeenMs: null,
  accelerator: null,
  notes: [],
  pools: [],
  ...overrides,
});
const silent = { state: 'down', evidence: 'not heard from for 4.0 s' };

describe('what weft host ls says below its table', () => {
  test.each<[string, Partial<HostRow>, readonly string[]]>([
    ['of a host that is up, nothing', {}, []],
    ['of one that drains, nothing', { state: 'draining' }, []],
    ['of one in maintenance, nothing', { state: 'maintenance' }, []],
    ['why it is suspect', { ...silent, state: 'suspect' }, ['suspect: not heard from for 4.0 s']],
    [
      'that it has no fence device, and what to do',
      silent,
      [
        'down: not heard from for 4.0 s',
        'it has no fence device: bring it back, or make sure that it is off and sign: weft host confirm-dead h1',
      ],
    ],
    [
      'that it is shut out of its disks, which proves nothing of it',
      {
        ...silent,
        fenceDevices: 1,
        fencing: { attempts: 1, message: 'fence_ceph_blocklist (1 of 1): shut out', isShutOut: true },
      },
      [
        'down: not heard from for 4.0 s',
        'not proven dead, but its disks are safe: fence_ceph_blocklist (1 of 1): shut out',
      ],
    ],
    [
      'that its guard proves it dead, where one can',
      {
        ...silent,
        guard: {
          leaseMs: 30_000,
          running: true,
          watchdog: { armed: true, dependable: true, timeoutMs: 10_000, identity: 'iTCO_wdt' },
        },
      },
      ['down: not heard from for 4.0 s', 'its lease and its watchdog prove it dead in a while'],
    ],
    [
      'how fencing goes',
      { ...silent, fenceDevices: 1, fencing: { attempts: 3, message: 'fence_a (1 of 1): timed out' } },
      [
        'down: not heard from for 4.0 s',
        'fencing was tried 3 times, and failed: fence_a (1 of 1): timed out',
      ],
    ],
    [
      'what proves its death',
      {
        state: 'fenced, draining',
        evidence: 'ann signed that it is dead',
        proof: { kind: 'operator', host: 'h1', atMs: NOW_MS, detail: 'ann signed that it is dead' },
        fencing: { attempts: 3, message: 'fence_a (1 of 1): timed out' },
      },
      [
        'fenced, draining: ann signed that it is dead',
        'proven dead at 2026-01-02 03:04:05: ann signed that it is dead',
      ],
    ],
    [
      'how long it is held off',
      { heldOffUntilMs: NOW_MS + 60_000 },
      ['it went down again and again: takes nothing new for another 60.0 s'],
    ],
    ['nothing of a hold-off that is over', { heldOffUntilMs: NOW_MS - 1 }, []],
  ])('%s', (_, overrides, notes) => {
    expect(livenessNotes(aRow(overrides), NOW_MS)).toEqual(notes);
  });
});
