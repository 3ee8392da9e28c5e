import type { Duplex } from 'node:stream';
import ssh2 from 'ssh2';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import { WeftError } from '../../agent/kit/errors.ts';
import { untilReady } from '../../agent/kit/ssh-ready.ts';
import { reasonOf } from '../fleet/pending-streams.ts';
import { secretsOfVm } from '../fleet/vm-secrets.ts';
import type { VmRecord } from '../model/records.ts';
import type { ApiContext } from './context.ts';
import { document, vmIdOf, vmParams } from './schemas.ts';
import type { Api } from './server.ts';
import { openChannel, parseControl } from './ssh-channel.ts';
import { placedVm } from './vms.ts';

const HANDSHAKE_LIMIT_MS = 30_000;
/** The other side is slow: wait before taking more. */
const HIGH_WATER_BYTES = 1 << 20;

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;

/** Interactive streams into a VM. Frames are described in docs/architecture.md. */
export function streamRoutes(api: Api, context: ApiContext): void {
  api.get(
    '/v1/vms/:app/:name/console',
    {
      websocket: true,
      schema: { description: 'WebSocket: the serial console, binary both ways.', params: vmParams },
    },
    (socket, request) => {
      void serve(socket, async () => {
        const vm = await placedVm(context, vmIdOf(request.params));
        const stream = await context.fleet.openStream(vm.host, vm.id, { kind: 'console' });
        socket.on('message', (data: Buffer) => stream.write(data));
        socket.on('close', () => stream.destroy());
        forward(stream, socket, (chunk) => chunk);
        stream.on('close', () => socket.close(1000));
        stream.on('error', () => socket.close(1011));
      });
    },
  );
  api.get(
    '/v1/vms/:app/:name/ssh',
    {
      websocket: true,
      schema: {
        description: 'WebSocket: a command or a shell in the guest, by SSH.',
        params: vmParams,
        querystring: z.object({
          command: z.string().max(65_536).optional(),
          tty: z.enum(['true', 'false']).default('false'),
          cols: z.coerce.number().int().min(1).max(1000).default(80),
          rows: z.coerce.number().int().min(1).max(1000).default(24),
        }),
      },
    },
    (socket, request) => {
      void serve(socket, () => bridgeSsh(context, socket, vmIdOf(request.params), request.query));
    },
  );
  api.get(
    '/v1/vms/:app/:name/console-log',
    {
      schema: {
        description: 'The end of the serial console’s log.',
        params: vmParams,
        response: { 200: document },
      },
    },
    async ({ params }) => {
      const vm = await placedVm(context, vmIdOf(params));
      const stream = await context.fleet.openStream(vm.host, vm.id, { kind: 'console-log', bytes: 16_000 });
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      return { text: Buffer.concat(chunks).toString('utf8') };
    },
  );
}

async function serve(socket: WebSocket, work: () => Promise<void>): Promise<void> {
  socket.on('error', () => undefined);
  try {
    await work();
  } catch (thrown) {
    socket.send(JSON.stringify({ type: 'error', error: WeftError.from(thrown).toDocument() }));
    socket.close(1011);
  }
}

/** The controller is the SSH client: the VM's private key never leaves it. */
async function bridgeSsh(
  context: ApiContext,
  socket: WebSocket,
  id: string,
  query: { command?: string | undefined; tty: 'true' | 'false'; cols: number; rows: number },
): Promise<void> {
  // What comes before the channel stands is kept.
  const early: { data: Buffer; isBinary: boolean }[] = [];
  const keep = (data: Buffer, isBinary: boolean) => early.push({ data, isBinary });
  socket.on('message', keep);
  const vm = await placedVm(context, id);
  const secrets = await secretsOfVm(context.store, context.secrets, vm);
  const line = await context.fleet.openStream(vm.host, vm.id, { kind: 'ssh' });
  socket.on('close', () => line.destroy());
  const client = await connect(line, vm, secrets);
  socket.on('close', () => client.end());
  client.on('close', () => socket.close(1000));
  const { channel, exitCode } = await openChannel(client, {
    command: query.command ?? null,
    terminal: query.tty === 'true' ? { cols: query.cols, rows: query.rows } : null,
  });
  const onMessage = (data: Buffer, isBinary: boolean) => {
    if (isBinary) {
      if (data[0] === STDIN) channel.write(data.subarray(1));
      return;
    }
    const message = parseControl(data.toString('utf8'));
    if (message?.type === 'eof') channel.end();
    if (message?.type === 'resize') channel.setWindow(message.rows, message.cols, 0, 0);
  };
  socket.off('message', keep);
  socket.on('message', onMessage);
  for (const { data, isBinary } of early) onMessage(data, isBinary);
  forward(channel, socket, (chunk) => Buffer.concat([Buffer.from([STDOUT]), chunk]));
  forward(channel.stderr as unknown as Duplex, socket, (chunk) =>
    Buffer.concat([Buffer.from([STDERR]), chunk]),
  );
  channel.on('close', () => {
    socket.send(JSON.stringify({ type: 'exit', code: exitCode() }));
    client.end();
    socket.close(1000);
  });
}

async function connect(
  line: Duplex,
  vm: VmRecord,
  secrets: { userPrivateKey: string; hostPublicKey: string },
): Promise<ssh2.Client> {
  const client = new ssh2.Client();
  const expected = vm.image?.seed === 'none' ? undefined : secrets.hostPublicKey.split(' ')[1];
  const ready = untilReady(client);
  client.connect({
    sock: line,
    username: vm.image?.sshUser ?? 'root',
    privateKey: secrets.userPrivateKey,
    readyTimeout: HANDSHAKE_LIMIT_MS,
    keepaliveInterval: 5_000,
    hostVerifier: (key: Buffer) => expected === undefined || key.toString('base64') === expected,
    algorithms: expected === undefined ? {} : { serverHostKey: ['ssh-ed25519'] },
  });
  try {
    await ready;
  } catch (error) {
    const why = reasonOf(line) ?? (error as Error).message;
    throw new WeftError('guest-unreachable', `no SSH to ${vm.id}: ${why}`, {
      remedy: `Look at its state and its console: weft why ${vm.id}; weft console ${vm.id}`,
    });
  }
  return client;
}

/** Sends what a stream has, no faster than the socket takes it. */
function forward(stream: Duplex, socket: WebSocket, frame: (chunk: Buffer) => Buffer): void {
  stream.on('data', (chunk: Buffer) => {
    if (socket.readyState !== socket.OPEN) return;
    socket.send(frame(chunk), () => {
      if (stream.isPaused() && socket.bufferedAmount < HIGH_WATER_BYTES) stream.resume();
    });
    if (socket.bufferedAmount > HIGH_WATER_BYTES) stream.pause();
  });
}
