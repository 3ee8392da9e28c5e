import { z } from 'zod';
import { WeftError } from '../kit/errors.ts';
import { exec } from '../kit/exec.ts';
import { exists } from '../kit/exists.ts';
import type { Logger } from '../kit/log.ts';
import { ensureSetting } from './kernel-setting.ts';
import { readLinks } from './links-observed.ts';
import { tunnelDevice } from './names.ts';
import type { RouterPart } from './router-part.ts';
import { parseTunnelDump } from './tunnel-dump.ts';
import { openTunnelKey } from './tunnel-key.ts';
import { isNothingToDo, type ObservedTunnel, planTunnel, type TunnelMaker } from './tunnel-plan.ts';
import { composeTunnel, tunnelTable, type WantedTunnel } from './tunnel-wanted.ts';

const LIMIT_MS = 30_000;
const SETTINGS = '/proc/sys/net';

export interface TunnelSettings {
  readonly maker: TunnelMaker | 'off';
  /** Of the private key. */
  readonly keyFile: string;
}

const rules = z.array(
  z.object({ oif: z.string().optional(), table: z.union([z.string(), z.number()]).optional() }),
);
const routes = z.array(z.object({ dst: z.string(), dev: z.string().optional() }));

/** WireGuard on this host, by `ip` and `wg`. */
export class KernelTunnel {
  readonly #settings: TunnelSettings;
  readonly #log: Pick<Logger, 'warn' | 'info'>;
  /** What was said of it last; it is said once. */
  #problem: string | null = null;

  constructor(settings: TunnelSettings, log: Pick<Logger, 'warn' | 'info'>) {
    this.#settings = settings;
    this.#log = log;
  }

  /** Why it is not as it should be; null: it is, as far as is known. */
  get problem(): string | null {
    return this.#problem;
  }

  /**
   * Brings it in line with a goal. Never fails: without it what should go through it goes nowhere, and all else goes on; what it could not
   * do is tried again with the next look.
   * @returns whether there was something to do.
   */
  async align(part: RouterPart): Promise<boolean> {
    try {
      const changed = await this.#align(part);
      if (this.#problem !== null) this.#log.info({}, 'the tunnel between hosts is as it should be');
      this.#problem = null;
      return changed;
    } catch (error) {
      const problem = WeftError.from(error).message;
      if (problem !== this.#problem)
        this.#log.warn({ err: error }, 'the tunnel between hosts could not be brought in line; trying again');
      this.#problem = problem;
      return false;
    }
  }

  async #align(part: RouterPart): Promise<boolean> {
    const { maker, keyFile } = this.#settings;
    const name = tunnelDevice(part.fleet);
    const wanted = maker === 'off' ? null : composeTunnel(part);
    if (wanted === null && !(await isThere(name))) return false;
    const key = wanted === null ? { file: '', publicKey: '' } : await openTunnelKey(keyFile);
    const made: TunnelMaker = maker === 'off' ? 'kernel' : maker;
    const observed = await observeTunnel(name, tunnelTable(part.fleet), made);
    const plan = planTunnel(name, wanted, key, made, observed, Math.floor(Date.now() / 1000));
    for (const line of plan.before) await run('ip', line);
    if (plan.isMade) await make(name, made);
    for (const line of plan.configure) await run('wg', line);
    if (wanted !== null) await admit(wanted);
    for (const line of plan.after) await run('ip', line);
    return !isNothingToDo(plan);
  }
}

const run = (program: string, args: readonly string[]) => exec(program, args, { timeoutMs: LIMIT_MS });

const isThere = (name: string) => exists(`${SETTINGS}/ipv4/conf/${name}`);

/** wireguard-go goes on by itself, and ends when its device is deleted; the device goes when it ends. */
async function make(name: string, maker: TunnelMaker): Promise<void> {
  if (maker === 'kernel') await run('ip', ['link', 'add', name, 'type', 'wireguard']);
  // What it would write goes nowhere: nobody reads it when this program has ended.
  else await exec('wireguard-go', [name], { timeoutMs: LIMIT_MS, cwd: '/', env: { LOG_LEVEL: '' } });
}

/** What comes in has addresses of the underlay, to which this host's own way is another one. */
async function admit({ name, family }: WantedTunnel): Promise<void> {
  if (family === 4) await ensureSetting(`${SETTINGS}/ipv4/conf/${name}/rp_filter`, '2');
  else await ensureSetting(`${SETTINGS}/ipv6/conf/${name}/disable_ipv6`, '0');
}

async function observeTunnel(name: string, table: number, maker: TunnelMaker): Promise<ObservedTunnel> {
  const has6 = await exists(`${SETTINGS}/ipv6`);
  const [link, rules6, routes6] = await Promise.all([
    (await isThere(name))
      ? readLinks().then((links) => links.find(({ ifname }) => ifname === name) ?? null)
      : null,
    has6
      ? run('ip', ['-6', '-json', 'rule', 'show']).then(({ stdout }) => rules.parse(documentOf(stdout)))
      : [],
    // A table that nothing was ever in is none.
    has6
      ? run('ip', ['-6', '-json', 'route', 'show', 'table', String(table)]).then(
          ({ stdout }) => routes.parse(documentOf(stdout)),
          () => [],
        )
      : [],
  ]);
  return {
    link,
    configuration: link === null ? null : await configurationOf(name, maker),
    rules6: rules6.flatMap((rule) => (rule.oif === name ? Number(rule.table) : [])),
    isRouted6: routes6.some(({ dst, dev }) => dst === 'default' && dev === name),
  };
}

const documentOf = (text: string): unknown => JSON.parse(text.trim() || '[]');

/** A TUN device of which nobody answers is of no use; what the kernel does not say now, it says another time. */
async function configurationOf(name: string, maker: TunnelMaker): Promise<ObservedTunnel['configuration']> {
  const dump = run('wg', ['show', name, 'dump']).then(({ stdout }) => parseTunnelDump(stdout));
  return maker === 'kernel' ? dump : dump.catch(() => null);
}
