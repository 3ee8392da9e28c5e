import { connect } from 'node:net';
import { WeftError } from '../kit/errors.ts';

const LIMIT_MS = 5_000;
const MAXIMUM_BYTES = 32 * 1024 * 1024;

/**
 * Asks HAProxy's command line through its unix socket, and reads the answer to its end.
 * @param commands of one line each.
 * @throws WeftError `host-unreachable` when nobody answers.
 */
export function askHaproxy(socket: string, commands: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => {
      stream.destroy();
      reject(new WeftError('host-unreachable', 'the load balancer does not answer', { cause }));
    };
    const chunks: Buffer[] = [];
    let bytes = 0;
    const stream = connect(socket);
    stream.setTimeout(LIMIT_MS, () => fail(new Error(`no answer within ${LIMIT_MS} ms`)));
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAXIMUM_BYTES) fail(new Error('its answer is too long'));
    });
    stream.once('error', fail);
    stream.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    stream.end(`${commands.join(';')}\n`);
  });
}

export interface Worker {
  readonly pid: number;
  /** Takes new connections; the others live on for those that they have. */
  readonly isCurrent: boolean;
}

export interface Processes {
  readonly workers: readonly Worker[];
  /** Reloads that came to nothing. */
  readonly failedReloads: number;
}

/** Reads `show proc` of a master. */
export function parseProcesses(text: string): Processes {
  const workers: Worker[] = [];
  let failedReloads = 0;
  let part = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('#') && !line.startsWith('#<')) part = line.slice(1).trim();
    failedReloads = Number(/\[failed: (\d+)\]/.exec(line)?.[1] ?? failedReloads);
    const [, pid, type] = /^(\d+)\s+(\w+)\s/.exec(line) ?? [];
    if (pid !== undefined && type === 'worker')
      workers.push({ pid: Number(pid), isCurrent: part === 'workers' });
  }
  return { workers, failedReloads };
}

/** A server as a worker has it, by `show servers state`. */
export interface RuntimeServer {
  readonly proxy: string;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly admin: 'ready' | 'drain' | 'maint';
}

const ADMIN_MAINTENANCE = 0x01 | 0x02 | 0x04 | 0x20 | 0x40;
const ADMIN_DRAIN = 0x08 | 0x10;

/** Columns of its first version: https://docs.haproxy.org/2.6/management.html (show servers state). */
export function parseServers(text: string): readonly RuntimeServer[] {
  return text.split('\n').flatMap((line): RuntimeServer[] => {
    const fields = line.split(' ');
    const [, proxy, , name, address, , adminState] = fields;
    if (!/^\d+ \S+ \d+ /.test(line) || !proxy || !name || !address) return [];
    const admin = Number(adminState);
    const state = admin & ADMIN_MAINTENANCE ? 'maint' : admin & ADMIN_DRAIN ? 'drain' : 'ready';
    return [{ proxy, name, address, port: Number(fields[18]), admin: state }];
  });
}

/** A line of `show stat`. */
export interface Statistics {
  readonly proxy: string;
  /** `FRONTEND`, `BACKEND`, or a server's name. */
  readonly name: string;
  readonly status: string;
  readonly sessions: number;
  readonly connections: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Connections and requests that a rule has refused. */
  readonly denied: number;
  /** Of a backend: connections and requests that came to none of its servers. */
  readonly failed: number;
}

/** What it is of: a proxy's frontend or backend, or one of its servers. */
export const pathOf = ({ proxy, name }: Pick<Statistics, 'proxy' | 'name'>): string => `${proxy}/${name}`;

/** Columns go by their names in the first line. */
export function parseStatistics(text: string): readonly Statistics[] {
  const [head = '', ...lines] = text.split('\n');
  const names = head.replace(/^# /, '').split(',');
  const column = (name: string) => names.indexOf(name);
  const [proxy, name, status] = [column('pxname'), column('svname'), column('status')];
  const [sessions, connections, bytesIn, bytesOut] = ['scur', 'stot', 'bin', 'bout'].map(column);
  const [deniedConnections, deniedRequests, failed] = ['dcon', 'dreq', 'econ'].map(column);
  return lines.flatMap((line): Statistics[] => {
    const fields = line.split(',');
    if (fields.length < 10) return [];
    const count = (index: number | undefined) => Number(fields[index ?? -1] ?? 0) || 0;
    return [
      {
        proxy: fields[proxy] ?? '',
        name: fields[name] ?? '',
        status: fields[status] ?? '',
        sessions: count(sessions),
        connections: count(connections),
        bytesIn: count(bytesIn),
        bytesOut: count(bytesOut),
        denied: count(deniedConnections) + count(deniedRequests),
        failed: count(failed),
      },
    ];
  });
}
