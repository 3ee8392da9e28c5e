import type { Duplex } from 'node:stream';
import type { Clock } from '../../../../agent/kit/clock.ts';
import { WeftError } from '../../../../agent/kit/errors.ts';
import { joinStreams } from '../../../../agent/kit/join-streams.ts';
import type { ArrivalDoor } from '../../../../agent/migrations/direct/arrival-door.ts';
import type { IdleLine } from '../../../../agent/migrations/direct/dialler.ts';
import type { DirectTarget } from '../../../../agent/migrations/direct/direct-line.ts';
import { keyOf } from '../../../../agent/migrations/key.ts';
import {
  BYTES_BEGUN,
  type MigrationChannel,
  type MigrationDoor,
  parseMigrationPath,
} from '../../../../agent/protocol/index.ts';
import type { Random } from '../random.ts';
import type { SimulatedHost } from '../simulated-host.ts';
import { whenBegun } from './begun.ts';
import { type Carry, connection } from './connection.ts';

/** How long bytes are on their way, at most, ms. */
const CARRIED_WITHIN_MS = 5;
const PORT = 7702;

type Connect = (vmId: string, incarnation: number, channel: MigrationChannel) => Promise<Duplex>;

/** Where one process of an agent lets in what comes straight from other hosts: nobody but whom its goal names. */
export class SimulatedDoor implements Pick<ArrivalDoor, 'open' | 'shut'> {
  readonly #address: string | null;
  readonly #connect: Connect;
  readonly #keep: (socket: Duplex) => Duplex;
  readonly #expected = new Map<string, string>();

  /** @param address null: what comes, comes through the controller. @param keep what goes with the process. */
  constructor(address: string | null, connect: Connect, keep: (socket: Duplex) => Duplex) {
    this.#address = address;
    this.#connect = connect;
    this.#keep = keep;
  }

  /** A port is open only while something is expected. */
  get isOpen(): boolean {
    return this.#address !== null && this.#expected.size > 0;
  }

  async open(
    handOver: Parameters<ArrivalDoor['open']>[0],
    { name }: Parameters<ArrivalDoor['open']>[1],
  ): Promise<MigrationDoor | null> {
    this.#expected.set(keyOf(handOver), name);
    return this.#address === null ? null : { address: this.#address, port: PORT };
  }

  shut(handOver: Parameters<ArrivalDoor['shut']>[0]): void {
    this.#expected.delete(keyOf(handOver));
  }

  kill(): void {
    this.#expected.clear();
  }

  /** @param from whose certificate the other end has. */
  accept(from: string, socket: Duplex): void {
    this.#keep(socket);
    socket.once('data', (bytes: Buffer) => {
      socket.pause();
      this.#letIn(from, String(bytes), socket).catch((error: unknown) => {
        socket.end(WeftError.from(error).message);
      });
    });
  }

  async #letIn(from: string, path: string, socket: Duplex): Promise<void> {
    const wanted = parseMigrationPath(path);
    if (!wanted) throw new WeftError('not-found', 'nothing else is to be had here');
    const expected = this.#expected.get(keyOf({ id: wanted.vmId, incarnation: wanted.incarnation }));
    if (expected !== from) throw new WeftError('forbidden', 'it is not expected here');
    const near = await this.#connect(wanted.vmId, wanted.incarnation, wanted.channel);
    socket.write(BYTES_BEGUN);
    joinStreams(near, socket);
  }
}

export interface NetworkOptions {
  readonly hosts: () => readonly SimulatedHost[];
  /** Of the fabric. */
  readonly clock: Clock;
  readonly random: Pick<Random, 'between'>;
  readonly note: () => void;
}

/** The network between hosts, by which agents reach each other where no wall is in the way. */
export class HostNetwork {
  readonly #options: NetworkOptions;

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  /** As an agent dials another one. @throws WeftError `host-unreachable`: refused at once, or silent until the limit. */
  open(from: SimulatedHost, { address, host }: DirectTarget, limitMs: number): Promise<IdleLine> {
    const { clock, random, note } = this.#options;
    const to = this.#options.hosts().find(({ ownAddress }) => ownAddress === address);
    return new Promise((resolve, reject) => {
      const fail = (why: string) => {
        limit.cancel();
        reject(new WeftError('host-unreachable', `${host.name} at ${address}: ${why}`));
      };
      const limit = clock.after(limitMs, () => fail(`no answer within ${limitMs} ms`));
      if (!to || !from.hears || !to.hears || to.walled) return;
      clock.after(random.between(1, CARRIED_WITHIN_MS), () =>
        to.whenRunning(() => {
          note();
          if (!to.door?.isOpen) return fail('the connection was refused');
          limit.cancel();
          const [near, far] = this.#wire(from, to);
          to.door.accept(from.name, far);
          resolve(near);
        }),
      );
    });
  }

  ask(line: IdleLine, path: string, _host: string, limitMs: number): Promise<Duplex> {
    line.write(path);
    return whenBegun(line, path, this.#options.clock, limitMs);
  }

  /** In a cut of either host, or behind a wall, it breaks with the next thing that is to pass. */
  #wire(from: SimulatedHost, to: SimulatedHost): readonly [IdleLine, Duplex] {
    let isBroken = false;
    const carrying = (end: SimulatedHost): Carry => {
      let lastMs = 0;
      return (arrive) => {
        const { clock, random, note } = this.#options;
        note();
        if (isBroken) return;
        lastMs = Math.max(lastMs, clock.now() + random.between(1, CARRIED_WITHIN_MS));
        clock.after(lastMs - clock.now(), () =>
          end.whenRunning(() => {
            note();
            if (from.hears && to.hears && !to.walled) arrive();
            else sever();
          }),
        );
      };
    };
    const [near, far] = connection(carrying(to), carrying(from));
    const sever = () => {
      isBroken = true;
      near.destroy();
      far.destroy();
    };
    for (const end of [from, to]) {
      end.onCut(sever);
      near.once('close', () => end.offCut(sever));
    }
    // One that lies idle is as good as one that was opened anew.
    return [Object.assign(near, { setTimeout: () => undefined }), far];
  }
}
