import { type BackOff, backOffMs } from '../kit/back-off.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { Passes } from '../kit/passes.ts';
import { isSameDocument } from '../kit/same-document.ts';
import { digestOfNames, type EdgeReport, type Goal, type NamesGoal, refusalOf } from '../protocol/index.ts';
import type { NameServer } from './contract.ts';
import type { Listener } from './knot-configuration.ts';
import { NAMES_PORT } from './listen-setting.ts';
import { nextZone, serialOf } from './zone.ts';

const LOOK_EVERY_MS = 2_000;
const AGAIN: BackOff = { firstMs: 500, maximumMs: 30_000, factor: 2 };
const LONGEST_REASON = 1_000;

type NamesState = NonNullable<EdgeReport['names']>;

export interface NamesKeeperOptions {
  readonly server: NameServer;
  /** Where it listens beside this host's address on the backbone. */
  readonly listen: readonly Listener[];
  readonly clock: Clock;
  readonly log: Logger;
  /** What is reported has changed. */
  readonly onChange: () => void;
}

type Wanted = Pick<Goal, 'names' | 'backbone'>;

/**
 * Keeps a name server with the zone of the newest goal, and none where the goal has no names. Whatever was there before, it looks at what
 * is there: whether the server runs with its settings, and which serial it answers with. Before the first goal it does nothing.
 */
export class NamesKeeper {
  readonly #options: NamesKeeperOptions;
  readonly #passes: Passes;
  #wanted: Wanted | null = null;
  #state: NamesState | null = null;
  #missing: readonly string[] = [];
  #digest: { readonly file: string; readonly digest: string } | null = null;
  #failures = 0;
  #timer: Timer | null = null;
  #closed = false;

  constructor(options: NamesKeeperOptions) {
    this.#options = options;
    this.#passes = new Passes(
      () => this.#pass(),
      () => this.#closed,
    );
  }

  follow({ names, backbone }: Wanted): void {
    const wanted = { ...(names && { names }), ...(backbone && { backbone }) };
    if (this.#wanted && isSameDocument(this.#wanted, wanted)) return;
    this.#wanted = wanted;
    this.#failures = 0;
    this.#passes.wake();
  }

  /** Its part of the report of an edge host. `names` is absent where there are none to serve. */
  report(): { readonly names?: NamesState; readonly missing: readonly string[] } {
    return { ...(this.#state === null ? {} : { names: this.#state }), missing: this.#missing };
  }

  /** The name server goes on. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#passes.running;
  }

  async #pass(): Promise<void> {
    this.#timer?.cancel();
    const { names, backbone } = this.#wanted ?? {};
    try {
      this.#missing = names ? await this.#options.server.missing() : [];
      this.#tell(names ? await this.#serve(names, backbone) : await this.#end());
      this.#failures = 0;
    } catch (thrown) {
      const { message } = WeftError.from(thrown);
      this.#failures++;
      if (this.#failures === 1) this.#options.log.warn({ err: thrown }, 'names are not served');
      this.#tell({ state: 'failed', reason: message.slice(0, LONGEST_REASON) });
    }
    if (this.#closed || (!names && this.#failures === 0)) return;
    const waitMs = this.#failures > 0 ? backOffMs(AGAIN, this.#failures) : LOOK_EVERY_MS;
    this.#timer = this.#options.clock.after(waitMs, () => this.#passes.wake());
  }

  async #end(): Promise<null> {
    await this.#options.server.remove();
    return null;
  }

  async #serve(names: NamesGoal, backbone: Wanted['backbone']): Promise<NamesState> {
    const { server, clock } = this.#options;
    if (this.#missing.length > 0)
      throw new WeftError('not-supported', `this host has no ${this.#missing.join(', ')}`);
    const listen = [
      ...(backbone ? [{ address: backbone.self.address, port: NAMES_PORT }] : []),
      ...this.#options.listen,
    ];
    if (listen.length === 0)
      throw new WeftError('not-supported', 'this host has no address on which to serve names');
    const refusals = names.records.flatMap((record) => refusalOf(record, names.zone) ?? []);
    const good = names.records.filter((record) => refusalOf(record, names.zone) === null);
    const served = { ...names, records: good };
    const before = await server.readZone();
    const own = listen.map(({ address }) => address);
    const zone = nextZone(served, own, before, clock.now());
    if (zone !== before) await server.writeZone(zone);
    const routers = backbone ? [backbone.cidr, backbone.cidr6] : [];
    const serial = serialOf(zone);
    await this.#bring(names.zone, { zone: names.zone, listen, routers }, serial);
    return {
      state: 'served',
      ...(serial === null ? {} : { serial }),
      digest: this.#digestOf(zone, served),
      ...(refusals.length === 0
        ? {}
        : { reason: `left out: ${refusals.join('; ')}`.slice(0, LONGEST_REASON) }),
    };
  }

  /** The same file is looked at again and again. */
  #digestOf(file: string, zone: NamesGoal): string {
    if (this.#digest?.file !== file) this.#digest = { file, digest: digestOfNames(zone) };
    return this.#digest.digest;
  }

  /** Until each address answers with this serial. Who runs but does not answer is started anew. */
  async #bring(
    zone: string,
    settings: Parameters<NameServer['start']>[0],
    serial: number | null,
  ): Promise<void> {
    const { server } = this.#options;
    const answers = async () => {
      const served = await Promise.all(settings.listen.map((listener) => server.serial(zone, listener)));
      return served.every((each) => each === serial);
    };
    if (await server.runsWith(settings)) {
      if (await answers().catch(() => false)) return;
      await server.reload(zone).catch(() => undefined);
      if (await answers().catch(() => false)) return;
    }
    await server.start(settings);
    if (!(await answers()))
      throw new WeftError('command-failed', `another name server answers for ${zone} on this host`);
  }

  #tell(state: NamesState | null): void {
    if (isSameDocument(this.#state, state)) return;
    this.#state = state;
    this.#options.onChange();
  }
}
