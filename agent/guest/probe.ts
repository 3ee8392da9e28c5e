import { get } from 'node:http';
import { createConnection, type Socket } from 'node:net';
import { requestPath } from '../kit/request-path.ts';
import type { Endpoint } from '../protocol/index.ts';
import { PROXY_LOCAL } from './proxy-header.ts';
import { quote } from './quote.ts';
import type { SshSession } from './ssh-session.ts';

/** One try of an endpoint's probe, from this host to the guest. Never throws. @returns null when it passed, else why not. */
export async function tryProbe(
  endpoint: Endpoint,
  address: string,
  session: SshSession,
): Promise<string | null> {
  const { probe, targetPort, name, proxyProtocol = false } = endpoint;
  if (!probe) return null;
  const { check, timeoutMs } = probe;
  switch (check.type) {
    case 'tcp':
      return tryTcp({ host: address, port: targetPort, timeoutMs, proxyProtocol });
    case 'http':
      return tryHttp({ host: address, port: targetPort, timeoutMs, proxyProtocol }, check.path);
    case 'exec': {
      const result = await session
        .run('sh -s', {
          input: `cd /var/lib/weft/app\n. /var/lib/weft/env\nsh -c ${quote(check.command)}\n`,
          timeoutMs,
        })
        .catch((error: Error) => error);
      if (result instanceof Error) return `${name}: ${result.message}`;
      return result.exitCode === 0 ? null : `${name}: the check ended with exit code ${result.exitCode}`;
    }
  }
}

interface Place {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  /** Its server takes nothing before the PROXY protocol's header. */
  readonly proxyProtocol: boolean;
}

function tryTcp({ host, port, timeoutMs, proxyProtocol }: Place): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: timeoutMs });
    const end = (why: string | null) => {
      socket.destroy();
      resolve(why);
    };
    socket.once('connect', () => (proxyProtocol ? socket.end(PROXY_LOCAL, () => end(null)) : end(null)));
    socket.once('timeout', () => end(`no answer on port ${port} within ${timeoutMs} ms`));
    socket.once('error', (error) => end(`port ${port}: ${error.message}`));
  });
}

/** Any answer from 200 to 399 passes; its body is not read. */
function tryHttp({ host, port, timeoutMs, proxyProtocol }: Place, path: string): Promise<string | null> {
  const connection = proxyProtocol ? { createConnection: () => greeting(host, port) } : { agent: false };
  return new Promise((resolve) => {
    const call = get(
      { host, port, path: requestPath(path), ...connection, signal: AbortSignal.timeout(timeoutMs) },
      (response) => {
        response.destroy();
        const status = response.statusCode ?? 0;
        resolve(status >= 200 && status < 400 ? null : `http ${path} on port ${port} answered ${status}`);
      },
    );
    call.on('error', (error) => resolve(`http ${path} on port ${port}: ${error.message}`));
  });
}

/** A connection on which the header is ahead of whatever is asked. */
function greeting(host: string, port: number): Socket {
  const socket = createConnection({ host, port });
  socket.write(PROXY_LOCAL);
  return socket;
}
