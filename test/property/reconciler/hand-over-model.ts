import { nextAct, stateOf } from '../../../agent/migrations/decide.ts';
import type { GuestSeen } from '../../../agent/protocol/index.ts';
import type { LiveMove } from '../../../controller/model/live-move.ts';
import {
  ARRIVAL_MS,
  nextOfHandOver,
  type SourceWord,
  type TargetWord,
} from '../../../controller/reconciler/hand-over.ts';

const FILES = { disk: '/san/disk.qcow2', seed: null, console: '/console.log' };
const ID = { id: 'crm/db', incarnation: 2 };

type Phase = 'none' | 'memory' | 'switched' | 'resumed there';

/** What may happen next. The faults end when a run is to come to rest. */
export const EVENTS = [
  'plan',
  'goal reaches source',
  'source looks',
  'source tells',
  'target looks',
  'target tells',
  'goal reaches target',
  'libvirt goes on',
  'time passes',
] as const;
export const FAULTS = [
  'source agent is killed',
  'target agent is killed',
  'connection is lost',
  'connection is lost at the end',
  'guest ends',
  'source host dies',
  'death is proven',
  'it is called off',
] as const;
export type Happening = (typeof EVENTS)[number] | (typeof FAULTS)[number];

/**
 * One hand-over between two hosts: the real decisions of controller and agent over a libvirt that does what the real one does, also when
 * its connection breaks, and a disk whose lock one QEMU holds at a time. What is told may be old by the time it is heard.
 */
export class HandOver {
  live: LiveMove = {
    ...{ state: 'moving', sinceMs: 0, files: FILES, reason: null, failed: false },
    ...{ resume: false, goneAtMs: null },
  };
  /** Whose it is, once that is decided. */
  end: 'here' | 'there' | null = null;
  here: GuestSeen = 'running';
  there: GuestSeen = 'absent';
  readonly wrongs: string[] = [];
  #phase: Phase = 'none';
  /** libvirt was asked to give it up, and does so when it comes to that. */
  #aborting = false;
  #nowMs = 0;
  #calledOff: string | null = null;
  #sourceAlive = true;
  #sourceDead = false;
  #source = { live: this.live, failed: false, resumed: false, isOurs: false, isOver: false };
  #seen: SourceWord | null = null;
  #heardSource: SourceWord | null = null;
  #seenTarget: TargetWord | null = null;
  #heardTarget: TargetWord | null = null;

