import { nextAct, stateOf } from '../../../agent/migrations/decide.ts';
import type { GuestSeen } from '../../../agent/protocol/index.ts';
import type { LiveMove } from '../../../controller/model/live-move.ts';
import { type CopySeen, nextOfCopy } from '../../../controller/reconciler/copy-over.ts';
import type { SourceWord, TargetWord } from '../../../controller/reconciler/hand-over.ts';
import { nextOfStandingStill } from '../../../controller/reconciler/still-over.ts';

const FILES = { disk: '/local/disk.qcow2', seed: null, console: '/console.log' };
const ID = { id: 'crm/db', incarnation: 2 };
/** Of a disk that is not whole. */
const HALF = -1;

type Phase = 'none' | 'disk' | 'memory' | 'landed';

export const EVENTS = [
  'plan',
  'goal reaches source',
  'source looks',
  'source tells',
  'target looks',
  'target tells',
  'goal reaches target',
  'libvirt goes on',
  'guest writes',
] as const;
export const FAULTS = [
  'source agent is killed',
  'connection is lost',
  'guest ends',
  'source host loses power',
  'source host is back',
  'target host loses power',
  'it is called off',
] as const;
/** Of a disk that both hosts have. What is shut out of it goes on running, and writes nothing. */
export const FENCES = [
  'source host is shut out',
  'target host is shut out',
  'target host falls silent',
] as const;
export type Happening = (typeof EVENTS)[number] | (typeof FAULTS)[number] | (typeof FENCES)[number];

/**
 * One hand-over to a guest that stands still until the record says that it is there: the real decisions of controller and agent over a libvirt
 * that does what the real one does, also when its connection breaks. Both hosts have a disk of their own, or one in common that nothing
 * locks. Bytes are counted: what a guest was told is written is on the disk of whoever has it, and what it remembers is no older than that.
 */
export class CopyOver {
  live: LiveMove = {
    ...{ state: 'moving', sinceMs: 0, files: FILES, reason: null, failed: false },
    ...{ resume: false, goneAtMs: null, copy: { disk: null } },
  };
  end: 'here' | 'there' | null = null;
  here: GuestSeen = 'running';
  there: 'absent' | 'coming' | 'landed' | 'running' = 'absent';
  readonly wrongs: string[] = [];
  readonly #sharesDisk: boolean;
  #sourceOut = false;
  #targetOut = false;
  #targetSilent = false;
  #acknowledged = 0;
  #hereBytes = 0;
  #thereBytes = HALF;
  #isDefinedHere = true;
  #phase: Phase = 'none';
  #aborting = false;
  #calledOff: string | null = null;
  #sourceUp = true;
  #source = { live: this.live, failed: false, resumed: false, isOurs: false, isOver: false };
  #seen: SourceWord | null = null;
  #heardSource: SourceWord | null = null;
  #seenTarget: TargetWord | null = null;
  #heardTarget: TargetWord | null = null;

  /** @param sharesDisk both hosts have the very same disk. */
  constructor(sharesDisk = false) {
    this.#sharesDisk = sharesDisk;
  }

