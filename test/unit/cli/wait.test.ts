import { expect, test } from 'vitest';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { Context } from '../../../controller/cli/context.ts';
import { parseTimeout, waitUntil } from '../../../controller/cli/wait.ts';
import type { VmRow, WeftClient } from '../../../controller/client/index.ts';

const aRow = (overrides: Partial<VmRow> = {}): VmRow => ({
  id: 'crm/web-0',
  app: 'crm',
  role: 'web',
  index: 0,
  kind: 'worker',
  host: 'h1',
  state: 'booting',
  address: null,
  image: 'tiny:1',
  incarnation: 1,
  overlay: null,
  step: 'boot',
  successor: null,
  failure: null,
  sinceMs: 0,
  ...overrides,
});

type Script = readonly (VmRow | 'synced' | 'away' | 'hang')[];

/** A controller whose streams of changes follow a script, one after another. */
function clientOf(...scripts: Script[]): WeftClient {
  let next = 0;
  return {
    async *followChanges(signal?: AbortSignal) {
      const script = scripts[Math.min(next++, scripts.length - 1)] ?? [];
      for (const word of script) {
        if (word === 'away') throw new WeftError('host-unreachable', 'gone');
        else if (word === 'synced') yield { event: 'synced', data: {} };
        else if (word === 'hang')
          await new Promise((_resolve, reject) => {
            signal?.addEventListener('abort', () => reject(new WeftError('host-unreachable', 'left')));
          });
        else yield { event: 'vm', data: word };
      }
    },
  } as unknown as WeftClient;
}

function contextOf(lines: string[]): Context {
  return {
    json: false,
    client: () => Promise.reject(new Error('not asked for')),
    print: () => undefined,
    say: (text) => lines.push(text),
  };
}

const ready = {
  what: 'crm ready',
  isReached: (vms: ReadonlyMap<string, VmRow>) =>
    vms.size > 0 && [...vms.values()].every((vm) => vm.state === 'ready'),
};

test('tells each change of a VM once, with its step and its host', async () => {
  const lines: string[] = [];
  const client = clientOf([
    aRow({ state: 'placing', step: null, host: null }),
    'synced',
    aRow(),
    aRow(),
    aRow({ id: 'other/web-0' }),
    aRow({ state: 'ready', step: null }),
  ]);
  await waitUntil(contextOf(lines), client, 'crm', ready, 10_000);
  expect(lines.map((line) => line.replace(/^ *\d+ ms {2}/, '').replace(/ +/, ' '))).toEqual([
    'crm/web-0 booting (boot) on h1',
    'crm/web-0 ready on h1',
  ]);
});

test('a controller that goes away is waited for, and what it says then counts', async () => {
  const lines: string[] = [];
  const client = clientOf([aRow(), 'synced', 'away'], ['away'], [aRow({ state: 'ready' }), 'synced']);
  await waitUntil(contextOf(lines), client, 'crm', ready, 10_000);
  expect(lines.join('\n')).toContain('the controller is away');
});

test('too late: the error says which VM is in the way and why, and where to look', async () => {
  const failing = aRow({
    state: 'backing-off',
    failure: { code: 'task-failed', message: 'startup-1 failed' },
  });
  const error = await waitUntil(
    contextOf([]),
    clientOf([failing, 'synced', 'hang']),
    'crm',
    ready,
    100,
  ).catch((thrown: WeftError) => thrown);
  expect(error).toMatchObject({
    code: 'timeout',
    message: expect.stringContaining('crm/web-0: backing-off, startup-1 failed'),
    remedy: expect.stringContaining('weft why crm/web-0'),
  });
});

test('what is refused is not waited out', async () => {
  const client = {
    // biome-ignore lint/correctness/useYield: it throws before there is anything to tell.
    async *followChanges() {
      throw new WeftError('unauthorized', 'no such token');
    },
  } as unknown as WeftClient;
  await expect(waitUntil(contextOf([]), client, 'crm', ready, 10_000)).rejects.toMatchObject({
    code: 'unauthorized',
  });
});

test.each([
  ['5x', 'usage'],
  ['', 'usage'],
  ['1.5h', 'usage'],
])('%s is no time to wait', (text, code) => {
  expect(() => parseTimeout(text)).toThrow(expect.objectContaining({ code }));
});