  happen(what: Happening): void {
    const events: Readonly<Record<Happening, () => void>> = {
      plan: () => this.#plan(),
      'goal reaches source': () => this.#hear(),
      'source looks': () => this.#look(),
      'source tells': () => {
        if (this.#sourceAlive) this.#heardSource = this.#seen;
      },
      'target looks': () => {
        this.#seenTarget = { ...ID, role: 'in', state: 'ready', guest: this.there };
      },
      'target tells': () => {
        this.#heardTarget = this.#seenTarget;
      },
      'goal reaches target': () => this.#targetHears(),
      'libvirt goes on': () => this.#advance(),
      'time passes': () => {
        this.#nowMs += ARRIVAL_MS / 2;
      },
      'source agent is killed': () => this.#restartSource(),
      'target agent is killed': () => this.#break(false),
      'connection is lost': () => this.#break(false),
      'connection is lost at the end': () => this.#break(true),
      'guest ends': () => this.#endGuest(),
      'source host dies': () => this.#die(),
      'death is proven': () => {
        this.#sourceDead ||= !this.#sourceAlive;
      },
      'it is called off': () => {
        this.#calledOff ??= 'it is not to leave';
      },
    };
    events[what]();
    if (this.here === 'running' && this.there === 'running') this.wrongs.push('two run');
  }

  #plan(): void {
    if (this.end !== null) return;
    const { live } = this;
    const order = live.state === 'moving' ? 'move' : 'stop';
    const heard = this.#heardSource;
    const source = this.#sourceAlive && heard?.order === order && heard.resume === live.resume ? heard : null;
    const seen = { live, source, target: this.#heardTarget, sourceDead: this.#sourceDead, targetDead: false };
    const next = nextOfHandOver({ ...seen, calledOff: this.#calledOff }, this.#nowMs);
    if (next.kind === 'stop') this.live = { ...live, state: 'stopping', reason: next.reason };
    if (next.kind === 'resume') this.live = { ...live, resume: true };
    if (next.kind === 'gone-here') this.live = { ...live, goneAtMs: this.#nowMs };
    if (next.kind === 'here') {
      this.end = 'here';
      if (this.there === 'running') this.wrongs.push('it was decided to be here, and ran there');
      if (this.#phase !== 'none') this.wrongs.push('it was decided to be here while it was on its way');
    }
    if (next.kind === 'there') {
      this.end = 'there';
      if (this.here === 'running') this.wrongs.push('it was decided to be there, and ran here');
    }
  }

  #hear(): void {
    if (!this.#sourceAlive) return;
    if (this.end !== null) this.#source.isOver = true;
    if (this.end === 'there') this.here = 'absent';
    // Down for a reason of its own, it is started again where it is.
    if (this.end === 'here' && this.here === 'absent' && this.there !== 'running') this.here = 'running';
    const before = this.#source.live;
    if (before.state === this.live.state && before.resume === this.live.resume) return;
    this.#source.live = this.live;
    this.#seen = null;
  }

  #targetHears(): void {
    // Superseded: what of it is there goes.
    if (this.end === 'here') this.there = 'absent';
    // Started from its disk where it is not there; the lock is in the way of a second one.
    if (this.end === 'there' && this.there === 'absent' && this.here !== 'running') this.there = 'running';
  }

  #look(): void {
    if (!this.#sourceAlive || this.#source.isOver) return;
    const { live, failed, resumed, isOurs } = this.#source;
    const order = { order: live.state === 'moving' ? 'move' : 'stop', resume: live.resume } as const;
    const job = this.#phase === 'none' ? 'none' : 'migration';
    const seen = { guest: this.here, job, isOurs, hasFailed: failed, wasResumed: resumed } as const;
    this.#seen = { ...ID, role: 'out', ...order, guest: this.here, state: stateOf(order, seen) };
    const act = nextAct(order, seen);
    if (act === 'abort') this.#aborting = true;
    if (act === 'resume') {
      this.#source.resumed = true;
      this.#seen = null;
      if (this.there !== 'running') this.here = 'running';
    }
    // The controller carries nothing for a machine that is not on its way by its record.
    if (act === 'begin') {
      if (this.live.state !== 'moving') this.#source.failed = true;
      else {
        this.#source.isOurs = true;
        this.#phase = 'memory';
        this.there = 'paused';
      }
      this.#seen = null;
    }
  }

  #advance(): void {
    if (this.#phase === 'memory' && this.#aborting) this.#break(false);
    else if (this.#phase === 'memory' && this.here === 'running') {
      this.#phase = 'switched';
      this.here = 'paused';
    } else if (this.#phase === 'switched') {
      this.#phase = 'resumed there';
      this.there = 'running';
    } else if (this.#phase === 'resumed there') {
      this.#phase = 'none';
      this.here = 'absent';
      this.#source.isOurs = false;
    }
  }

  /** @param atTheEnd the other side has heard that it is to run, and its answer is lost. */
  #break(atTheEnd: boolean): void {
    if (this.#phase === 'none') return;
    if (this.#phase === 'switched' && atTheEnd) this.there = 'running';
    const runsThere = this.there === 'running';
    if (!runsThere) this.there = 'absent';
    // libvirt lets it run on here, and QEMU finds its disk locked where it runs there.
    if (this.here === 'paused' && !runsThere) this.here = 'running';
    this.#phase = 'none';
    this.#aborting = false;
    this.#source.isOurs = false;
    this.#source.failed = true;
    this.#seen = null;
  }

  #restartSource(): void {
    if (!this.#sourceAlive) return;
    this.#break(false);
    this.#source = {
      live: this.live,
      failed: false,
      resumed: false,
      isOurs: false,
      isOver: this.end !== null,
    };
    this.#seen = null;
    this.#heardSource = null;
  }

  #endGuest(): void {
    if (this.here !== 'running' || this.end !== null) return;
    if (this.#phase !== 'none') this.there = 'absent';
    this.#phase = 'none';
    this.here = 'absent';
    this.#source.isOurs = false;
    this.#seen = null;
  }

  #die(): void {
    if (this.end !== null || !this.#sourceAlive) return;
    const ranThere = this.there === 'running';
    this.#sourceAlive = false;
    this.#phase = 'none';
    this.here = 'absent';
    if (!ranThere) this.there = 'absent';
    this.#heardSource = null;
  }
}
