import { writeFile } from 'node:fs/promises';
import type { Clock } from '../kit/clock.ts';
import { ExclusiveRunner } from '../kit/exclusive-runner.ts';
import { exec } from '../kit/exec.ts';
import type { Logger } from '../kit/log.ts';
import { repeat } from '../kit/repeat.ts';
import type { HostNetwork } from './contract.ts';
import { applyLinks } from './kernel-links.ts';
import { applyProxies } from './kernel-proxies.ts';
import { ensureSetting } from './kernel-setting.ts';
import { tableName } from './names.ts';
import type { RouterPart } from './router-part.ts';
import { composeRuleset, composeRulesetRemoval, FAMILIES } from './ruleset.ts';

const LIMIT_MS = 30_000;
/** Between requests for a neighbour's address; the kernel's own is a second. */
const RESOLUTION_EVERY_MS = 100;
/** Between two looks at what nothing tells of; what the kernel tells of is looked at at once. */
export const LOOK_EVERY_MS = 10_000;

export interface HostNetworkOptions {
  readonly log: Pick<Logger, 'warn' | 'info'>;
  /** Prefixes of this host's own links: reached only where a subnet's outbound names them. */
  readonly guarded?: () => Promise<readonly string[]>;
  /** Addresses and prefixes that no guest reaches: this host's own, the controller, devices. */
  readonly never?: () => readonly string[];
}

/** The kernel's router, by `nft`, `ip` and `bridge`. It knows one fleet. */
export class NftHostNetwork implements HostNetwork {
  readonly #options: HostNetworkOptions;
  readonly #runner = new ExclusiveRunner();
  #wanted: RouterPart | null = null;
  /** What was written last, and how the kernel lists it. */
  #applied: { readonly text: string; readonly listing: string } | null = null;

  constructor(options: HostNetworkOptions) {
    this.#options = options;
  }

  async apply(part: RouterPart): Promise<void> {
    this.#wanted = part;
    await this.#runner.run('rules', () => this.#applyRules(part, false));
    void this.refresh();
  }

  refresh(): Promise<void> {
    return this.#runner.run('links', async () => {
      try {
        if (this.#wanted) await alignLinks(this.#wanted);
      } catch (error) {
        this.#options.log.warn(
          { err: error },
          'links of guests’ networks could not be brought in line; trying again',
        );
      }
    });
  }

  /** Looks whether all is as it was made, and makes it so. @returns whether it was not. */
  async heal(): Promise<boolean> {
    const part = this.#wanted;
    if (part === null) return false;
    const [rules, links] = await Promise.all([
      this.#runner.run('rules', () => this.#applyRules(this.#wanted ?? part, true)),
      this.#runner.run('links', () => alignLinks(this.#wanted ?? part)),
    ]);
    return rules || links;
  }

  /** Looks again and again, and when `changed` says that something has changed. @returns what ends it. */
  watch(clock: Clock, changed: (listener: () => void) => () => void): () => void {
    const look = async () => {
      try {
        if (await this.heal()) this.#options.log.info({}, 'networks of guests were put right');
      } catch (error) {
        this.#options.log.warn({ err: error }, 'networks of guests could not be looked at; trying again');
      }
    };
    const stops = [repeat(clock, LOOK_EVERY_MS, look, 'later'), changed(() => void look())];
    return () => {
      for (const stop of stops) stop();
    };
  }

  async hastenResolution(bridge: string): Promise<void> {
    await Promise.all(
      ['ipv4', 'ipv6'].map((family) =>
        writeFile(
          `/proc/sys/net/${family}/neigh/${bridge}/retrans_time_ms`,
          String(RESOLUTION_EVERY_MS),
        ).catch(() => undefined),
      ),
    );
  }

  remove(fleet: string): Promise<void> {
    return this.#runner.run('rules', async () => {
      this.#applied = null;
      await nft(['-f', '-'], composeRulesetRemoval(fleet));
    });
  }

  /** @param isDoubted somebody else may have changed what is there. @returns whether it was written. */
  async #applyRules(part: RouterPart, isDoubted: boolean): Promise<boolean> {
    const text = composeRuleset(part, (await this.#options.guarded?.()) ?? [], this.#options.never?.() ?? []);
    if (text === this.#applied?.text && !(isDoubted && (await list(part.fleet)) !== this.#applied.listing))
      return false;
    this.#applied = null;
    if (part.networks.length > 0) await ensureSetting('/proc/sys/net/ipv4/ip_forward', '1');
    await nft(['-f', '-'], text);
    this.#applied = { text, listing: await list(part.fleet) };
    return true;
  }
}

/** Proxies are on bridges that stand. @returns whether something was not as it should be. */
async function alignLinks(part: RouterPart): Promise<boolean> {
  const links = await applyLinks(part);
  return (await applyProxies(part)) || links;
}

async function nft(args: readonly string[], input?: string): Promise<string> {
  const { stdout } = await exec('nft', args, {
    timeoutMs: LIMIT_MS,
    ...(input === undefined ? {} : { input }),
  });
  return stdout;
}

/** The fleet's tables as the kernel has them, without what it counts. */
async function list(fleet: string): Promise<string> {
  const tables = await Promise.all(
    FAMILIES.map((family) =>
      nft(['--stateless', 'list', 'table', family, tableName(fleet)]).catch(() => 'none'),
    ),
  );
  return tables.join('\n');
}
