import type { HypervisorDriver, NetworkSpec } from '../hypervisor/driver.ts';
import { ExclusiveRunner } from '../kit/exclusive-runner.ts';
import { isSameDocument } from '../kit/same-document.ts';
import type { HostNetwork } from '../network/contract.ts';
import { guestResolver } from '../network/guest-resolver.ts';
import { bridgeName } from '../network/names.ts';
import type { RouterPart } from '../network/router-part.ts';
import type { NetworkGoal } from '../protocol/index.ts';
import { networkName } from './names.ts';

interface Made {
  readonly spec: string;
  readonly done: Promise<void>;
  isDone: boolean;
}

/** The goal's subnets on this host. Many VMs ask for one subnet at once; it is made once. */
export class GoalNetworks {
  readonly #driver: HypervisorDriver;
  readonly #host: HostNetwork;
  readonly #fleet: string;
  readonly #onLate: () => void;
  /** Network id → what was asked for, and its making. */
  readonly #made = new Map<string, Made>();
  readonly #turns = new ExclusiveRunner();
  #goal: readonly NetworkGoal[] = [];
  #rules: Promise<void> = Promise.resolve();
  #resolver: ReturnType<typeof guestResolver>;

  /** @param onLate told when one was made that is wanted no more: somebody has to look again. */
  constructor(driver: HypervisorDriver, host: HostNetwork, fleet: string, onLate: () => void) {
    this.#driver = driver;
    this.#host = host;
    this.#fleet = fleet;
    this.#onLate = onLate;
  }

  /** Brings rules, what joins this host to others, and leases in line with a new goal, without waiting. */
  apply({ fleet, networks, backbone, router, edge, names }: RouterPart): void {
    this.#goal = networks;
    this.#rules = this.#host.apply({
      fleet,
      networks,
      ...(backbone && { backbone }),
      ...(router && { router }),
      ...(edge && { edge }),
      ...(names && { names }),
    });
    this.#rules.catch(() => undefined);
    this.#resolver = guestResolver({ ...(backbone && { backbone }), ...(router && { router }) });
    for (const id of this.#made.keys())
      if (!networks.some((network) => network.id === id)) this.#made.delete(id);
    for (const network of networks) this.#ensure(network).catch(() => undefined);
  }

  /** Resolves when the subnet stands, under the rules of the newest goal. What of other subnets fails is not waited for. */
  async ready(network: NetworkGoal): Promise<void> {
    await Promise.all([this.#ensure(network), this.#rules]);
  }

  /** libvirt was away, or a network was removed: look again before trusting what was made. */
  forget(): void {
    this.#made.clear();
  }

  /**
   * Bridges of the goal's were looked for and not found. Those that somebody has deleted are made again, those in the making are left to it.
   * @returns which are made again.
   */
  remake(bridges: readonly string[]): readonly string[] {
    const gone = this.#goal.filter((network) => {
      const made = this.#made.get(network.id);
      return bridges.includes(bridgeName(this.#fleet, network)) && made?.isDone !== false;
    });
    for (const network of gone) {
      this.#made.delete(network.id);
      this.#ensure(network).catch(() => undefined);
    }
    return gone.map((network) => bridgeName(this.#fleet, network));
  }

  /**
   * A network's resolver learns which domain is the fleet's when the network is made; libvirt tells it nothing of that afterwards. One that knows
   * another is made anew under its guests, which are cut off for that moment: one network after another, so that no two are away at once, and none
   * with an interface that nobody puts back.
   * @param isWanted still, when its turn has come.
   */
  #tellNames(spec: NetworkSpec, isWanted: () => boolean): Promise<void> {
    return this.#turns.run('names', async () => {
      if (!isWanted() || !(await this.#host.mayRemake(this.#fleet, spec.bridge))) return;
      await this.#driver.remakeNetwork(spec);
      await this.#host.refresh();
    });
  }

  #ensure(network: NetworkGoal): Promise<void> {
    const spec = {
      name: networkName(this.#fleet, network),
      mark: { fleet: this.#fleet, id: network.id },
      bridge: bridgeName(this.#fleet, network),
      gateway: network.gateway,
      prefix: Number(network.cidr.split('/')[1]),
      leases: network.leases.map(({ mac, address, hostname }) => ({ mac, address, hostname })),
      ...(this.#resolver && { resolver: this.#resolver }),
    };
    const text = JSON.stringify(spec);
    const known = this.#made.get(network.id);
    if (known?.spec === text) return known.done;
    const done = this.#driver.ensureNetwork(spec).then(async ({ resolver }) => {
      // libvirt goes on taking a network for active whose bridge was deleted.
      const isThere = await this.#host.hasBridge(spec.bridge);
      if (!isThere) await this.#driver.remakeNetwork(spec);
      if (isThere && spec.resolver && !isSameDocument(resolver, spec.resolver))
        await this.#tellNames(spec, () => this.#made.get(network.id)?.spec === text);
      await this.#host.hastenResolution(spec.bridge);
      await this.#host.refresh();
    });
    const made: Made = { spec: text, done, isDone: false };
    this.#made.set(network.id, made);
    done.then(
      () => {
        made.isDone = true;
        if (!this.#made.has(network.id)) this.#onLate();
      },
      () => this.#made.get(network.id) === made && this.#made.delete(network.id),
    );
    return done;
  }
}
