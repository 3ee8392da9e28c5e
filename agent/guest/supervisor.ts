import type { Clock } from '../kit/clock.ts';
import { WeftError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { type Contact, makeContact } from './contact.ts';
import type { GuestProgress, GuestSupervisor, SuperviseOptions } from './contract.ts';
import { deliverPackage } from './deliver-package.ts';
import { keepProbing } from './keep-probing.ts';
import { tryProbe } from './probe.ts';
import { ProgressBook } from './progress-book.ts';
import { readService, startServices } from './services.ts';
import type { SshSession } from './ssh-session.ts';
import { composeStartup, readOutput, StartupLog, startupError } from './startup.ts';
import { waitForSsh } from './wait-for-ssh.ts';

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** A guest that does not answer by SSH for so long has failed. */
  readonly sshLimitMs: number;
}

/** Between tries of a probe until it passes for the first time. */
const FIRST_PROBES_EVERY_MS = 100;
const AGAIN_AFTER_LOSS_MS = 50;
/** A busy guest may refuse, or lose, the command that reads what a task said. */
const OUTPUT_TRIES = 3;
const OUTPUT_PAUSE_MS = 1_000;

export function createGuestSupervisor(options: SupervisorOptions): GuestSupervisor {
  const hints = new Map<string, () => void>();
  return {
    hint: (vmId) => hints.get(vmId)?.(),
    async supervise(supervision) {
      try {
        await new Supervision(options, supervision, hints).run();
      } catch (error) {
        if (!supervision.signal.aborted) throw error;
      } finally {
        hints.delete(supervision.vm.id);
      }
    },
  };
}

/** One VM under one incarnation's watch. */
class Supervision {
  readonly #options: SupervisorOptions;
  readonly #vm: SuperviseOptions['vm'];
  readonly #supervision: SuperviseOptions;
  readonly #hints: Map<string, () => void>;
  readonly #book: ProgressBook;
  /** Boot whose startup is done; empty: none yet. */
  #startedBoot = '';
  /** Reads what tasks of this boot said, where it could not be read over an earlier connection. */
  readonly #unread = new Map<string, (session: SshSession) => unknown>();

