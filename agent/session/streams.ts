import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import WebSocket, { createWebSocketStream } from 'ws';
import type { ConsoleStream } from '../hypervisor/driver.ts';
import type { Logger } from '../kit/log.ts';
import type { OpenStream, RuleCounters, RuleQuestion } from '../protocol/index.ts';
import { dialGuest } from './guest-dial.ts';
import type { Identity } from './identity.ts';

export interface StreamTargets {
  openConsole(vmId: string): Promise<ConsoleStream>;
  /** Address of the guest. @throws WeftError `not-found`. */
  address(vmId: string): string;
  consoleLog(vmId: string, bytes: number): Promise<string>;
  screenshot(vmId: string, of: 'now' | 'end'): Promise<Uint8Array>;
  ruleCounters(question: RuleQuestion): Promise<RuleCounters>;
}

const SSH_PORT = 22;
const CONNECT_LIMIT_MS = 10_000;

/**
 * Dials the controller back and joins the connection to a console, a guest's SSH port, the console's log, or a picture of the screen. The host needs
 * no open port. A target that cannot be had closes the connection with the reason.
 */
export async function serveStream(
  request: OpenStream,
  targets: StreamTargets,
  identity: Identity,
  log: Logger,
): Promise<void> {
  const socket = new WebSocket(`wss://${identity.controller}/agent/v1/streams/${request.streamId}`, {
    ca: identity.ca,
    cert: identity.certificate,
    key: identity.key,
    perMessageDeflate: false,
    handshakeTimeout: CONNECT_LIMIT_MS,
  });
  const line = createWebSocketStream(socket);
  line.on('error', () => undefined);
  const opened = once(socket, 'open').catch(() => undefined);
  try {
    const target = await openTarget(request, targets);
    target.on('error', () => undefined);
    await pipeline(line, target, line);
  } catch (error) {
    log.info({ err: error, vm: request.vmId, target: request.target.kind }, 'a stream ended');
    const reason = error instanceof Error ? error.message : String(error);
    // Who asked waits for this connection: what fails sooner than it opens would leave it waiting.
    if (socket.readyState === WebSocket.CONNECTING) await opened;
    if (socket.readyState === WebSocket.OPEN) socket.close(1011, reason.slice(0, 120));
  } finally {
    line.destroy();
  }
}

async function openTarget(request: OpenStream, targets: StreamTargets): Promise<Duplex> {
  switch (request.target.kind) {
    case 'console':
      return duplexOf(await targets.openConsole(request.vmId));
    case 'console-log':
      return bytesOf(Buffer.from(await targets.consoleLog(request.vmId, request.target.bytes)));
    case 'screenshot':
      return bytesOf(await targets.screenshot(request.vmId, request.target.of));
    case 'rule-counters':
      return bytesOf(Buffer.from(JSON.stringify(await targets.ruleCounters(request.target))));
    case 'ssh':
      return dialGuest({ host: targets.address(request.vmId), port: SSH_PORT, limitMs: CONNECT_LIMIT_MS });
    case 'migration':
      throw new Error('a migration is carried by connections of its own');
  }
}

/** Gives bytes and their end, and takes whatever comes: a pipeline wants both sides. */
function bytesOf(bytes: Uint8Array): Duplex {
  return new Duplex({
    read() {
      if (bytes.length > 0) this.push(bytes);
      this.push(null);
    },
    write: (_chunk, _encoding, done) => done(),
  });
}

function duplexOf(console: ConsoleStream): Duplex {
  const reader = console.readable.getReader();
  return new Duplex({
    read() {
      reader.read().then(
        ({ done, value }) => this.push(done ? null : Buffer.from(value)),
        (error: Error) => this.destroy(error),
      );
    },
    write(chunk: Buffer, _encoding, done) {
      console.write(chunk).then(
        () => done(),
        (error: Error) => done(error),
      );
    },
    destroy(error, done) {
      console.close().then(
        () => done(error),
        () => done(error),
      );
    },
  });
}
