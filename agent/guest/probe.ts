import { get } from 'node:http';
import { createConnection } from 'node:net';
import { requestPath } from '../kit/request-path.ts';
import type { Endpoint } from '../protocol/index.ts';
import { quote } from './quote.ts';
import type { SshSession } from './ssh-session.ts';

/** One try of an endpoint's probe, from this host to the guest. Never throws. @returns null when it passed, else why not. */
export async function tryProbe(
  endpoint: Endpoint,
  address: string,
  session: SshSession,
): Promise<string | null> {
  const { probe, targetPort, name } = endpoint;
  if (!probe) return null;
  const { check, timeoutMs } = probe;
  switch (check.type) {
    case 'tcp':
      return tryTcp(address, targetPort, timeoutMs);
    case 'http':
      return tryHttp(address, targetPort, check.path, timeoutMs);
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

function tryTcp(host: string, port: number, timeoutMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: timeoutMs });
    const end = (why: string | null) => {
      socket.destroy();
      resolve(why);
    };
    socket.once('connect', () => end(null));
    socket.once('timeout', () => end(`no answer on port ${port} within ${timeoutMs} ms`));
    socket.once('error', (error) => end(`port ${port}: ${error.message}`));
  });
}

/** Any answer from 200 to 399 passes; its body is not read. */
function tryHttp(host: string, port: number, path: string, timeoutMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const call = get(
      { host, port, path: requestPath(path), agent: false, signal: AbortSignal.timeout(timeoutMs) },
      (response) => {
        response.destroy();
        const status = response.statusCode ?? 0;
        resolve(status >= 200 && status < 400 ? null : `http ${path} on port ${port} answered ${status}`);
      },
    );
    call.on('error', (error) => resolve(`http ${path} on port ${port}: ${error.message}`));
  });
}
