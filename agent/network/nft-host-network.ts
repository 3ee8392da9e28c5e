import { writeFile } from 'node:fs/promises';
import { type Clock, systemClock } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import { ExclusiveRunner } from '../kit/exclusive-runner.ts';
import { exec } from '../kit/exec.ts';
import { exists } from '../kit/exists.ts';
import type { Logger } from '../kit/log.ts';
import { Passes } from '../kit/passes.ts';
import { repeat } from '../kit/repeat.ts';
import type { RuleCounters, RuleQuestion } from '../protocol/index.ts';
import { areOurs } from './bridge-ports.ts';
import type { HostNetwork } from './contract.ts';
import { type ConnectionsSeen, GuestConnections } from './guest-connections.ts';
import { hasGuestLinks } from './guest-links.ts';
import type { KeptPart } from './kept-part.ts';
import { applyLinks } from './kernel-links.ts';
import { KERNEL_PARTS, type KernelPart } from './kernel-monitor.ts';
import { applyProxies } from './kernel-proxies.ts';
import { ensureSetting } from './kernel-setting.ts';
import type { KernelTunnel } from './kernel-tunnel.ts';
import { readLinks } from './links-observed.ts';
import { tableName } from './names.ts';
import { type Blocks, readBlocks } from './nft-blocks.ts';
import { ResolverWatch } from './resolver-watch.ts';
import { Revocations } from './revocations.ts';
import type { RouterPart } from './router-part.ts';
import { COUNTING_CHAINS, readRuleCounters } from './rule-counters.ts';
import { composeRuleset, composeRulesetRemoval, FAMILIES } from './ruleset.ts';
import { composeChange, type RulesetChange } from './ruleset-change.ts';
import { isJudged, judgeListing, type Seen, seenOf } from './ruleset-look.ts';
import { SocketAbility, withoutSockets } from './socket-rules.ts';
import { listTable } from './standing-nft.ts';

const LIMIT_MS = 30_000;
/** Between requests for a neighbour's address, ms, and how many of them before it counts as gone; the kernel's own are a second and 3. */
const RESOLUTION: Readonly<Record<string, number>> = {
  ...{ retrans_time_ms: 100, mcast_solicit: 30, ucast_solicit: 30 },
};
/** Between two looks at what nothing tells of; what the kernel tells of is looked at at once. */
export const LOOK_EVERY_MS = 10_000;
/** Between two looks at how full the kernel's table of connections is: two numbers, as long as there is room. */
const CONNECTIONS_EVERY_MS = 1_000;
/** Between two questions whether the name server answers that guests' questions are led to. */
const RESOLVERS_EVERY_MS = 1_000;

export interface HostNetworkOptions {
  readonly log: Pick<Logger, 'warn' | 'info'>;
  /** Prefixes of this host's own links: reached only where a subnet's outbound names them. */
  readonly guarded?: () => Promise<readonly string[]>;
  /** Addresses and prefixes that no guest reaches: this host's own, the controller, devices. */
  readonly never?: () => readonly string[];
  /** Absent: nothing is encrypted here, whatever a goal says, and what should be goes nowhere. */
  readonly tunnel?: Pick<KernelTunnel, 'align'>;
  /** Who tells guests of IPv6. Absent: nobody, and they have it by their seed. */
  readonly addressing?: { align(part: RouterPart): Promise<boolean> };
  /** Bridges that should be there and are not, as a look has found; some may be in the making. */
  readonly onMissing?: (bridges: readonly string[]) => void;
  /** Whether libvirt is just making a bridge of this name. */
  readonly isMaking?: (bridge: string) => boolean;
  /** Absent: guests begin connections as the kernel's table is large. */
  readonly guestConnections?: GuestConnections;
  /** Absent: by DNS, it asks the name servers themselves. */
  readonly resolvers?: ResolverWatch;
  /** What was wanted before this agent began. Absent: that is not known, and nothing is done before it is told what is wanted. */
  readonly kept?: Pick<KeptPart, 'fleet' | 'found' | 'keep'>;
  /** Absent: the system's. */
  readonly clock?: Pick<Clock, 'now'>;
}

