import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serve } from './programs.ts';

const TIMES = ['timeout connect 5s', 'timeout client 1m', 'timeout server 1m'];
const HEAD = ['global', 'maxconn 4000', 'defaults', 'mode http', ...TIMES, 'listen web'];

const ANSWER = 'http-request return status 200 content-type text/plain string ready';

/** A server that answers at once, so that what lies before it is what is measured. */
export const startWebServer = (folder: string, namespace: string, port: number) =>
  startHaproxy(folder, namespace, port, [ANSWER]);

/** The same, as a file for HAProxy. */
export const webServerText = (port: number): string => textOf(port, [ANSWER]);

/** HAProxy with as little configuration as does the same. */
export const startPlainBalancer = (folder: string, namespace: string, port: number, target: string) =>
  startHaproxy(folder, namespace, port, [`server one ${target}`]);

async function startHaproxy(
  folder: string,
  namespace: string,
  port: number,
  lines: readonly string[],
): Promise<void> {
  const file = join(folder, `${namespace}-${port}.cfg`);
  await writeFile(file, textOf(port, lines));
  await serve(namespace, port, ['haproxy', '-db', '-f', file]);
}

const textOf = (port: number, lines: readonly string[]): string =>
  `${[...HEAD, `bind :${port}`, ...lines].join('\n')}\n`;
