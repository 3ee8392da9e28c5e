import { expect, test } from 'vitest';
import { dossierText } from '../../../controller/cli/dossier-text.ts';
import type { Dossier } from '../../../controller/client/index.ts';
import type { Stay, Successor } from '../../../controller/model/index.ts';
import { aHello } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const AT_MS = Date.UTC(2026, 10, 24, 12, 0, 9);

function aDossier(vm: Parameters<typeof aVm>[0] = {}, overrides: Partial<Dossier> = {}): Dossier {
  const { facts } = aHello('h1');
  return {
    vm: { ...aVm({ stateSinceMs: AT_MS, ...vm }) } as unknown as Dossier['vm'],
    host: { name: 'h1', state: 'up', evidence: 'it is in session', draining: false, connected: true, facts },
    consoleTail: 'web-0 login:',
    givenUp: false,
    pictures: { now: false, end: false },
    ...overrides,
  };
}

test('of a VM that is well it says where it is, why there, and on what a host', () => {
  const hosts = [{ host: 'h1', accepted: true, score: 0, reasons: ['6 % full with it'] }];
  const text = dossierText(aDossier({ placement: { atMs: 0, chosen: 'h1', hosts } }));
  expect(text.split('\n').slice(0, 4)).toEqual([
    'crm/web-0, incarnation 1: ready on h1, since 2026-11-24 12:00:09',
    '  h1: chosen – 6 % full with it',
    '── host',
    '  h1: up – it is in session',
  ]);
  expect(text).not.toContain('timeline');
  expect(text).not.toContain('login');
});

test('of one that was given up it says everything: what, why, what to do, its restarts, its times, its console and its screen', () => {
  const text = dossierText(
    aDossier(
      {
        state: 'failed',
        incarnation: 3,
        failures: 3,
        failedOn: { h1: 6, h2: 3 },
        failure: {
          code: 'guest-crash-loop',
          message: 'crm/web-0 went down 3 times in a row',
          remedy: 'See its console.',
          consoleTail: 'earlier\nKernel panic - not syncing',
        },
        restarts: {
          ...{ host: 'h1', incarnation: 3, count: 12, picture: true, consoleTail: 'not shown twice' },
          recent: [{ cause: 'panic', atMs: AT_MS, message: 'its kernel panicked' }],
        },
        steps: [
          { name: 'boot', status: 'done', startedAtMs: AT_MS, ms: 1_234 },
          { name: 'startup', status: 'failed', startedAtMs: AT_MS, ms: 7 },
        ],
        tasks: [
          {
            ...{ name: 'startup-1', kind: 'simple', status: 'failed', exitCode: 7, attempts: 2, ms: 900 },
            ...{ startedAtMs: AT_MS, output: 'one\ntwo\n' },
          },
          {
            ...{ name: 'startup-2', kind: 'simple', status: 'done', exitCode: 0, attempts: 1, ms: 900 },
            ...{ startedAtMs: AT_MS, output: 'fine\n' },
          },
        ],
      },
      { givenUp: true, pictures: { now: true, end: true } },
    ),
  );
  const told = [
    'crm/web-0, incarnation 3: failed on h1, since 2026-11-24 12:00:09',
    '  guest-crash-loop: crm/web-0 went down 3 times in a row',
    '  See its console.',
    '  it failed 6× on h1, 3× on h2 since it last was ready for a minute',
    '  it is not tried again by itself; when its cause is gone: weft reimage crm/web-0, or weft move crm/web-0',
    '── restarts',
    '  12 on h1 as incarnation 3, the last 1 of them',
    '  2026-11-24 12:00:09  panic      its kernel panicked',
    '── timeline',
    '── task startup-1: failed, exit code 7, 900 ms, try 2',
    '  two',
    '── end of the console, when it went wrong',
    '  Kernel panic - not syncing',
    '── end of the console, now',
    '  web-0 login:',
    '── screen',
    '  as it was at its last end: weft screenshot crm/web-0 FILE.png --end',
    '  as it is now: weft screenshot crm/web-0 FILE.png',
    '── host',
  ];
  const lines = text.split('\n');
  const places = told.map((line) => lines.indexOf(line));
  expect(places).not.toContain(-1);
  expect(places).toEqual([...places].sort((one, other) => one - other));
  expect(text).toMatch(/boot +done +12:00:09.000 +1234 ms/);
  expect(text).not.toContain('fine');
  expect(text).not.toContain('not shown twice');
});

test('of one on no host it says why, and of one without a screen that its console is all there is', () => {
  const none = aDossier({ state: 'pending', host: null }, { host: null, consoleTail: null });
  expect(dossierText(none).split('\n')).toEqual([
    'crm/web-0, incarnation 1: pending, since 2026-11-24 12:00:09',
    '',
  ]);
  const blind = dossierText(aDossier({ state: 'unready', failures: 1 }));
  expect(blind).toContain('none: its kernel is booted directly, and its console is all there is');
});

test('says by what proof a machine was restarted', () => {
  const detail = 'fence_a (1 of 2) says that it is off';
  const text = dossierText(aDossier({ proof: { kind: 'fence-device', host: 'h9', atMs: 0, detail } }));
  expect(text).toContain(
    '  restarted here because h9 was proven dead: fence_a (1 of 2) says that it is off, at 1970-01-01 00:00:00\n',
  );
});

test('says from where a machine was moved, what is to follow, and what keeps it', () => {
  const detail = 'the agent of h9 stopped incarnation 1 and saw that it is off';
  const text = dossierText(
    aDossier({
      proof: { kind: 'agent', host: 'h9', atMs: 0, detail },
      successor: { host: 'h2', incarnation: 4, state: 'booting' } as Successor,
      stay: { message: 'its successor failed on h3: no luck', failures: 1 } as Stay,
    }),
  );
  expect(text).toContain(`  moved here from h9: ${detail}, at 1970-01-01 00:00:00\n`);
  expect(text).toContain('  incarnation 4 is to follow it on h2: booting\n');
  expect(text).toContain('  it could not leave yet: its successor failed on h3: no luck (tried 1 times)\n');
});
