import { decide, type Sight } from '../../../agent/guard/decide.ts';
import { LeaseKeeper, releaseGuard } from '../../../agent/guard/lease-keeper.ts';
import type { NoteFolder, Notes } from '../../../agent/guard/notes.ts';
import { startTicksOf } from '../../../agent/kit/processes.ts';
import type { GuardState } from '../../../agent/protocol/index.ts';
import { Leases } from '../../../controller/fleet/leases.ts';
import type { HostRecord } from '../../../controller/model/index.ts';
import { Draft } from '../../../controller/reconciler/draft.ts';
import { proveByLeases } from '../../../controller/reconciler/rules/leases.ts';
import type { World } from '../../../controller/reconciler/world.ts';
import { MemoryStore } from '../../../controller/store/memory/memory-store.ts';
import type { Random } from '../../simulation/support/random.ts';
import { FLEET } from '../../support/builders/goal.ts';
import { aHost } from '../../support/builders/host.ts';

export const STEP_MS = 100;
const LEASE_MS = 5_000;
const TIMEOUT_MS = 3_000;
/** Sooner than a real one, so that the lease alone is what is waited for. */
const DOWN_MS = 2_000;
const LEAVE_LIMIT_MS = 10_000;
const HOST = 'h1';

/** Notes in memory: gone with the host's power. */
class MemoryNotes implements NoteFolder {
  readonly #notes: Partial<Notes> = {};
  read<Kind extends keyof Notes>(kind: Kind): Notes[Kind] | null {
    return (this.#notes[kind] as Notes[Kind] | undefined) ?? null;
  }
  write<Kind extends keyof Notes>(kind: Kind, note: Notes[Kind]): void {
    this.#notes[kind] = structuredClone(note) as Partial<Notes>[Kind];
  }
}

interface Agent {
  /** Null: its configuration has no guard. */
  readonly keeper: LeaseKeeper | null;
  paused: boolean;
  session: number | null;
  welcomed: boolean;
  /** The newest goal wants the machine here. */
  wanted: boolean;
}

interface GuardProcess {
  paused: boolean;
  hasOpen: boolean;
  word: string;
  leaving: Sight['leaving'];
  /** Held up between its look and what it does then. */
  pending: { readonly atMs: number; readonly actions: ReturnType<typeof decide> } | null;
}

interface Controller {
  readonly leases: Leases;
  heardMs: number;
  session: number | null;
}

/**
 * One host with a machine on a shared pool, its agent, guard and watchdog, the network and the controller, in virtual time: the real
 * rules of all of them, over processes that are killed, held up and cut off at random. Once its death is proven the machine lives elsewhere.
 */
export class Life {
  readonly #random: Random;
  /** Added to the age of a lease: a controller that is so much too hasty. */
  readonly #hasteMs: number;
  readonly #store = new MemoryStore();
  #nowMs = 1_000_000;
  #notes = new MemoryNotes();
  #agent: Agent | null = null;
  #guard: GuardProcess | null = null;
  #controller: Controller | null = null;
  #isGuarded = true;
  #isCut = false;
  #isRunning = false;
  /** Its disk hangs: SIGKILL does not end it. */
  #isStuck = false;
  #fedMs: number | null = null;
  #sessions = 0;
  #words = 0;
  #inFlight: { readonly atMs: number; readonly deliver: () => Promise<boolean> }[] = [];
  isProven = false;

  private constructor(random: Random, hasteMs: number) {
    this.#random = random;
    this.#hasteMs = hasteMs;
  }

  static async begin(random: Random, hasteMs = 0): Promise<Life> {
    const life = new Life(random, hasteMs);
    await life.#store.transact({ puts: [{ key: `hosts/${HOST}`, value: aHost(HOST) }] });
    life.#boot();
    life.#startController();
    return life;
  }

  /** Two copies of the machine: its death is proven, and it lives. */
  get isTwice(): boolean {
    return this.isProven && this.#isRunning;
  }

