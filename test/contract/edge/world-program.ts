import { Agent, createServer, get, type Server } from 'node:http';
import { get as getByTls, Agent as TlsAgent } from 'node:https';
import { connect, type Server as TcpServer, createServer as tcpServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { SteadyConnects } from '../../support/steady-connects.ts';

/** The guests behind load balancers, and those who ask them: commands come in, answers go out, one a line. */
interface Command {
  readonly id: number;
  readonly op:
    | 'serve'
    | 'close'
    | 'listen'
    | 'load'
    | 'end'
    | 'ask'
    | 'hold'
    | 'again'
    | 'closed'
    | 'release'
    | 'connects';
  readonly name?: string;
  readonly address?: string;
  readonly port?: number;
  readonly host?: string;
  readonly path?: string;
  /** Load by HTTPS; by whom a certificate is signed is no matter. */
  readonly tls?: boolean;
  /** Of the asker, one of this network's. Absent: the first. */
  readonly localAddress?: string;
  /** What the asker says of itself. */
  readonly forwardedFor?: string;
}

interface Load {
  ok: number;
  readonly failures: string[];
  readonly by: Record<string, number>;
  ended: boolean;
  readonly workers: Promise<void>[];
}

const servers = new Map<string, Server | TcpServer>();
const loads = new Map<string, Load>();
/** The one that goes on connecting. */
let connects: SteadyConnects | null = null;
const held = new Map<string, ReturnType<typeof connect>>();
const REQUEST_LIMIT_MS = 20_000;
/** Of each client between two requests: what is looked for are failures, not figures. */
const PAUSE_MS = 5;

function request(
  host: string,
  port: number,
  agent: Agent,
  { path = '/', forwardedFor, localAddress }: Pick<Command, 'path' | 'forwardedFor' | 'localAddress'> = {},
): Promise<string> {
  const headers = forwardedFor === undefined ? {} : { 'X-Forwarded-For': forwardedFor };
  return new Promise((resolve, reject) => {
    const ask = agent instanceof TlsAgent ? getByTls : get;
    const from = localAddress === undefined ? {} : { localAddress };
    const call = ask({ host, port, agent, headers, path, timeout: REQUEST_LIMIT_MS, ...from }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => (text += chunk));
      answer.once('end', () =>
        answer.statusCode === 200 ? resolve(text) : reject(new Error(`status ${answer.statusCode}`)),
      );
      answer.once('error', reject);
    });
    call.once('timeout', () => call.destroy(new Error('no answer in time')));
    call.once('error', reject);
  });
}

function begin(host: string, port: number, tls: boolean): Load {
  const load: Load = { ok: 0, failures: [], by: {}, ended: false, workers: [] };
  const loop = async (keepAlive: boolean) => {
    const agent = tls
      ? new TlsAgent({ keepAlive, maxSockets: 1, rejectUnauthorized: false })
      : new Agent({ keepAlive, maxSockets: 1 });
    while (!load.ended) {
      try {
        const name = (await request(host, port, agent)).split(' ')[0] ?? '';
        load.ok++;
        load.by[name] = (load.by[name] ?? 0) + 1;
      } catch (error) {
        load.failures.push(String(error));
      }
      await sleep(PAUSE_MS);
    }
    agent.destroy();
  };
  for (let index = 0; index < 6; index++) load.workers.push(loop(index % 2 === 0));
  return load;
}

const listening = (server: Server | TcpServer, port: number, address: string) =>
  new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, () => resolve());
  });

async function run(command: Command): Promise<unknown> {
  const { op, name = '', address = '', port = 80, host = '', tls = false } = command;
  if (op === 'serve') {
    const server = createServer((asked, answer) => answer.end(`${name} ${asked.headers['x-forwarded-for']}`));
    await listening(server, port, address);
    servers.set(name, server);
  } else if (op === 'listen') {
    const server = tcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (data) => socket.write(`${name} ${data.toString('latin1')}`));
    });
    await listening(server, port, address);
    servers.set(name, server);
  } else if (op === 'connects') {
    const before = connects;
    connects = name === 'end' ? null : new SteadyConnects(host, port);
    return before?.stop() ?? null;
  } else if (op === 'closed') return held.get(name)?.destroyed !== false;
  else if (op === 'close') {
    const server = servers.get(name);
    if (server && 'closeAllConnections' in server) server.closeAllConnections();
    server?.close();
  } else if (op === 'load') loads.set(name, begin(host, port, tls));
  else if (op === 'end') {
    const load = loads.get(name);
    if (!load) return null;
    load.ended = true;
    await Promise.all(load.workers);
    return { ok: load.ok, failures: load.failures.length, first: load.failures.slice(0, 3), by: load.by };
  } else if (op === 'ask')
    return request(host, port, new Agent(), command).catch((error) => `failed: ${error}`);
  else if (op === 'hold') {
    const { localAddress } = command;
    const socket = connect({ port, host, ...(localAddress === undefined ? {} : { localAddress }) });
    held.set(name, socket);
    return new Promise((resolve) => {
      socket.once('data', (data) => resolve(data.toString('latin1')));
      socket.once('error', (error) => resolve(`failed: ${error}`));
      socket.once('close', () => resolve('failed: closed'));
      socket.once('connect', () => socket.write('hello'));
    });
  } else if (op === 'again') {
    const socket = held.get(name);
    return new Promise((resolve) => {
      socket?.once('data', (data) => resolve(data.toString('latin1')));
      socket?.once('close', () => resolve('failed: closed'));
      if (socket?.destroyed === false) socket.write('again');
      else resolve('failed: closed');
    });
  } else held.get(name)?.destroy();
  return null;
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line) as Command;
    void run(command)
      .catch((error) => ({ error: String(error) }))
      .then((answer) => process.stdout.write(`${JSON.stringify({ id: command.id, answer })}\n`));
  })
  .on('close', () => process.exit(0));