  constructor(options: SupervisorOptions, supervision: SuperviseOptions, hints: Map<string, () => void>) {
    this.#options = options;
    this.#supervision = supervision;
    this.#vm = supervision.vm;
    this.#hints = hints;
    this.#book = new ProgressBook(options.clock, (progress: GuestProgress) =>
      supervision.onProgress(progress),
    );
  }

  /** Connects, prepares, watches, and begins again whenever the connection is lost, until the signal. */
  async run(): Promise<void> {
    const { signal } = this.#supervision;
    const { clock, log } = this.#options;
    while (!signal.aborted) {
      const session = await this.#connect();
      const onAbort = () => session.end();
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        await this.#attend(session);
      } catch (error) {
        if (signal.aborted) return;
        if (WeftError.from(error).code !== 'guest-unreachable') throw error;
        log.info({ vm: this.#vm.id, err: error }, 'the connection to a guest was lost');
      } finally {
        signal.removeEventListener('abort', onAbort);
        session.end();
      }
      if (this.#book.phase === 'ready') this.#book.setPhase('unready');
      await clock.sleep(AGAIN_AFTER_LOSS_MS, signal);
    }
  }

  #connect(): Promise<SshSession> {
    const { secrets, signal } = this.#supervision;
    return waitForSsh({
      target: {
        host: this.#vm.nic.address,
        user: this.#vm.image.sshUser,
        privateKey: secrets.userPrivateKey,
        // An image without a seed has a key of its own, which nobody could know before.
        hostPublicKey: this.#vm.image.seed === 'none' ? null : secrets.hostPublicKey,
      },
      clock: this.#options.clock,
      limitMs: this.#options.sshLimitMs,
      signal,
      onHint: (hint) => this.#hints.set(this.#vm.id, hint),
    });
  }

  async #attend(session: SshSession): Promise<void> {
    const contact = await makeContact(session, this.#vm, this.#supervision.fleet);
    this.#book.answered();
    if (contact.bootId !== this.#startedBoot) {
      if (this.#startedBoot !== '') this.#book.bootedAgain();
      this.#unread.clear();
      await this.#start(session, contact);
      this.#startedBoot = contact.bootId;
    } else for (const read of [...this.#unread.values()]) read(session);
    await this.#watch(session);
  }

  /** Package, startup tasks, the role's process, in that order: tasks run in the package's folder. */
  async #start(session: SshSession, contact: Contact): Promise<void> {
    const book = this.#book;
    const { startup, package: blob, start, site } = this.#vm.workload;
    book.setPhase('starting');
    if (blob) {
      await book.step('package', async () => {
        const file = await this.#supervision.packageFile();
        const { digest, folder } = blob;
        if (contact.delivered !== digest)
          await deliverPackage(session, { file, digest, folder, sftp: contact.sftp });
      });
    } else book.skip('package');
    if (startup.length > 0) await book.step('startup', () => this.#runStartup(session, contact));
    else book.skip('startup');
    const probed = this.#vm.workload.endpoints.some((endpoint) => endpoint.probe);
    if (start === null && site === null && !probed) {
      book.skip('start');
      return;
    }
    await book.step('start', async () => {
      if (start !== null || site !== null) await startServices(session, this.#vm, contact);
      await this.#firstProbes(session);
    });
  }

  async #runStartup(session: SshSession, contact: Contact): Promise<void> {
    const { startup } = this.#vm.workload;
    const log = new StartupLog(startup, this.#options.clock);
    const run = `${this.#vm.incarnation}-${contact.bootId.slice(0, 8)}`;
    const outputs: Promise<void>[] = [];
    let tell = () => {};
    const ready = new Promise<void>((resolve) => {
      tell = () => {
        const progress = log.progress();
        this.#book.setTasks(progress.tasks);
        if (progress.done || progress.failed) resolve();
      };
    });
    const followed = session.run('sh -s', {
      input: composeStartup(startup, run),
      onLine: (line) => {
        log.take(line);
        const [name = '', status] = line.split(' ');
        if (status !== 'running' && log.progress().tasks.some((task) => task.name === name)) {
          const read = async (over: SshSession) => {
            const text = await this.#outputOf(over, run, name);
            this.#unread.delete(name);
            log.setOutput(name, text);
            tell();
          };
          const tryToRead = (over: SshSession) => {
            const reading = read(over);
            // Only a failure waits for it.
            reading.catch((error: unknown) => {
              log.setOutput(name, `(its output could not be read: ${WeftError.from(error).message})`);
              this.#unread.set(name, tryToRead);
              tell();
            });
            return reading;
          };
          outputs.push(tryToRead(session));
        }
        tell();
      },
    });
    // The channel goes on after the simple tasks, for what runs beside them; its end before that is a loss.
    await Promise.race([ready, followed]);
    followed.catch(() => undefined);
    if (!log.progress().failed && !log.progress().done)
      throw new WeftError('guest-unreachable', 'the guest stopped telling of its startup tasks');
    if (log.progress().failed) {
      // The guest keeps log and output: over the next connection they are read again, and nothing is run again.
      for (const end of await Promise.allSettled(outputs))
        if (end.status === 'rejected' && WeftError.from(end.reason).code === 'guest-unreachable')
          throw end.reason;
      throw startupError(log.progress());
    }
  }

  /** @throws WeftError when it cannot be read over this connection. */
  async #outputOf(session: SshSession, run: string, task: string): Promise<string> {
    const { clock } = this.#options;
    for (let tries = 1; ; tries++)
      try {
        return await readOutput(session, run, task);
      } catch (error) {
        if (session.isClosed || tries === OUTPUT_TRIES) throw error;
        await clock.sleep(OUTPUT_PAUSE_MS, this.#supervision.signal);
      }
  }

  /** Until every probe has passed once. A process that ends before that keeps being started; only the connection's loss ends this. */
  async #firstProbes(session: SshSession): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#supervision;
    const { endpoints, start } = this.#vm.workload;
    for (;;) {
      const answers = await Promise.all(
        endpoints.map((endpoint) => tryProbe(endpoint, this.#vm.nic.address, session)),
      );
      const why = answers.find((answer) => answer !== null);
      if (why === undefined) return;
      if (session.isClosed) throw new WeftError('guest-unreachable', 'the connection to the guest was lost');
      this.#book.setDetail('start', why);
      if (start !== null) await this.#readRole(session).catch(() => undefined);
      await clock.sleep(FIRST_PROBES_EVERY_MS, signal);
    }
  }

  /** Ready, until the connection is lost or a probe fails too often. */
  async #watch(session: SshSession): Promise<void> {
    const { signal } = this.#supervision;
    const { endpoints } = this.#vm.workload;
    this.#book.setPhase('ready');
    const watching = new AbortController();
    const watched = AbortSignal.any([signal, watching.signal]);
    const probes = keepProbing(
      endpoints,
      (endpoint) => tryProbe(endpoint, this.#vm.nic.address, session),
      (isReady, why) => {
        if (why !== null) this.#book.setDetail('start', why);
        this.#book.setPhase(isReady ? 'ready' : 'unready');
      },
      this.#options.clock,
      watched,
    );
    await session.closed;
    watching.abort();
    await probes;
    signal.throwIfAborted();
    throw new WeftError('guest-unreachable', 'the connection to the guest ended');
  }

  async #readRole(session: SshSession): Promise<void> {
    const { output, starts } = await readService(session);
    this.#book.setRole(output, starts);
  }
}
