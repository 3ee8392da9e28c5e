import type { Flow } from '../../../agent/protocol/index.ts';
import { aGuest, FLOWS, type Guest, HOSTS, MESH, partOf, ROLES } from '../../contract/network/fleet.ts';
import { Stage } from '../../contract/network/stage.ts';
import { bridgePlainly } from './generators.ts';
import { endNamespaces } from './namespaces.ts';

/** Ports of what is measured; those of the stage's own programs are others. */
export const THROUGHPUT_PORT = 5201;
export const REQUEST_PORT = 8080;
/** Guests of each role and declared flows that are in rules and routes and do nothing: the tables are those of a fleet in use. */
const OTHER_GUESTS = 60;
const OTHER_FLOWS = 100;
/** Guests' connections are looked at as ever, and none is too many: what is measured is what they cost. */
const NO_PACE = { perSecond: 1_000_000, max: 1_000_000 };
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export const client = aGuest('crm/web', 0, 'h1');
export const server = aGuest('crm/db', 0, 'h2');
/** What the load balancer of the edge host serves. */
export const backend = aGuest('crm/web', 1, 'h2');

const tcp = (id: string, from: string, to: string, port: number): Flow => ({
  ...{ id, from: [from], to, port },
  protocol: 'tcp',
});

const flows: readonly Flow[] = [
  ...FLOWS,
  tcp('crm/db/throughput', 'crm/web', 'crm/db', THROUGHPUT_PORT),
  tcp('crm/db/requests', 'crm/web', 'crm/db', REQUEST_PORT),
  tcp('crm/web/requests', 'edge', 'crm/web', REQUEST_PORT),
  ...Array.from({ length: OTHER_FLOWS }, (_, index) =>
    tcp(`shop/web/other-${index}`, 'crm/web', 'shop/web', 10_000 + index),
  ),
];

const others: readonly Guest[] = ROLES.filter((role) => role !== MESH).flatMap((role) =>
  Array.from({ length: OTHER_GUESTS }, (_, index) =>
    aGuest(role, 10 + index, HOSTS[index % HOSTS.length] ?? ''),
  ),
);

/** Three hosts with the rules, links and routes of the agent's own network code, and guests as namespaces. */
export class OurHosts {
  readonly stage = new Stage(null, null, Object.fromEntries(HOSTS.map((host) => [host, NO_PACE])));
  /** Asked for at the end, and by a signal that may come meanwhile. */
  #closed: Promise<void> | null = null;

  async open(): Promise<void> {
    const guests = [client, server, backend];
    for (const signal of SIGNALS) process.once(signal, this.#stop);
    await this.stage.open();
    for (const where of [...HOSTS, 'world']) await bridgePlainly(this.namespaceOf(where));
    // As in a fleet, rules are there before guests are, and are looked at again when they have come.
    await this.#apply([...guests, ...others]);
    for (const guest of guests) await this.stage.addGuest(guest);
    await this.#apply([...guests, ...others]);
  }

  namespaceOf = (where: string) => this.stage.namespace(where);

  /** With all that runs in namespaces of this stage, and these. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    for (const signal of SIGNALS) process.off(signal, this.#stop);
    await endNamespaces(this.namespaceOf(''));
    await this.stage.close();
  }

  #stop = () => void this.close().finally(() => process.exit(1));

  #apply = (guests: readonly Guest[]) =>
    Promise.all(
      HOSTS.map((host) =>
        this.stage.host(host).router.ask({ do: 'apply', part: partOf(host, guests, flows) }),
      ),
    );
}
