import { z } from 'zod';
import { count, timeMs } from './primitives.ts';

/** The nine provisioning steps, in order. */
export const STEP_NAMES = [
  'image',
  'place',
  'boot',
  'network',
  'publish',
  'name',
  'startup',
  'package',
  'start',
] as const;

export const stepName = z.enum(STEP_NAMES);
export type StepName = z.infer<typeof stepName>;

export const stepStatus = z.enum(['running', 'done', 'failed', 'skipped']);

/** One timed step of an instance's timeline. `parts` are what it was made of (`fetch`, `overlay`, `define`, `ssh` …), for `boot` above all. */
export const step = z.object({
  name: stepName,
  status: stepStatus,
  startedAtMs: timeMs,
  /** Duration so far or in all, milliseconds. */
  ms: z.number().nonnegative(),
  detail: z.string().max(2048).optional(),
  parts: z
    .array(z.object({ name: z.string().max(64), ms: z.number().nonnegative(), startedAtMs: timeMs }))
    .max(64)
    .optional(),
});
export type Step = z.infer<typeof step>;

/** How one startup task (or the role's process, or its probe) went. Output is the last 64 KiB, already stripped of control characters other than newline and tab. */
export const taskResult = z.object({
  name: z.string().max(128),
  kind: z.enum(['simple', 'foreground', 'background']),
  status: z.enum(['running', 'done', 'failed', 'timed-out']),
  exitCode: z.number().int().nullable(),
  attempts: count,
  startedAtMs: timeMs,
  ms: z.number().nonnegative(),
  output: z.string().max(65_536),
});
export type TaskResult = z.infer<typeof taskResult>;
