/** List → what was worked out from it, by what worked it out. */
const known = new WeakMap<object, Map<unknown, unknown>>();

/**
 * What follows from a value that never changes, worked out once for as long as the value lives.
 * @param workOut pure, and one function for all its calls: it is what the answer is remembered by.
 */
export function derived<V extends object, T>(value: V, workOut: (value: V) => T): T {
  const answers = known.get(value) ?? new Map<unknown, unknown>();
  if (answers.size === 0) known.set(value, answers);
  else if (answers.has(workOut)) return answers.get(workOut) as T;
  const answer = workOut(value);
  answers.set(workOut, answer);
  return answer;
}
