import type { Duplex } from 'node:stream';
import type { DomainMark, DomainSpec } from '../../../../agent/hypervisor/driver.ts';
import type { FakeDomain, FakeHypervisor } from '../../../../agent/hypervisor/fake/fake-hypervisor.ts';
import type { Clock } from '../../../../agent/kit/clock.ts';
import type { MigrationFiles } from '../../../../agent/protocol/index.ts';
import type { Random } from '../random.ts';
import type { MachineDisk } from '../simulated-disks.ts';
import { isStill, STANDS_STILL, WAITS } from './stands-still.ts';
import { Talk } from './talk.ts';

export interface IncomingOptions {
  readonly hypervisor: FakeHypervisor;
  readonly clock: Clock;
  readonly random: Random;
  /** Disks of machines on the host's own pool. */
  readonly machines: ReadonlyMap<string, MachineDisk>;
  readonly runsCopies: boolean;
  readonly isLocked: (vmId: string) => boolean;
  /** The daemon, or the host, is no more. */
  readonly isOver: () => boolean;
  readonly listen: (path: string, onConnection: (socket: Duplex) => void) => { close(): void };
  readonly onBegun: (name: string) => void;
  readonly onArrived: (name: string, how: { downtimeMs: number; totalMs: number }) => void;
  readonly onEnd: (name: string) => void;
}

interface Prepare {
  readonly mark: DomainMark;
  readonly spec: DomainSpec;
  readonly boots: number;
  readonly memory: string;
  /** Null: both hosts have it. */
  readonly disk: string | null;
  readonly to: MigrationFiles;
}

/** One migration on the host that takes, as its libvirt goes about it. */
export class Incoming {
  readonly #options: IncomingOptions;
  readonly #talk: Talk;
  #name = '';
  #domain: FakeDomain | null = null;
  #listening: readonly { close(): void }[] = [];
  #copiesDisk = false;
  /** The file into which its disk is copied, whatever becomes of its name. */
  #disk: MachineDisk | null = null;
  #isFinishing = false;

  constructor(socket: Duplex, options: IncomingOptions) {
    this.#options = options;
    this.#talk = new Talk(socket, () => this.#lost());
    this.#run().catch(() => undefined);
  }

  close(): void {
    this.#talk.socket.destroy();
    this.#stopListening();
  }

  /** A new daemon finds what the one before it had begun: what was to run runs, all else goes. */
  recover(): void {
    if (this.#isFinishing && !this.#copiesDisk) this.#letRun();
    else this.#discard();
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#options;
    const prepare = (await this.#talk.next()) as unknown as Prepare;
    await clock.sleep(random.between(5, 60));
    const error = this.#options.isOver() || this.#talk.isClosed ? 'it is over' : this.#prepare(prepare);
    this.#talk.send(error === null ? {} : { error });
    if (error !== null) return;
    const { took, downtimeMs, written } = await this.#talk.next();
    this.#isFinishing = true;
    await clock.sleep(random.between(1, 40));
    // The next daemon finds it.
    if (this.#options.isOver()) return;
    const ran = this.#copiesDisk ? this.#keepPaused(Number(written)) : this.#letRun();
    if (ran) this.#options.onArrived(this.#name, { downtimeMs: Number(downtimeMs), totalMs: Number(took) });
    this.#talk.send({ ran });
  }

  /** @returns why it cannot come; null: it can. */
  #prepare({ mark, spec, boots, memory, disk, to }: Prepare): string | null {
    const { hypervisor, listen, onBegun, machines } = this.#options;
    const { name } = spec;
    const found = hypervisor.domains.get(name);
    if (found && found.state !== 'shut-off') return `domain ${name} is already active`;
    if (hypervisor.networks.get(spec.nic.network)?.active !== true)
      return `network '${spec.nic.network}' is not active`;
    this.#copiesDisk = disk !== null;
    this.#disk = machines.get(mark.id) ?? null;
    if (this.#copiesDisk && !this.#disk) return `${to.disk} is not there`;
    const [top, ...below] = spec.chain;
    const chain = top ? [{ ...top, path: to.disk }, ...below] : [];
    this.#name = name;
    this.#domain = {
      ...{ spec: { ...spec, mark, chain, seedIso: to.seed }, mark, boots, consoles: new Set() },
      ...{ state: 'paused', reason: STANDS_STILL },
    };
    hypervisor.domains.set(name, this.#domain);
    hypervisor.emit({ type: 'lifecycle', name, state: 'paused', detail: 'started migrated' });
    this.#listening = [memory, ...(disk === null ? [] : [disk])].map((path) =>
      this.#listenOnce(listen, path),
    );
    onBegun(name);
    return null;
  }

  /** Its process takes one connection of each kind. */
  #listenOnce(listen: IncomingOptions['listen'], path: string): { close(): void } {
    let isTaken = false;
    return listen(path, (socket) => {
      if (isTaken) {
        socket.destroy();
        return;
      }
      isTaken = true;
      socket.resume();
      for (const event of ['end', 'close']) socket.once(event, () => this.#lost());
    });
  }

  #stopListening(): void {
    for (const listening of this.#listening) listening.close();
  }

  #lost(): void {
    if (!this.#isFinishing && !this.#options.isOver()) this.#discard();
  }

  /** All of it is here, with its disk; it stands still until somebody lets it run on. */
  #keepPaused(written: number): boolean {
    const domain = this.#domain;
    this.#end();
    if (!domain || !this.#disk || !this.#isThere()) return false;
    this.#disk.arriving = written;
    if (this.#options.runsCopies) return this.#runs(domain);
    domain.reason = WAITS;
    this.#options.hypervisor.emit({
      ...{ type: 'lifecycle', name: this.#name, state: 'paused', detail: 'suspended paused' },
    });
    return true;
  }

  #letRun(): boolean {
    const { hypervisor, isLocked } = this.#options;
    const domain = this.#domain;
    this.#end();
    if (!domain || !this.#isThere()) return false;
    if (isLocked(domain.mark?.id ?? '')) {
      // It is defined to stay before it is let run.
      hypervisor.halt(this.#name, domain, 'shut-off', 'failed');
      return false;
    }
    return this.#runs(domain);
  }

  #runs(domain: FakeDomain): true {
    domain.state = 'running';
    domain.reason = 'migrated';
    this.#options.hypervisor.emit({
      ...{ type: 'lifecycle', name: this.#name, state: 'running', detail: 'resumed migrated' },
    });
    return true;
  }

  #discard(): void {
    const { hypervisor } = this.#options;
    this.#end();
    if (!this.#domain || !this.#isThere()) return;
    hypervisor.domains.delete(this.#name);
    hypervisor.halt(this.#name, this.#domain, 'shut-off', 'failed');
  }

  #isThere(): boolean {
    const domain = this.#domain;
    return domain !== null && this.#options.hypervisor.domains.get(this.#name) === domain && isStill(domain);
  }

  #end(): void {
    this.#stopListening();
    this.#options.onEnd(this.#name);
  }
}