  async step(): Promise<void> {
    this.#nowMs += STEP_MS;
    this.#watchdog();
    await this.#deliver();
    if (this.#nowMs % 1_000 === 0) this.#agentBeat();
    this.#agentStart();
    this.#guardRound();
    if (this.#nowMs % 500 === 0) await this.#pass();
  }

  readonly faults: Readonly<Record<string, () => void>> = {
    cut: () => {
      this.#isCut = true;
    },
    mend: () => {
      this.#isCut = false;
    },
    'kill agent': () => {
      if (this.#agent) this.#startAgent();
    },
    'change configuration': () => {
      this.#isGuarded = !this.#isGuarded;
      if (this.#agent) this.#startAgent();
    },
    'pause agent': () => {
      if (this.#agent) this.#agent.paused = true;
    },
    'continue agent': () => {
      if (this.#agent) this.#agent.paused = false;
    },
    'pause guard': () => {
      if (this.#guard) this.#guard.paused = true;
    },
    'continue guard': () => {
      if (this.#guard) this.#guard.paused = false;
    },
    'kill guard': () => this.#endGuard(),
    'end guard': () => {
      const word = `${++this.#words}`;
      if (!this.#guard || this.#guard.leaving) return;
      Object.assign(this.#guard, { word, leaving: { word, untilMs: this.#nowMs + LEAVE_LIMIT_MS } });
    },
    'start guard': () => this.#startGuard(),
    'hang disk': () => {
      this.#isStuck = true;
    },
    'mend disk': () => {
      this.#isStuck = false;
    },
    'kill controller': () => {
      this.#controller = null;
    },
    'start controller': () => this.#startController(),
    'power on': () => this.#boot(),
  };

  #boot(): void {
    if (this.#agent) return;
    this.#notes = new MemoryNotes();
    this.#startAgent();
    this.#startGuard();
  }

  #startAgent(): void {
    const bootTimeMs = () => this.#nowMs;
    const keeper = this.#isGuarded
      ? new LeaseKeeper({
          ...{ folder: this.#notes, bootTimeMs, leaseMs: LEASE_MS, onHeld: () => undefined },
          machines: () => null,
        })
      : null;
    this.#agent = { keeper, paused: false, session: null, welcomed: false, wanted: false };
  }

  #startGuard(): void {
    if (this.#guard || !this.#agent) return;
    const word = `${++this.#words}`;
    this.#guard = { paused: false, hasOpen: false, word, leaving: null, pending: null };
  }

  /** The kernel feeds once more when a feeder is gone without the magic close. */
  #endGuard(): void {
    if (this.#guard?.hasOpen) this.#fedMs = this.#nowMs;
    this.#guard = null;
    const note = this.#notes.read('guard');
    if (note) this.#notes.write('guard', { ...note, startTicks: 'gone' });
  }

  #startController(): void {
    if (this.#controller) return;
    // Its clock runs a little faster than the host's.
    const leases = new Leases({ store: this.#store, monotonicMs: () => this.#nowMs * 1.005 });
    this.#controller = { leases, heardMs: this.#nowMs, session: null };
  }

  #watchdog(): void {
    if (this.#fedMs === null || this.#nowMs < this.#fedMs + TIMEOUT_MS) return;
    this.#fedMs = null;
    this.#guard = null;
    this.#agent = null;
    this.#isRunning = false;
    this.#isStuck = false;
  }

  #send(deliver: () => Promise<boolean>): void {
    const last = this.#inFlight.at(-1)?.atMs ?? 0;
    const lastsMs = this.#random.between(0, this.#random.chance(0.1) ? 2_000 : 100);
    this.#inFlight.push({ atMs: Math.max(last, this.#nowMs + lastsMs), deliver });
  }

  /** What finds its receiver stopped waits; what meets a cut is lost. */
  async #deliver(): Promise<void> {
    const due = this.#inFlight.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#inFlight = this.#inFlight.filter(({ atMs }) => atMs > this.#nowMs);
    const waiting: typeof due = [];
    for (const each of due) if (!this.#isCut && !(await each.deliver())) waiting.push(each);
    this.#inFlight.unshift(...waiting);
  }

  #agentBeat(): void {
    const agent = this.#agent;
    if (!agent || agent.paused) return;
    if (this.#isCut) Object.assign(agent, { session: null, welcomed: false });
    else if (agent.session === null) this.#hello(agent);
    else if (agent.welcomed && agent.keeper) this.#heartbeat(agent, agent.keeper, agent.session);
    else if (agent.welcomed) this.#report(agent.session);
    // The line is given up now and then, as one that a silent controller has left.
    if (this.#random.chance(0.03)) Object.assign(agent, { session: null, welcomed: false });
  }

  #hello(agent: Agent): void {
    const session = ++this.#sessions;
    agent.session = session;
    const guard = agent.keeper?.state() ?? null;
    this.#send(async () => {
      const controller = this.#controller;
      if (!controller || (controller.session ?? 0) > session) return true;
      controller.session = session;
      const record = await controller.leases.note(HOST, guard, () => controller.session === session);
      if (!record) return true;
      controller.heardMs = this.#nowMs;
      this.#send(async () => this.#welcome(agent, session, record.state !== 'fenced'));
      return true;
    });
  }

  #welcome(agent: Agent, session: number, wanted: boolean): boolean {
    if (this.#agent !== agent || agent.session !== session) return true;
    if (agent.paused) return false;
    Object.assign(agent, { welcomed: true, wanted });
    if (!agent.keeper) releaseGuard(this.#notes);
    return true;
  }

  #report(session: number): void {
    this.#send(async () => {
      if (this.#controller?.session === session) this.#controller.heardMs = this.#nowMs;
      return true;
    });
  }

  #heartbeat(agent: Agent, keeper: LeaseKeeper, session: number): void {
    const { sequence, guard } = keeper.beat();
    this.#send(async () => {
      const controller = this.#controller;
      if (controller?.session !== session) return true;
      controller.heardMs = this.#nowMs;
      const leaseMs = await controller.leases.grant(HOST, guard, () => controller.session === session);
      if (leaseMs === null) return true;
      this.#send(async () => {
        if (this.#agent !== agent || agent.session !== session) return true;
        if (agent.paused) return false;
        keeper.granted({ type: 'lease', sequence, leaseMs });
        return true;
      });
      return true;
    });
  }

  #agentStart(): void {
    const agent = this.#agent;
    if (!agent || agent.paused || !agent.wanted || this.#isRunning) return;
    if (!agent.keeper || agent.keeper.isHeld()) this.#isRunning = true;
  }

  #guardRound(): void {
    const guard = this.#guard;
    if (!guard || guard.paused) return;
    if (guard.pending) {
      if (this.#nowMs >= guard.pending.atMs) this.#act(guard, guard.pending.actions);
      return;
    }
    if (this.#nowMs % 500 !== 0) return;
    let actions = decide(this.#sight(guard, null));
    if (actions.includes('stop')) {
      if (!this.#isStuck) this.#isRunning = false;
      actions = decide(this.#sight(guard, this.#isRunning ? 1 : 0));
    }
    const heldUpMs = this.#random.chance(0.1) ? this.#random.between(0, 2 * TIMEOUT_MS) : 0;
    if (heldUpMs > 0) guard.pending = { atMs: this.#nowMs + heldUpMs, actions };
    else this.#act(guard, actions);
  }

  #sight(guard: GuardProcess, remaining: number | null): Sight {
    return {
      nowMs: this.#nowMs,
      lease: this.#notes.read('lease'),
      remaining,
      watchdog: guard.hasOpen ? 'open' : 'closed',
      neverStops: false,
      leaving: guard.leaving,
    };
  }

  #act(guard: GuardProcess, actions: ReturnType<typeof decide>): void {
    guard.pending = null;
    if (actions.includes('arm')) Object.assign(guard, { hasOpen: true, word: `${++this.#words}` });
    if (actions.includes('arm') || (actions.includes('feed') && guard.hasOpen)) this.#fedMs = this.#nowMs;
    if (actions.includes('disarm') && guard.hasOpen) {
      guard.hasOpen = false;
      this.#fedMs = null;
      if (!guard.leaving) guard.word = `${++this.#words}`;
    }
    this.#notes.write('guard', {
      ...{ pid: process.pid, startTicks: startTicksOf(process.pid) ?? '', word: guard.word },
      ...{ armed: guard.hasOpen && guard.leaving === null, device: '/dev/watchdog', dependable: true },
      ...{ timeoutMs: TIMEOUT_MS, identity: 'simulated', note: null },
    });
    if (actions.includes('end')) this.#endGuard();
  }

  async #pass(): Promise<void> {
    const controller = this.#controller;
    const value = (await this.#store.get(`hosts/${HOST}`))?.value as HostRecord & {
      guard?: GuardState | null;
    };
    if (!controller || value.state === 'fenced') return;
    const isSilent = this.#nowMs - controller.heardMs >= DOWN_MS;
    const state = isSilent ? 'down' : 'up';
    const draft = new Draft(this.#world(value, controller), this.#nowMs);
    if (state !== value.state) draft.put('hosts', HOST, { ...value, state });
    else proveByLeases(draft, false);
    const { puts } = draft.writes();
    await this.#store.transact({ puts });
    if ((puts[0]?.value as HostRecord | undefined)?.state === 'fenced') this.isProven = true;
  }

  #world(host: HostRecord, { leases }: Controller): World {
    const none = new Map();
    return {
      fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
      ...{ applications: none, vms: none, claims: none, networks: none, tombstones: none },
      ...{ incarnations: none, fencing: none, backups: none, images: none, live: none },
      hosts: new Map([[HOST, host]]),
      leaseAges: new Map([[HOST, leases.ageMs(HOST) + this.#hasteMs]]),
      listeningSinceMs: 0,
    };
  }
}
