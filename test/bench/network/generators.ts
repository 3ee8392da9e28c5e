import { exec } from '../../../agent/kit/exec.ts';
import { run as runIn } from './programs.ts';

const LIMIT_MS = 30_000;

/** Runs a command where clients are. @returns what it printed. */
export type RunClient = (command: readonly string[]) => Promise<string>;

export const inNamespace =
  (namespace: string): RunClient =>
  async (command) =>
    (await runIn(namespace, command)).stdout;

/** Between two programs, all with one connection. @returns Gbit/s, as the receiver counts them. */
export async function throughput(
  run: RunClient,
  address: string,
  port: number,
  seconds: number,
): Promise<number> {
  const stdout = await run([
    ...['iperf3', '--client', address, '--port', String(port), '--json'],
    ...['--time', String(seconds), '--omit', '1'],
  ]);
  const { end } = JSON.parse(stdout) as { end: { sum_received: { bits_per_second: number } } };
  return end.sum_received.bits_per_second / 1e9;
}

export interface Load {
  readonly connections: number;
  /** Whether each request has a connection of its own. */
  readonly anew: boolean;
  readonly seconds: number;
}

/** @returns requests that were answered, a second. @throws when one of them was not. */
export async function requestRate(run: RunClient, url: string, load: Load): Promise<number> {
  const stdout = await run([
    ...['wrk', '--threads', '1', '--connections', String(load.connections)],
    ...['--duration', `${load.seconds}s`, '--timeout', '10s'],
    ...(load.anew ? ['--header', 'Connection: close'] : []),
    url,
  ]);
  const rate = Number(/^Requests\/sec:\s+([\d.]+)$/m.exec(stdout)?.[1]);
  if (!(rate > 0) || /Non-2xx|Socket errors/.test(stdout))
    throw new Error(`not all was answered:\n${stdout}`);
  return rate;
}

/** A client that makes thousands of connections a second to one address is not to run out of ports, which are held for a minute each. */
export async function reusePorts(run: RunClient): Promise<void> {
  await run([
    ...['sh', '-c'],
    'echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse && echo 10240 65535 >/proc/sys/net/ipv4/ip_local_port_range',
  ]);
}

/**
 * What bridges pass on goes by the firewall of IP as well only where a host wants it, and has the kernel's module `br_netfilter` for that, as
 * with Docker. Here it is built into some kernels and switched on in each new namespace.
 */
export async function bridgePlainly(namespace: string): Promise<void> {
  const settings = ['iptables', 'ip6tables', 'arptables'].map(
    (what) => `net.bridge.bridge-nf-call-${what}=0`,
  );
  await exec('ip', ['netns', 'exec', namespace, 'sysctl', '-qew', ...settings], { timeoutMs: LIMIT_MS });
}
