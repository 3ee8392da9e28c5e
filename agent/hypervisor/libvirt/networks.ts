import {
  type Connection,
  ErrorCode,
  isLibvirtError,
  type Network,
  NetworkUpdateCommand,
  NetworkUpdateSection,
} from '@weft/node-libvirt';
import { ExclusiveRunner } from '../../kit/exclusive-runner.ts';
import type { NetworkSpec, NetworkView, ResolverView } from '../driver.ts';
import { requireOurs } from '../marks.ts';
import { resolverIn } from '../resolver-view.ts';
import { composeLeaseXml, composeNetworkXml, readNetworkXml } from './network-xml.ts';

const LIMIT = { timeoutMs: 30_000 };
type Lease = NetworkSpec['leases'][number];

/** libvirt networks of one fleet. Changes of one network follow each other. */
export class LibvirtNetworks {
  readonly #fleet: string;
  readonly #runner = new ExclusiveRunner();

  constructor(fleet: string) {
    this.#fleet = fleet;
  }

  async list(connection: Connection): Promise<readonly NetworkView[]> {
    const networks = await connection.listAllNetworks(0, LIMIT);
    return Promise.all(networks.map((network) => this.#view(network)));
  }

  ensure(connection: Connection, spec: NetworkSpec): Promise<ResolverView> {
    return this.#runner.run(spec.name, async () => {
      const found = await this.#find(connection, spec.name);
      if (found) {
        const view = await this.#view(found);
        requireOurs(`network ${spec.name}`, view.mark, this.#fleet);
        if (view.active) {
          await updateLeases(found, view.leases, spec.leases);
          return resolverIn(view);
        }
        await found.undefine(LIMIT);
      }
      await make(connection, spec);
      return resolverIn(spec);
    });
  }

  /** What a crash leaves of it half done is a network that is down, which `ensure` makes anew. */
  remake(connection: Connection, spec: NetworkSpec): Promise<void> {
    return this.#runner.run(spec.name, async () => {
      const found = await this.#find(connection, spec.name);
      if (found) {
        const view = await this.#view(found);
        requireOurs(`network ${spec.name}`, view.mark, this.#fleet);
        // With it libvirt's server of leases and names ends, which would go on for a bridge that is not there.
        if (view.active) await found.destroy(LIMIT);
        await found.undefine(LIMIT);
      }
      await make(connection, spec);
    });
  }

  remove(connection: Connection, name: string): Promise<void> {
    return this.#runner.run(name, async () => {
      const network = await this.#find(connection, name);
      if (!network) return;
      requireOurs(`network ${name}`, (await this.#view(network)).mark, this.#fleet);
      if (await network.isActive(LIMIT)) await network.destroy(LIMIT);
      await network.undefine(LIMIT).catch((error: unknown) => {
        if (!isLibvirtError(error, ErrorCode.NO_NETWORK)) throw error;
      });
    });
  }

  async #view(network: Network): Promise<NetworkView> {
    const [xml, active] = await Promise.all([network.getXML(0, LIMIT), network.isActive(LIMIT)]);
    const view = readNetworkXml(network.name, xml, active);
    return view.mark?.fleet === this.#fleet ? view : { ...view, mark: null };
  }

  async #find(connection: Connection, name: string): Promise<Network | null> {
    return connection.lookupNetworkByName(name, LIMIT).catch((error: unknown) => {
      if (isLibvirtError(error, ErrorCode.NO_NETWORK)) return null;
      throw error;
    });
  }
}

async function make(connection: Connection, spec: NetworkSpec): Promise<void> {
  const network = await connection.defineNetwork(composeNetworkXml(spec), LIMIT);
  await network.create(LIMIT);
}

const sameLease = (one: Lease) => (other: Lease) =>
  one.mac === other.mac && one.address === other.address && one.hostname === other.hostname;

/** Removals first: an address may go from one guest to another. */
async function updateLeases(
  network: Network,
  present: readonly Lease[],
  wanted: readonly Lease[],
): Promise<void> {
  const change = (command: number, lease: Lease) =>
    network.update(command, NetworkUpdateSection.IP_DHCP_HOST, composeLeaseXml(lease), -1, undefined, LIMIT);
  for (const lease of present) {
    if (!wanted.some(sameLease(lease))) await change(NetworkUpdateCommand.DELETE, lease);
  }
  for (const lease of wanted) {
    if (!present.some(sameLease(lease))) await change(NetworkUpdateCommand.ADD_FIRST, lease);
  }
}