  happen(what: Happening): void {
    const events: Readonly<Record<Happening, () => void>> = {
      plan: () => this.#plan(),
      'goal reaches source': () => this.#hear(),
      'source looks': () => this.#look(),
      'source tells': () => {
        if (this.#sourceUp) this.#heardSource = this.#seen;
      },
      'target looks': () => {
        const guest = this.there === 'absent' ? 'absent' : this.there === 'running' ? 'running' : 'paused';
        const landed = this.there === 'landed' ? { landed: true } : {};
        this.#seenTarget = { ...ID, role: 'in', state: 'ready', guest, ...landed };
      },
      'target tells': () => {
        this.#heardTarget = this.#seenTarget;
      },
      'goal reaches target': () => this.#targetHears(),
      'libvirt goes on': () => this.#advance(),
      'guest writes': () => this.#write(),
      'source agent is killed': () => this.#restartSource(),
      'connection is lost': () => this.#break(),
      'guest ends': () => this.#endGuest(),
      'source host loses power': () => this.#die(),
      'source host is back': () => {
        if (!this.#sourceUp) this.#restartSource();
        this.#sourceUp = true;
      },
      'target host loses power': () => {
        this.#break();
        if (this.there !== 'absent') this.there = 'absent';
        this.#heardTarget = null;
        this.#seenTarget = null;
      },
      'it is called off': () => {
        this.#calledOff ??= 'it is not to leave';
      },
      'source host is shut out': () => {
        this.#sourceOut ||= this.end === null;
      },
      'target host is shut out': () => {
        this.#targetOut ||= this.end === null;
      },
      'target host falls silent': () => {
        this.#targetSilent = true;
      },
    };
    events[what]();
    if (this.here === 'running' && this.there === 'running') this.wrongs.push('two run');
    if (this.there === 'running' && this.end !== 'there')
      this.wrongs.push('it runs there before it was decided');
  }

  #write(): void {
    if (this.here === 'running' && !this.#sourceOut) this.#acknowledged = ++this.#hereBytes;
    if (this.there === 'running') this.#acknowledged = ++this.#thereBytes;
  }

  #plan(): void {
    if (this.end !== null) return;
    const { live } = this;
    const order = live.state === 'moving' ? 'move' : 'stop';
    const heard = this.#heardSource;
    const source = this.#sourceUp && heard?.order === order && heard.resume === live.resume ? heard : null;
    const seen: CopySeen = {
      ...{ live, source, target: this.#targetSilent ? null : this.#heardTarget, sourceDead: this.#sourceOut },
      ...{ targetDead: this.#targetOut || this.#targetSilent, sourceRemoved: false },
      calledOff: this.#calledOff,
    };
    const next = this.#sharesDisk ? nextOfStandingStill(seen) : nextOfCopy(seen);
    if (next.kind === 'stop') this.live = { ...live, state: 'stopping', reason: next.reason };
    if (next.kind === 'resume') this.live = { ...live, resume: true };
    if (next.kind !== 'here' && next.kind !== 'there') return;
    this.end = next.kind;
    // It goes on from its disk, here or elsewhere, with all that is on it.
    if (this.#sourceOut) this.here = 'absent';
    if (this.#targetOut && next.kind === 'there')
      this.wrongs.push('it was let run on with a disk that it cannot write');
    const bytes = next.kind === 'here' ? this.#hereBytes : this.#thereBytes;
    if (bytes !== this.#acknowledged)
      this.wrongs.push(`it was decided to be ${next.kind}, with ${bytes} of ${this.#acknowledged} bytes`);
    if (next.kind === 'there' && this.here === 'running')
      this.wrongs.push('it was decided to be there, and ran here');
  }

  #hear(): void {
    if (!this.#sourceUp) return;
    if (this.end !== null) this.#source.isOver = true;
    if (this.end === 'there') this.here = 'absent';
    if (this.end === 'here' && this.here === 'absent') {
      this.here = 'running';
      this.#isDefinedHere = true;
    }
    const before = this.#source.live;
    if (before.state === this.live.state && before.resume === this.live.resume) return;
    this.#source.live = this.live;
    this.#seen = null;
  }

  #targetHears(): void {
    if (this.end === 'here') {
      this.there = 'absent';
      this.#thereBytes = HALF;
    }
    // Let run on, or started from its disk where it lost its memory on the way.
    if (this.end === 'there') this.there = 'running';
  }

  #look(): void {
    if (!this.#sourceUp || this.#source.isOver) return;
    const { live, failed, resumed, isOurs } = this.#source;
    const order = { order: live.state === 'moving' ? 'move' : 'stop', resume: live.resume } as const;
    const job = this.#phase === 'none' ? 'none' : 'migration';
    const seen = { guest: this.here, job, isOurs, hasFailed: failed, wasResumed: resumed } as const;
    const isGone = !this.#isDefinedHere && !isOurs && !failed;
    this.#seen = {
      ...{ ...ID, role: 'out', ...order, guest: this.here, state: stateOf(order, seen) },
      ...(isGone ? { gone: true } : {}),
    };
    const act = nextAct(order, seen);
    if (act === 'abort') this.#aborting = true;
    if (act === 'resume') {
      this.#source.resumed = true;
      this.#seen = null;
      this.here = 'running';
    }
    if (act !== 'begin') return;
    this.#seen = null;
    // The controller carries nothing for a machine that is not on its way, and what is there already is not written over.
    if (this.live.state !== 'moving' || this.there !== 'absent') this.#source.failed = true;
    else {
      this.#source.isOurs = true;
      this.#phase = 'disk';
      this.there = 'coming';
      this.#thereBytes = HALF;
    }
  }

  #advance(): void {
    if (this.#aborting && this.#phase !== 'none' && this.#phase !== 'landed') this.#break();
    else if (this.#phase === 'disk' && this.here === 'running') {
      this.#phase = 'memory';
      this.here = 'paused';
    } else if (this.#phase === 'memory') {
      this.#phase = 'landed';
      this.there = 'landed';
      this.#thereBytes = this.#hereBytes;
    } else if (this.#phase === 'landed') {
      this.#phase = 'none';
      this.here = 'absent';
      this.#isDefinedHere = false;
      this.#source.isOurs = false;
      this.#seen = null;
    }
  }

  #break(): void {
    if (this.#phase === 'none') return;
    // What has come whole stays there, although its old libvirt has not heard so, and lets the guest run on.
    if (this.#phase !== 'landed') {
      this.there = 'absent';
      this.#thereBytes = HALF;
    }
    if (this.here === 'paused') this.here = 'running';
    this.#phase = 'none';
    this.#aborting = false;
    this.#source.isOurs = false;
    this.#source.failed = true;
    this.#seen = null;
  }

  #restartSource(): void {
    if (this.#sourceUp) this.#break();
    this.#source = {
      ...{ live: this.live, failed: false, resumed: false, isOurs: false },
      isOver: this.end !== null,
    };
    this.#seen = null;
    this.#heardSource = null;
  }

  #endGuest(): void {
    if (this.here !== 'running' || this.end !== null) return;
    this.#break();
    this.here = 'absent';
  }

  #die(): void {
    if (this.end !== null) return;
    this.#break();
    this.#sourceUp = false;
    this.here = 'absent';
    this.#heardSource = null;
  }
}
