import { setTimeout as sleep } from 'node:timers/promises';

/** Asks until the answer is wanted. The limit only guards against hanging. @throws with the last answer when it is over. */
export async function waitFor<T>(
  what: string,
  ask: () => Promise<T>,
  wanted: (answer: T) => boolean,
  limitMs = 180_000,
  everyMs = 250,
): Promise<T> {
  const untilMs = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (Date.now() > untilMs)
      throw new Error(`waited ${limitMs} ms for ${what}; last: ${JSON.stringify(answer, null, 2)}`);
    await sleep(everyMs);
  }
}
