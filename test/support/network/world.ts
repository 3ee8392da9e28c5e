import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { exec } from '../../../agent/kit/exec.ts';
import type { Lab } from '../../lab/lab.ts';
import { bridgeName, hostAddress, hostAddress6, namespaceName } from '../../lab/layout.ts';
import { endAll } from '../namespace-processes.ts';

const PROGRAM = join(import.meta.dirname, 'world.py');
export const WORLD_PORT = 8080;
/** Of its place on the lab's network, behind all hosts and public addresses. */
const NUMBER = 240;
/** Of documentation (RFC 5737, RFC 3849); each has two that serve. */
const PREFIXES = ['203.0.113.0/24', '2001:db8:cafe::/64'];
export const WORLD = {
  one: { 4: '203.0.113.7', 6: '2001:db8:cafe::7' },
  other: { 4: '203.0.113.8', 6: '2001:db8:cafe::8' },
} as const;

const ip = (...words: readonly string[]) => exec('ip', words, { timeoutMs: 20_000 });

/** What lies behind the network of a lab's hosts: two servers, each with both kinds of address, that tell who has come. */
export class World {
  readonly #namespace: string;
  readonly #link: string;

  private constructor(lab: string, number: number) {
    this.#namespace = namespaceName(lab, 'world');
    this.#link = `wworld${number}`;
  }

  static async start(lab: Lab): Promise<World> {
    const { name, number, hosts } = await lab.state();
    const world = new World(name, number);
    const [gateway, gateway6] = [hostAddress(number, NUMBER), hostAddress6(number, NUMBER)];
    await world.#wire(bridgeName(number), [`${gateway}/24`, `${gateway6}/64`]);
    for (const host of hosts) {
      await lab.exec(host.name, ['ip', 'route', 'add', String(PREFIXES[0]), 'via', gateway]);
      await lab.exec(host.name, ['ip', 'route', 'add', String(PREFIXES[1]), 'via', gateway6]);
    }
    await world.#serve();
    return world;
  }

  async #wire(bridge: string, addresses: readonly string[]): Promise<void> {
    const inside = (...words: readonly string[]) => ip('-n', this.#namespace, ...words);
    await ip('netns', 'add', this.#namespace);
    await ip('link', 'add', this.#link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.#namespace);
    await ip('link', 'set', this.#link, 'master', bridge, 'up');
    for (const address of addresses)
      await inside('address', 'add', address, 'dev', 'eth0', ...(address.includes(':') ? ['nodad'] : []));
    for (const { 4: four, 6: six } of Object.values(WORLD)) {
      await inside('address', 'add', `${four}/32`, 'dev', 'lo');
      await inside('address', 'add', `${six}/128`, 'dev', 'lo', 'nodad');
    }
    for (const link of ['lo', 'eth0']) await inside('link', 'set', link, 'up');
  }

  async #serve(): Promise<void> {
    const addresses = Object.values(WORLD).flatMap((each) => Object.values(each));
    const words = ['netns', 'exec', this.#namespace, 'python3', PROGRAM, String(WORLD_PORT), ...addresses];
    const server: ChildProcess = spawn('ip', words, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(server, 'exit').then(([code]) => {
      throw new Error(`the world's server ended with ${code}`);
    });
    if (server.stdout) await Promise.race([once(server.stdout, 'data'), ended]);
    ended.catch(() => undefined);
  }

  /** Hosts keep their routes: they lead nowhere. */
  async stop(): Promise<void> {
    await endAll(this.#namespace);
    await ip('netns', 'delete', this.#namespace);
  }
}
