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
  /** libvirt has made its bridge, as far as that is its work. */
  isStanding: boolean;
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
   * A network's resolver learns which domain is the fleet's, and whether it is to ask for other names, when the network is made; libvirt tells it
   * nothing of that afterwards. One that was told something else is made anew under its guests, which are cut off for that moment: one network after another, so that no two are away at once, and none
   * with an interface that nobody puts back.
   * @param isWanted still, when its turn has come.
   */
  #tellNames(spec: NetworkSpec, made: Made, isWanted: () => boolean): Promise<void> {
    return this.#turns.run('names', async () => {
      if (!isWanted() || !(await this.#host.mayRemake(this.#fleet, spec.bridge))) return;
      made.isStanding = false;
      await this.#driver.remakeNetwork(spec);
      made.isStanding = true;
      await this.#host.refresh();
    });
  }

  /** Whether libvirt is just making this bridge: until it has, it fails where somebody does something before it. */
  isMaking(bridge: string): boolean {
    const network = this.#goal.find((each) => bridgeName(this.#fleet, each) === bridge);
    return network !== undefined && this.#made.get(network.id)?.isStanding === false;
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
      ...(network.namesOnly && { namesOnly: network.namesOnly }),
    };
    const text = JSON.stringify(spec);
    const known = this.#made.get(network.id);
    if (known?.spec === text) return known.done;
    const done = this.#driver.ensureNetwork(spec).then(async ({ resolver, namesOnly }) => {
      // libvirt goes on taking a network for active whose bridge was deleted.
      const isThere = await this.#host.hasBridge(spec.bridge);
      if (!isThere) await this.#driver.remakeNetwork(spec);
      made.isStanding = true;
      const isOther = spec.resolver !== undefined && !isSameDocument(resolver, spec.resolver);
      if (isThere && (isOther || namesOnly !== spec.namesOnly))
        await this.#tellNames(
          { ...(resolver && { resolver }), ...spec },
          made,
          () => this.#made.get(network.id)?.spec === text,
        );
      await this.#host.hastenResolution(spec.bridge);
      await this.#host.refresh();
    });
    const made: Made = { spec: text, done, isDone: false, isStanding: false };
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
