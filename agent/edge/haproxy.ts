import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import { type Clock, isWithin } from '../kit/clock.ts';
import { Daemon } from '../kit/daemon.ts';
import { WeftError } from '../kit/errors.ts';
import { exec } from '../kit/exec.ts';
import { Restarts } from '../kit/restarts.ts';
import { type Challenge, isChallengeEndpoint, type PublishedEndpoint } from '../protocol/index.ts';
import { planBackends } from './backend-plan.ts';
import { CHALLENGES_FILE, challengesText, parseChallenges, planChallenges } from './challenges.ts';
import { busyIn, deadOfEarlier, endSessions } from './earlier-workers.ts';
import type { WorkerStatistics } from './endpoint-totals.ts';
import { connectionsOfOne } from './fair-share.ts';
import {
  composeHaproxyConfiguration,
  FRONTENDS_VARIABLE,
  frontendsOf,
  type HaproxyPlaces,
} from './haproxy-configuration.ts';
import { refusedLines } from './refusals.ts';
import {
  askHaproxy,
  type Processes,
  parseProcesses,
  parseServers,
  parseStatistics,
  pathOf,
} from './runtime.ts';
import { edgeServers } from './servers.ts';

const CHECK_LIMIT_MS = 30_000;
/** In which a new worker serves, or its master has told why not. */
const TURN_LIMIT_MS = 10_000;
/** For one whose sockets are closed to be gone. */
const GONE_LIMIT_MS = 500;
const ASK_EVERY_MS = 20;
/** A line of HAProxy's command line holds 16 KiB. */
const COMMANDS_AT_ONCE = 24;

function shareOfThisHost(): Pick<HaproxyPlaces, 'connectionsOfOne'> {
  const share = connectionsOfOne(readFileSync('/proc/self/limits', 'utf8'));
  return share === undefined ? {} : { connectionsOfOne: share };
}

export interface HaproxyOptions {
  /** Ours alone. */
  readonly folder: string;
  readonly certificateFile: HaproxyPlaces['certificateFile'];
  readonly clock: Clock;
  readonly onExit: () => void;
}

/** Id → why HAProxy does not take it; `others`: why it takes none of the rest, null: it does. */
export interface Refused {
  readonly endpoints: ReadonlyMap<string, string>;
  readonly others: string | null;
}

/** The load balancer of this host: frontends by its configuration and reloads that lose nothing, backends by its socket. */
export class Haproxy {
  readonly #clock: Clock;
  readonly #file: string;
  readonly #master: string;
  readonly #challengesFile: string;
  /** What was last seen or written there. */
  #challengesText: string | null = null;
  readonly #places: HaproxyPlaces;
  readonly #daemon: Daemon;
  readonly #restarts = new Restarts();
  /** Since when it is on its way out; null: it is not, as far as this agent knows. */
  #leavingMs: number | null = null;