interface Written {
  readonly text: string;
  readonly blocks: Blocks;
  /** Of what has been written since the last look there is nothing. */
  readonly seen: Seen;
  /** When rules began to count, ms since the epoch. An element of a set that came later has counted since then. */
  readonly countedSinceMs: number;
  /** Chains that were written anew since: `inet flows` → when. */
  readonly chainsSinceMs: ReadonlyMap<string, number>;
}

/** The kernel's router, by `nft`, `ip` and `bridge`. It knows one fleet. */
export class NftHostNetwork implements HostNetwork {
  readonly #options: HostNetworkOptions;
  readonly #runner = new ExclusiveRunner();
  readonly #guestConnections: GuestConnections;
  readonly #revocations: Revocations;
  readonly #resolvers: ResolverWatch;
  readonly #sockets = new SocketAbility();
  #wanted: RouterPart | null = null;
  /** What was written last. Null: nothing that is known for sure, so the next one writes all. */
  #written: Written | null = null;

  constructor(options: HostNetworkOptions) {
    this.#options = options;
    this.#guestConnections = options.guestConnections ?? new GuestConnections(options);
    this.#revocations = new Revocations(options.log, options.kept);
    this.#resolvers = options.resolvers ?? new ResolverWatch();
  }

  async apply(part: RouterPart): Promise<void> {
    this.#wanted = part;
    // For the next agent: nothing here waits for a disk.
    void this.#options.kept?.keep(part);
    await this.#runner.run('rules', () => this.#writeRules(part));
    void this.refresh();
  }

