import { type ControllerFrame, controllerFrame, problemOf } from '../protocol/index.ts';

export type ReadFrame =
  | { readonly frame: ControllerFrame }
  /** `goalRevision`: of a goal that is not understood; null: it is none. */
  | { readonly problem: string; readonly goalRevision: number | null };

/** What the controller has sent. An older or newer one may send kinds and figures that this agent does not know. */
export function readFrame(text: string): ReadFrame {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return { problem: 'it is no JSON', goalRevision: null };
  }
  const { success, data, error } = controllerFrame.safeParse(document);
  if (success) return { frame: data };
  const { type, revision } = (document ?? {}) as { readonly type?: unknown; readonly revision?: unknown };
  const isGoal = type === 'goal' && Number.isSafeInteger(revision) && Number(revision) >= 0;
  return { problem: problemOf(error), goalRevision: isGoal ? Number(revision) : null };
}