  constructor({ folder, certificateFile, clock, onExit }: HaproxyOptions) {
    this.#clock = clock;
    const { haproxy: server } = edgeServers(folder);
    this.#file = server.mark;
    this.#master = join(folder, 'master.sock');
    this.#challengesFile = join(folder, CHALLENGES_FILE);
    this.#places = {
      certificateFile,
      workerSocket: join(folder, 'worker.sock'),
      empty: join(folder, 'empty'),
      ...shareOfThisHost(),
    };
    this.#daemon = new Daemon({
      server,
      arguments: ['-W', '-db', '-S', `${this.#master},mode,600`, '-f', this.#file],
      log: join(folder, 'haproxy.log'),
      onExit,
    });
  }

  get processes(): readonly number[] {
    return this.#daemon.processes;
  }

  get isRunning(): boolean {
    return this.#daemon.isRunning;
  }

  /**
   * Has it take nothing new, and end when nothing is open any more, or after so long. To be called again and again: of an agent that has ended
   * meanwhile the next one waits as long anew.
   */
  leave(limitMs: number): void {
    const nowMs = this.#clock.now();
    if (!this.isRunning) this.#leavingMs = null;
    else if (this.#leavingMs === null) {
      this.#leavingMs = nowMs;
      this.#restarts.toldToEnd();
      this.#daemon.signal('SIGUSR1');
    } else if (!isWithin(limitMs, this.#leavingMs, nowMs)) this.#daemon.signal('SIGTERM');
  }

  /**
   * Makes it run with exactly these frontends, backends and challenges. @param edition what else of certificates makes another configuration.
   * @returns null: it does.
   */
  async keep(
    endpoints: readonly PublishedEndpoint[],
    edition: string,
    challenges: readonly Challenge[] = [],
  ): Promise<Refused | null> {
    const wasLeaving = this.#leavingMs !== null;
    this.#leavingMs = null;
    this.#daemon.trimLog();
    if (challengesText(challenges) !== this.#challengesText) await this.#writeChallenges(challenges);
    const frontends = createHash('sha256')
      .update(`${frontendsOf(endpoints, this.#places)}\n${edition}`)
      .digest('hex');
    let isWritten = false;
    // One that was told to end says nothing of that until it has read it.
    if (this.isRunning && (wasLeaving || (await this.#frontends()) !== frontends)) {
      const refused = await this.#write(endpoints, frontends, challenges);
      if (refused) return refused;
      isWritten = true;
      const not = await this.#reload(endpoints, frontends);
      if (not && this.isRunning) return not;
    }
    if (this.isRunning)
      try {
        await this.#tellBackends(endpoints);
        if (endpoints.some(isChallengeEndpoint)) await this.#tellChallenges(challenges);
        return null;
      } catch (error) {
        if (!(await this.#isGoneSoon())) throw error;
      }
    // Also one that was on its way out, and was gone before it could be told to go on.
    if (!this.#restarts.mayStart(this.#clock.now()))
      return { endpoints: new Map(), others: 'the load balancer ended, and is started again soon' };
    const refused = isWritten ? null : await this.#write(endpoints, frontends, challenges);
    if (refused) return refused;
    this.#restarts.started(this.#clock.now());
    return this.#start(endpoints, frontends);
  }

  /** Tokens of the challenges that new connections are answered. */
  async challenges(): Promise<readonly string[]> {
    return [...(await this.#challengesOf(await this.#worker()))].map(([token]) => token).sort();
  }

  /** Of all workers: those that came before keep their connections. The current one's are first, or where a reload came to nothing, those of the last. */
  async statistics(): Promise<readonly WorkerStatistics[]> {
    const { workers } = await this.#processes();
    const ordered = workers
      .toReversed()
      .sort((one, other) => Number(other.isCurrent) - Number(one.isCurrent));
    const all = [];
    for (const { pid } of ordered) all.push(await this.#statisticsOf(pid));
    return all;
  }

  /** Writes the configuration where a reload reads it, if HAProxy takes it. */
  async #write(
    endpoints: readonly PublishedEndpoint[],
    frontends: string,
    challenges: readonly Challenge[],
  ): Promise<Refused | null> {
    // A worker that comes reads them from the file: it is there, whatever somebody has done to it.
    await this.#writeChallenges(challenges);
    await mkdir(this.#places.empty, { recursive: true, mode: 0o755 });
    const { text, lines } = composeHaproxyConfiguration(endpoints, this.#places, frontends);
    const next = `${this.#file}.next`;
    await writeFileAtomic(next, text, 0o600);
    const { exitCode, stderr } = await exec('haproxy', ['-c', '-f', next], {
      okExitCodes: [0, 1],
      timeoutMs: CHECK_LIMIT_MS,
    });
    if (exitCode !== 0) return refusedLines(stderr, lines);
    await rename(next, this.#file);
    return null;
  }

  /** Whether it has ended: its sockets are closed a moment before its process is gone. */
  async #isGoneSoon(): Promise<boolean> {
    const untilMs = performance.now() + GONE_LIMIT_MS;
    while (this.isRunning) {
      if (performance.now() >= untilMs) return false;
      await this.#clock.sleep(ASK_EVERY_MS);
    }
    return true;
  }

  #start(endpoints: readonly PublishedEndpoint[], frontends: string): Promise<Refused | null> {
    return this.#turn(endpoints, frontends, () => this.#daemon.start());
  }

  #reload(endpoints: readonly PublishedEndpoint[], frontends: string): Promise<Refused | null> {
    return this.#turn(endpoints, frontends, () => {
      this.#daemon.signal('SIGUSR2');
      return () => !this.isRunning;
    });
  }

  /** Has a worker started, and waits until it serves. @param begin gives what says whether the load balancer has ended. */
  async #turn(
    endpoints: readonly PublishedEndpoint[],
    frontends: string,
    begin: () => () => boolean,
  ): Promise<Refused | null> {
    const from = this.#daemon.logBytes;
    const before = await this.#processes().catch(() => null);
    const hasEnded = begin();
    // By a clock that is never put back.
    const untilMs = performance.now() + TURN_LIMIT_MS;
    while (performance.now() < untilMs && !hasEnded()) {
      await this.#clock.sleep(ASK_EVERY_MS);
      const now = await this.#processes().catch(() => null);
      if (now && before && now.failedReloads > before.failedReloads) break;
      if (now?.workers.some(({ isCurrent }) => isCurrent) && (await this.#frontends()) === frontends)
        return null;
    }
    const { lines } = composeHaproxyConfiguration(endpoints, this.#places, frontends);
    return refusedLines(await this.#daemon.logSince(from), lines);
  }

  async #writeChallenges(challenges: readonly Challenge[]): Promise<void> {
    const text = challengesText(challenges);
    const now = await readFile(this.#challengesFile, 'utf8').catch(() => null);
    if (now !== text) await writeFileAtomic(this.#challengesFile, text, 0o600);
    this.#challengesText = text;
  }

  async #tellChallenges(challenges: readonly Challenge[]): Promise<void> {
    const worker = await this.#worker();
    await this.#tell(worker, planChallenges(challenges, await this.#challengesOf(worker)));
  }

  async #challengesOf(worker: number): Promise<ReadonlyMap<string, string>> {
    return parseChallenges(await this.#ask(worker, [`show map ${CHALLENGES_FILE}`]));
  }

  /** One that is open in an earlier worker counts as well: the current one looks at its backend for it. */
  async #tellBackends(endpoints: readonly PublishedEndpoint[]): Promise<void> {
    const worker = await this.#worker();
    const servers = parseServers(await this.#ask(worker, ['show servers state']));
    const current = parseStatistics(await this.#ask(worker, ['show stat']));
    const earlier: WorkerStatistics[] = [];
    for (const { pid } of (await this.#processes()).workers)
      if (pid !== worker) earlier.push(await this.#statisticsOf(pid));
    const busy = busyIn([current, ...earlier.map(({ lines }) => lines)]);
    await this.#tell(
      worker,
      planBackends(endpoints, servers, (server) => busy.has(pathOf(server))),
    );
    for (const { pid, lines } of earlier) {
      const dead = deadOfEarlier(endpoints, current, lines);
      if (dead.size > 0) await this.#endSessions(pid, dead).catch(() => undefined);
    }
  }

  /** One that does not answer is on its way out. */
  async #statisticsOf(pid: number): Promise<WorkerStatistics> {
    return { pid, lines: parseStatistics(await this.#ask(pid, ['show stat']).catch(() => '')) };
  }

  async #endSessions(worker: number, servers: ReadonlySet<string>): Promise<void> {
    await this.#tell(worker, endSessions(await this.#ask(worker, ['show sess']), servers));
  }

  /** However many they are. */
  async #tell(worker: number, commands: readonly string[]): Promise<void> {
    for (let at = 0; at < commands.length; at += COMMANDS_AT_ONCE)
      await this.#ask(worker, commands.slice(at, at + COMMANDS_AT_ONCE));
  }

  #ask(worker: number, commands: readonly string[]): Promise<string> {
    return askHaproxy(
      this.#master,
      commands.map((command) => `@!${worker} ${command}`),
    );
  }

  /** With which frontends it runs; null: that cannot be found out now, or it takes nothing new any more. */
  async #frontends(): Promise<string | null> {
    const answer = await this.#worker()
      .then((worker) => this.#ask(worker, [`show env ${FRONTENDS_VARIABLE}`, 'show info']))
      .catch(() => '');
    if (/^Stopping: 1$/m.test(answer)) return null;
    return new RegExp(`^${FRONTENDS_VARIABLE}=(\\w+)$`, 'm').exec(answer)?.[1] ?? null;
  }

  /** After a reload that came to nothing the one before works on. */
  async #worker(): Promise<number> {
    const { workers } = await this.#processes();
    const worker = workers.find(({ isCurrent }) => isCurrent) ?? workers.at(-1);
    if (!worker) throw new WeftError('host-unreachable', 'the load balancer has no worker');
    return worker.pid;
  }

  async #processes(): Promise<Processes> {
    return parseProcesses(await askHaproxy(this.#master, ['show proc']));
  }
}
