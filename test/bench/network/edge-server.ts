import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EdgeGoal, PublishedEndpoint } from '../../../agent/protocol/network.ts';
import { EDGE, underlayOf } from '../../contract/network/fleet.ts';
import { Worker } from '../../contract/network/worker.ts';
import { waitFor } from '../../support/wait-for.ts';
import { backend, type OurHosts, REQUEST_PORT } from './our-hosts.ts';

const ROOT = join(import.meta.dirname, '../../..');
const TSX = join(ROOT, 'node_modules/tsx/dist/esm/index.mjs');
const program = (name: string) => join(ROOT, 'test/contract/edge', name);
const ADDRESS = underlayOf(EDGE);
const PORT = 8081;

/** The agent's keeper of the load balancer on the edge host, and somebody in the world who asks. */
export class EdgeServer {
  readonly #keeper: ChildProcess;
  readonly #world: Worker;
  readonly #folder: string;

  private constructor(hosts: OurHosts, folder: string) {
    this.#folder = folder;
    const node = [process.execPath, '--import', TSX];
    const folders = [join(folder, 'edge'), join(folder, 'certificates')];
    const keeper = [...node, program('keeper-program.ts'), ...folders, ADDRESS];
    this.#keeper = spawn('ip', ['netns', 'exec', hosts.namespaceOf(EDGE), ...keeper], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    this.#world = new Worker(hosts.namespaceOf('world'), [...node, program('world-program.ts')]);
  }

  static async start(hosts: OurHosts): Promise<EdgeServer> {
    return new EdgeServer(hosts, await mkdtemp('/var/tmp/weft-bench-edge-'));
  }

  readonly url = `http://${ADDRESS}:${PORT}/`;

  tell(goal: EdgeGoal): void {
    this.#keeper.stdin?.write(`${JSON.stringify(goal)}\n`);
  }

  /** @returns the body, or `failed: ` and why. */
  ask = (port = PORT) => this.#world.ask<string>({ op: 'ask', host: ADDRESS, port });

  async untilServed(port = PORT): Promise<void> {
    const isServed = (answer: string) => answer.startsWith('ready');
    await waitFor('an answer through the load balancer', () => this.ask(port), isServed, 60_000, 1);
  }

  async untilNobodyServes(port = PORT): Promise<void> {
    const isRefused = (answer: string) => answer === 'failed: Error: status 503';
    await waitFor('no backend to be left', () => this.ask(port), isRefused, 60_000, 20);
  }

  /** What it has started has been ended with its namespace. */
  async close(): Promise<void> {
    await this.#world.end();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** @param incarnations of the one backend that there is. */
export const anEndpoint = (incarnations: readonly number[], port = PORT): PublishedEndpoint => ({
  ...{ id: `crm/web/p${port}`, addresses: [ADDRESS], port, protocol: 'http', proxyProtocol: false },
  probe: { check: { type: 'http', path: '/' }, intervalMs: 2_000, timeoutMs: 2_000 },
  backends: incarnations.map((incarnation) => ({
    ...{ name: `web-1.${incarnation}`, address: backend.address, port: REQUEST_PORT },
    state: 'ready',
  })),
});
