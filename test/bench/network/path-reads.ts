import { type RunClient, requestRate, throughput } from './generators.ts';
import { REQUEST_PORT, THROUGHPUT_PORT } from './our-hosts.ts';

/** Something that is read of a path from a client to a server which has both ports. */
export interface PathRead {
  readonly what: string;
  readonly unit: string;
  readonly about: string;
  read(run: RunClient, address: string, seconds: number): Promise<number>;
}

const requests = (run: RunClient, address: string, seconds: number, anew: boolean) =>
  requestRate(run, `http://${address}:${REQUEST_PORT}/`, { connections: 1, anew, seconds });

export const PATH_READS: readonly PathRead[] = [
  {
    what: 'throughput',
    unit: 'Gbit/s',
    about: 'one TCP connection, as iperf3’s receiver counts',
    read: (run, address, seconds) => throughput(run, address, THROUGHPUT_PORT, seconds),
  },
  {
    what: 'requests',
    unit: '/s',
    about: 'wrk, one after the other on one connection: what counts is how long each takes',
    read: (run, address, seconds) => requests(run, address, seconds, false),
  },
  {
    what: 'connections',
    unit: '/s',
    about: 'the same with a connection for each request',
    read: (run, address, seconds) => requests(run, address, seconds, true),
  },
];
