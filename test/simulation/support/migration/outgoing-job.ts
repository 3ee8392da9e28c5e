import type { Duplex } from 'node:stream';
import type { FakeDomain } from '../../../../agent/hypervisor/fake/fake-hypervisor.ts';
import type { MigrationOrder } from '../../../../agent/hypervisor/migration-driver.ts';
import type { Clock } from '../../../../agent/kit/clock.ts';
import { WeftError } from '../../../../agent/kit/errors.ts';
import type { Random } from '../random.ts';
import { Talk } from './talk.ts';

export interface OutgoingJobOptions {
  readonly order: MigrationOrder;
  readonly domain: FakeDomain;
  readonly connect: (path: string) => Promise<Duplex>;
  readonly standStill: () => void;
  /** What is in its disk here now; null: it has none on this host's own pool. */
  readonly written: () => number | null;
  /** Whether it is there still, and can be handed over. */
  readonly isThere: () => boolean;
  readonly clock: Clock;
  readonly random: Random;
}

/** One migration on the host that gives, as its libvirt goes about it. */
export class OutgoingJob {
  readonly #options: OutgoingJobOptions;
  readonly #sockets: Duplex[] = [];
  #end: (error: WeftError) => void = () => undefined;
  readonly #ended = new Promise<never>((_resolve, reject) => {
    this.#end = reject;
  });
  /** The other side was told to let it run: from then on only its answer says whose it is. */
  isHandedOver = false;
  /** What its disk has to send was sent before, and goes on along. */
  sendsMemory = false;

  constructor(options: OutgoingJobOptions) {
    this.#options = options;
    this.#ended.catch(() => undefined);
  }

  abort(): void {
    if (!this.isHandedOver) this.#end(new WeftError('hypervisor-failed', 'it was stopped'));
  }

  /** The daemon that does it is no more. */
  die(): void {
    this.#end(new WeftError('hypervisor-failed', 'libvirt does not answer'));
    this.close();
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Resolves when it runs there, or stands there, whole, with a copy of its disk. @throws WeftError; after `isHandedOver` nobody knows whether it does. */
  async run(): Promise<void> {
    const { order, domain, clock, random, standStill, written } = this.#options;
    const begunMs = clock.now();
    const control = new Talk(await this.#open(order.control));
    await this.#unlessEnded(clock.sleep(random.between(5, 50)));
    const { spec, boots } = domain;
    const { mark, memory, disk, to } = order;
    answerOf(await this.#unlessEnded(control.ask({ do: 'prepare', mark, spec, boots, memory, disk, to })));
    const lines = [control.socket];
    if (disk !== null) {
      lines.push(await this.#open(disk));
      // Its guest runs meanwhile, an emulated one too.
      await this.#unlessEnded(
        Promise.race([clock.sleep(random.between(200, 4_000)), ...lines.map((each) => closed(each))]),
      );
      if (!this.#options.isThere()) throw new WeftError('hypervisor-failed', 'the guest is not running');
    }
    this.sendsMemory = true;
    const line = await this.#open(memory);
    lines.unshift(line);
    // An emulated guest stands still while its memory is sent; another one only at the end.
    const isEmulated = !random.chance(0.5);
    if (isEmulated) standStill();
    const stillMs = clock.now();
    await this.#unlessEnded(
      Promise.race([clock.sleep(random.between(50, 2_000)), ...lines.map((each) => closed(each))]),
    );
    if (!this.#options.isThere()) throw new WeftError('hypervisor-failed', 'the guest is not running');
    if (!isEmulated) standStill();
    this.isHandedOver = true;
    const took = clock.now() - begunMs;
    const downtimeMs = isEmulated ? clock.now() - stillMs : 30;
    const { ran } = await this.#unlessEnded(
      control.ask({ do: 'finish', took, downtimeMs, written: disk === null ? null : written() }),
    );
    if (ran === true) return;
    this.isHandedOver = false;
    throw new WeftError('hypervisor-failed', 'it could not be let run on the other host');
  }

  async #open(path: string): Promise<Duplex> {
    const socket = await this.#unlessEnded(this.#options.connect(path));
    this.#sockets.push(socket);
    return socket;
  }

  #unlessEnded<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#ended]);
  }
}

function answerOf({ error }: Readonly<Record<string, unknown>>): void {
  if (error !== undefined) throw new WeftError('hypervisor-failed', String(error));
}

const closed = (socket: Duplex): Promise<never> =>
  new Promise((_resolve, reject) => {
    const fail = () =>
      reject(new WeftError('hypervisor-failed', 'the connection to the other host was lost'));
    if (socket.destroyed) fail();
    for (const event of ['end', 'close']) socket.once(event, fail);
    socket.resume();
  });