  refresh(): Promise<void> {
    return this.#runner.run('links', async () => {
      try {
        if (this.#wanted) await this.#alignLinks(this.#wanted);
      } catch (error) {
        this.#options.log.warn(
          { err: error },
          'links of guests’ networks could not be brought in line; trying again',
        );
      }
    });
  }

  /** How full the table of connections was last; null: the kernel tracks none. */
  get connections(): ConnectionsSeen | null {
    return this.#guestConnections.seen;
  }

  /** Bars guests that crowd the table of connections, and lets them in again. @returns whether something has changed. */
  async lookAtConnections(): Promise<boolean> {
    const part = this.#wanted;
    if (part === null || !(await this.#guestConnections.look(part))) return false;
    return this.#runner.run('rules', () => this.#writeRules(this.#wanted ?? part));
  }

  /** Leads guests' questions for the fleet's names to a name server that answers. @returns whether that is another one now. */
  async lookAtResolvers(): Promise<boolean> {
    const part = this.#wanted;
    if (part === null || !(await this.#resolvers.look(part))) return false;
    return this.#runner.run('rules', () => this.#writeRules(this.#wanted ?? part));
  }

  /** What rules have counted since they were put in place. Nothing that is to be written waits while the kernel is asked. */
  async counters(fleet: string, question: RuleQuestion): Promise<RuleCounters> {
    const part = this.#wanted ?? { fleet, networks: [] };
    const leases = part.networks.flatMap(({ leases: all }) => all);
    const asker = leases.find(({ address, address6 }) =>
      question.pairs.some(({ from }) => from === address || from === address6),
    );
    const { chain, ...counted } = await readRuleCounters(part, question, asker?.mac ?? null);
    // While rules are written it is not known: that is over in a moment.
    const written = await this.#runner.run('rules', async () => this.#written);
    return { ...counted, sinceMs: written?.chainsSinceMs.get(chain) ?? written?.countedSinceMs ?? null };
  }

  /** Looks whether all is as it was made, by this agent or the one before it, and makes it so. @returns whether it was not. */
  async heal(parts: readonly KernelPart[] = KERNEL_PARTS): Promise<boolean> {
    const found = (await this.#options.kept?.found()) ?? null;
    this.#wanted ??= found;
    const part = this.#wanted;
    if (part === null) return this.#closeUnknown();
    const healed = await Promise.all(
      parts.map((each) => (each === 'rules' ? this.#healRules(part) : this.#healLinks(part))),
    );
    return healed.includes(true);
  }

  /** Looks again and again, and at what `changed` says has changed. @returns what ends it. */
  watch(clock: Clock, changed: (listener: (part: KernelPart) => void) => () => void): () => void {
    const once = async (part: KernelPart) => {
      try {
        if (await this.heal([part])) this.#options.log.info({ part }, 'networks of guests were put right');
      } catch (error) {
        this.#options.log.warn(
          { err: error, part },
          'networks of guests could not be looked at; trying again',
        );
      }
    };
    const isOver = () => false;
    const looks = {
      rules: new Passes(() => once('rules'), isOver),
      links: new Passes(() => once('links'), isOver),
    };
    const look = async () => {
      for (const part of KERNEL_PARTS) looks[part].wake();
      await Promise.all(KERNEL_PARTS.map((part) => looks[part].running));
    };
    const lookedAt = (work: () => Promise<boolean>, problem: string) => async () => {
      await work().catch((error: unknown) => this.#options.log.warn({ err: error }, problem));
    };
    const lookAtConnections = lookedAt(
      () => this.lookAtConnections(),
      'the table of connections could not be looked at',
    );
    const lookAtResolvers = lookedAt(
      () => this.lookAtResolvers(),
      'guests’ questions for names could not be led to another name server',
    );
    const stops = [
      repeat(clock, LOOK_EVERY_MS, look, 'later'),
      repeat(clock, CONNECTIONS_EVERY_MS, lookAtConnections, 'later'),
      repeat(clock, RESOLVERS_EVERY_MS, lookAtResolvers, 'later'),
      changed((part) => looks[part].wake()),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  hasBridge(name: string): Promise<boolean> {
    return exists(`/proc/sys/net/ipv4/conf/${name}`);
  }

  mayRemake(fleet: string, bridge: string): Promise<boolean> {
    return readLinks().then(
      (links) => areOurs(fleet, bridge, links),
      () => false,
    );
  }

  async hastenResolution(bridge: string): Promise<void> {
    await Promise.all(
      ['ipv4', 'ipv6'].flatMap((family) =>
        Object.entries(RESOLUTION).map(([name, value]) =>
          writeFile(`/proc/sys/net/${family}/neigh/${bridge}/${name}`, String(value)).catch(() => undefined),
        ),
      ),
    );
  }

  remove(fleet: string): Promise<void> {
    return this.#runner.run('rules', async () => {
      this.#written = null;
      await nft(['-f', '-'], composeRulesetRemoval(fleet));
    });
  }

  /** Nobody knows what guests may, and nothing says so to the kernel: nothing. Rules that are there stay. */
  async #closeUnknown(): Promise<boolean> {
    const fleet = this.#options.kept?.fleet;
    if (fleet === undefined || !(await hasGuestLinks(fleet))) return false;
    return this.#runner.run('rules', async () => {
      if (this.#wanted !== null || isJudged(tableName(fleet), await list(fleet))) return false;
      await nft(['-f', '-'], composeRuleset({ fleet, networks: [] }, [], [], true));
      return true;
    });
  }

  /** Writes what is other than what was written last. Whether that is still there, a later look says. @returns whether it wrote. */
  async #writeRules(part: RouterPart): Promise<boolean> {
    const text = await this.#compose(part);
    const before = this.#written;
    if (text === before?.text) return false;
    const blocks = readBlocks(text);
    const change = before && composeChange(before.blocks, blocks);
    // Until it is known what of it has come to pass.
    this.#written = null;
    if (before && change && (await this.#writeChange(change))) {
      const seen = new Map([...before.seen].filter(([key]) => blocks.has(key) && !change.touched.has(key)));
      this.#written = {
        ...{ text, blocks, seen, countedSinceMs: before.countedSinceMs },
        chainsSinceMs: this.#countingAnew(part.fleet, change, before.chainsSinceMs),
      };
    } else this.#written = await this.#writeWhole(part, text, blocks);
    this.#revocations.follow(part, blocks);
    return true;
  }

  /** @returns false: what it goes by is not there any more, and nothing has changed. */
  async #writeChange({ text }: RulesetChange): Promise<boolean> {
    if (text === '') return true;
    try {
      await nft(['-f', '-'], text);
      return true;
    } catch (error) {
      if (WeftError.from(error).code !== 'command-failed') throw error;
      this.#options.log.info({ err: error }, 'rules are not as they were written; all are written anew');
      return false;
    }
  }

  async #healLinks(part: RouterPart): Promise<boolean> {
    const links = await this.#runner.run('links', () => this.#alignLinks(this.#wanted ?? part));
    if (links.missing.length > 0) this.#options.onMissing?.(links.missing);
    // What of this host no guest reaches goes with its links.
    const isWritten = await this.#runner.run('rules', () => this.#writeRules(this.#wanted ?? part));
    return isWritten || links.changed;
  }

  /** Nobody waits for the kernel's list of thousands of rules: what is to be written meanwhile goes before it. */
  async #healRules(part: RouterPart): Promise<boolean> {
    const before = this.#written;
    const early = before && (await list(part.fleet));
    return this.#runner.run('rules', async () => {
      const wanted = this.#wanted ?? part;
      const isOvertaken = this.#written?.blocks !== before?.blocks || early === null;
      return this.#judge(wanted, isOvertaken ? await list(wanted.fleet) : early);
    });
  }

  async #judge(wanted: RouterPart, listed: Blocks): Promise<boolean> {
    const written = this.#written;
    const seen = written && judgeListing(written.blocks, written.seen, listed);
    if (written && seen) {
      this.#written = { ...written, seen };
      return this.#writeRules(wanted);
    }
    this.#written = null;
    const text = await this.#compose(wanted);
    const anew = await this.#writeWhole(wanted, text, readBlocks(text));
    this.#revocations.follow(wanted, anew.blocks);
    // As the kernel lists it now is how it lists it: one that counts otherwise must not have it written for ever.
    this.#written = { ...anew, seen: seenOf(await list(wanted.fleet)) };
    return true;
  }

  async #writeWhole(part: RouterPart, text: string, blocks: Blocks): Promise<Written> {
    if (part.networks.length > 0) await ensureSetting('/proc/sys/net/ipv4/ip_forward', '1');
    await nft(['-f', '-'], text);
    return { text, blocks, seen: new Map(), countedSinceMs: this.#now(), chainsSinceMs: new Map() };
  }

  /** What goes through the tunnel is sent there when it stands; proxies are on bridges that stand. @returns whether something was not as it should be. */
  async #alignLinks(part: RouterPart): ReturnType<typeof applyLinks> {
    const isTunnelChanged = (await this.#options.tunnel?.align(part)) === true;
    const near = [...((await this.#options.guarded?.()) ?? []), ...(this.#options.never?.() ?? [])];
    const links = await applyLinks(part, near, this.#options.isMaking);
    const isProxyChanged = await applyProxies(part);
    const isAddressingChanged = (await this.#options.addressing?.align(part)) === true;
    const changed = isProxyChanged || isAddressingChanged || links.changed || isTunnelChanged;
    return { ...links, changed };
  }

  /** A chain that is written anew counts from nothing; elements that stay go on. */
  #countingAnew(
    fleet: string,
    { touched }: RulesetChange,
    before: Written['chainsSinceMs'],
  ): Written['chainsSinceMs'] {
    const anew = COUNTING_CHAINS.filter((chain) => {
      const [family, name] = chain.split(' ');
      return touched.has(`${family} ${tableName(fleet)} chain ${name}`);
    });
    return new Map([...before, ...anew.map((chain) => [chain, this.#now()] as const)]);
  }

  #now(): number {
    return (this.#options.clock ?? systemClock).now();
  }

  async #compose(part: RouterPart): Promise<string> {
    const isInhabited = part.networks.length === 0 && (await hasGuestLinks(part.fleet));
    const guarded = (await this.#options.guarded?.()) ?? [];
    const share = await this.#guestConnections.share();
    const ruleset = composeRuleset(
      this.#resolvers.led(part),
      guarded,
      this.#options.never?.() ?? [],
      isInhabited,
      share,
    );
    return (await this.#sockets.look(this.#now())) ? ruleset : withoutSockets(ruleset);
  }
}

async function nft(args: readonly string[], input?: string): Promise<string> {
  const { stdout } = await exec('nft', args, {
    timeoutMs: LIMIT_MS,
    // Half a file of rules may be one that nft takes, and opens what the other half closes.
    ...(input === undefined ? {} : { input, wholeInput: true }),
  });
  return stdout;
}

/** The fleet's tables as the kernel has them, without what it counts. */
async function list(fleet: string): Promise<Blocks> {
  const tables = await Promise.all(FAMILIES.map((family) => listTable(family, tableName(fleet))));
  return readBlocks(tables.join('\n'));
}
