import { stripVTControlCharacters } from 'node:util';
import type { TaskResult } from '../../agent/protocol/index.ts';
import type { VmDetail, WeftClient } from '../client/index.ts';

/** Where the agent keeps the output of a role's process in its guest. First line: how often it was started. */
const READ = 'cd /var/lib/weft/services/role 2>/dev/null && wc -l <starts && tail -c 60000 log';
const LIMIT_MS = 15_000;
const STDOUT = 1;
const RUNNING = new Set(['starting', 'ready', 'unready']);

/** The output of a role's process as it is now, read in its guest. Null: it has none, or its guest does not answer. */
export async function readRoleLog(client: WeftClient, vm: VmDetail): Promise<TaskResult | null> {
  if (vm.role === null || !RUNNING.has(vm.state)) return null;
  const text = await readInGuest(client, vm.id);
  if (text === null) return null;
  const [starts = '', ...lines] = text.split('\n');
  return {
    name: 'start',
    kind: 'background',
    status: 'running',
    exitCode: null,
    attempts: Number.parseInt(starts, 10) || 0,
    startedAtMs: vm.readyAtMs ?? vm.stateSinceMs,
    ms: Math.max(0, Date.now() - (vm.readyAtMs ?? vm.stateSinceMs)),
    output: printable(lines.join('\n')),
  };
}

function readInGuest(client: WeftClient, id: string): Promise<string | null> {
  const socket = client.openSsh(id, { command: READ, tty: false, cols: 80, rows: 24 });
  const chunks: Buffer[] = [];
  return new Promise<string | null>((resolve) => {
    const timer = setTimeout(() => socket.close(), LIMIT_MS);
    let exit: number | null = null;
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary && data[0] === STDOUT) chunks.push(data.subarray(1));
      else if (!isBinary) exit = (JSON.parse(data.toString('utf8')) as { code?: number }).code ?? null;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(exit === 0 ? Buffer.concat(chunks).toString('utf8') : null);
    });
  });
}

/** A guest's word must not drive the reader's terminal. */
const printable = (text: string): string =>
  stripVTControlCharacters(text).replace(/\p{Cc}/gu, (character) =>
    character === '\n' || character === '\t' ? character : '',
  );
