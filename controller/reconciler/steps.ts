import { isSameDocument } from '../../agent/kit/same-document.ts';
import { STEP_NAMES, type Step, type StepName } from '../../agent/protocol/index.ts';

/** Steps that wait for edge hosts, and are skipped where there are none. */
const SKIPPED: readonly StepName[] = ['publish', 'name'];

/** The steps that the controller itself does, at the moment of a placement. */
export function placementSteps(times: {
  readonly imageMs: number;
  readonly imageDetail: string;
  readonly waitedMs: number;
  readonly host: string;
  readonly nowMs: number;
}): Step[] {
  const { imageMs, waitedMs, nowMs } = times;
  const steps: Step[] = [
    { name: 'image', status: 'done', startedAtMs: nowMs - imageMs, ms: imageMs, detail: times.imageDetail },
    {
      name: 'place',
      status: 'done',
      startedAtMs: nowMs - waitedMs,
      ms: waitedMs,
      detail: `on ${times.host}`,
    },
    ...SKIPPED.map((name): Step => ({ name, status: 'skipped', startedAtMs: nowMs, ms: 0 })),
  ];
  return inOrder(steps);
}

/** The controller's steps and the host's. Of a step that runs, the time so far is left out: it changes with every look, and `startedAtMs` tells it. */
export function mergeSteps(known: readonly Step[], reported: readonly Step[]): Step[] {
  const byName = new Map(known.map((step) => [step.name, step]));
  for (const step of reported) byName.set(step.name, step.status === 'running' ? { ...step, ms: 0 } : step);
  return inOrder([...byName.values()]);
}

/** True when merging would change nothing. */
export function areMerged(known: readonly Step[], reported: readonly Step[]): boolean {
  return reported.every((step) => {
    const mine = known.find(({ name }) => name === step.name);
    return (
      mine !== undefined &&
      mine.status === step.status &&
      mine.startedAtMs === step.startedAtMs &&
      (step.status === 'running' || mine.ms === step.ms) &&
      mine.detail === step.detail &&
      isSameDocument(mine.parts, step.parts)
    );
  });
}

const inOrder = (steps: readonly Step[]): Step[] =>
  [...steps].sort((one, other) => STEP_NAMES.indexOf(one.name) - STEP_NAMES.indexOf(other.name));
