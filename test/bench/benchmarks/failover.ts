import type { EventRow, VmDetail } from '../../../controller/client/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import type { Benchmark, BenchmarkOptions, Measurement } from '../contract.ts';
import { BenchFleet } from '../fleet.ts';
import { median } from '../statistics.ts';

const LIMIT_MS = 180_000;
const ROUNDS = 1;
const SIZE = '{cpus: 1, memory: 128MiB, disk: 256MiB}';

interface Subject {
  readonly kind: 'machine' | 'instance';
  readonly id: string;
  /** Seconds from the fault. */
  readonly limit: number;
  readonly model: string;
}
const SUBJECTS: readonly Subject[] = [
  {
    kind: 'machine',
    id: 'kept/db',
    limit: 10,
    model: `apiVersion: weft/v1\nkind: Application\nname: kept\nmachines:\n  db: {image: "tiny:stable", size: ${SIZE}, pool: san}\n`,
  },
  {
    kind: 'instance',
    id: 'fresh/one-0',
    limit: 5,
    model: `apiVersion: weft/v1\nkind: Application\nname: fresh\nroles:\n  one: {kind: worker, image: "tiny:stable", size: ${SIZE}, instances: 1}\n`,
  },
];

interface Fault {
  readonly name: string;
  strike(fleet: BenchFleet, host: string): Promise<void>;
}
const FAULTS: readonly Fault[] = [
  { name: 'power off', strike: ({ lab }, host) => lab.powerOff(host) },
  { name: 'cut off', strike: ({ lab }, host) => lab.cut(host, null) },
  { name: 'hears nothing', strike: ({ lab }, host) => lab.cut(host, 'controller') },
  { name: 'hangs', strike: ({ lab }, host) => lab.pause(host) },
];

/** Milliseconds from the fault; null: did not happen. */
interface Course {
  readonly suspect: number | null;
  readonly down: number | null;
  readonly fenced: number | null;
  readonly placed: number;
  readonly started: number;
  readonly ready: number;
}

/** What each fault of a host costs its machine and its instance. Each has a lab of its own: hosts that went down often are held off. */
export const failover: Benchmark = {
  name: 'failover',
  about:
    'a host loses power, is cut off, hears nothing, hangs: until its machine and its instance are elsewhere',
  async run({ rounds, say }) {
    const measurements: Measurement[] = [];
    for (const fault of FAULTS)
      for (const subject of SUBJECTS) {
        const courses: Course[] = [];
        for (let round = 0; round < (rounds ?? ROUNDS); round++)
          courses.push(await strike(fault, subject, say));
        measurements.push(measurementOf(fault, subject, courses));
      }
    return measurements;
  },
};

async function strike(
  fault: Fault,
  { id, kind, model }: Subject,
  say: BenchmarkOptions['say'],
): Promise<Course> {
  const fleet = await BenchFleet.up('bench-failover', 3, say, { shared: ['san'], bmc: true });
  try {
    await fleet.build('tiny', say);
    await fleet.timeToReady(id.split('/')[0] ?? '', model, 1);
    const before = await fleet.detail(id);
    const home = String(before.host);
    const [last] = (await fleet.api.listEvents()).slice(-1);
    const faultMs = Date.now();
    await fault.strike(fleet, home);
    const after = await waitFor(
      `${id} to be ready elsewhere`,
      () => fleet.detail(id),
      (vm) => vm.incarnation > before.incarnation && vm.state === 'ready',
      LIMIT_MS,
    );
    const course = courseOf(faultMs, home, after, await fleet.api.listEvents(last?.sequence ?? 0));
    say(`${fault.name}, ${kind}: ${JSON.stringify(course)} ms`);
    return course;
  } finally {
    await fleet.down();
  }
}

function courseOf(faultMs: number, home: string, after: VmDetail, events: readonly EventRow[]): Course {
  const since = (ms: number) => ms - faultMs;
  const told = (kind: string) => {
    const event = events.find((each) => each.kind === kind && each.subject === home);
    return event ? since(event.atMs) : null;
  };
  const start = after.steps.find(({ name }) => name === 'boot')?.parts?.find(({ name }) => name === 'start');
  if (!start || after.readyAtMs === null || !after.placement)
    throw new Error(`the timeline of ${after.id} is not whole`);
  return {
    suspect: told('host-suspect'),
    down: told('host-down'),
    fenced: told('host-fenced'),
    placed: since(after.placement.atMs),
    started: since(start.startedAtMs + start.ms),
    ready: since(after.readyAtMs),
  };
}

/** A machine's figure is its domain's start; an instance's is ready without the time of its guest, from the domain's start on. */
function measurementOf(fault: Fault, { kind, limit }: Subject, courses: readonly Course[]): Measurement {
  const seconds = (pick: (course: Course) => number | null) =>
    courses.map(pick).flatMap((ms) => (ms === null ? [] : [ms / 1000]));
  const readings = {
    suspect: seconds(({ suspect }) => suspect),
    down: seconds(({ down }) => down),
    fenced: seconds(({ fenced }) => fenced),
    placed: seconds(({ placed }) => placed),
    started: seconds(({ started }) => started),
    ready: seconds(({ ready }) => ready),
    'of that, the guest': seconds(({ started, ready }) => ready - started),
  };
  return {
    benchmark: `failover ${fault.name}, ${kind}`,
    unit: 's',
    value: median(readings.started),
    target: { limit, better: 'lower' },
    readings: Object.fromEntries(Object.entries(readings).filter(([, values]) => values.length > 0)),
    note: 'failover: seconds from the fault, with hosts down after 4 s and fenced by simulated BMCs; the figure is the start of the domain elsewhere, the guest’s own boot comes after it',
  };
}
