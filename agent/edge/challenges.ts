import { CHALLENGE_PATH, type Challenge } from '../protocol/index.ts';

/** HAProxy's map of paths to answers, beside its configuration. Tokens and answers are of base64url and a dot: no blank, quote or line end. */
export const CHALLENGES_FILE = 'challenges.map';

export const challengesText = (challenges: readonly Challenge[]): string =>
  challenges.map(({ token, authorization }) => `${CHALLENGE_PATH}${token} ${authorization}\n`).join('');

/** Token → answer, as `show map` prints them: an address, the path, the answer. */
export function parseChallenges(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, path, authorization] = line.split(' ');
    if (path?.startsWith(CHALLENGE_PATH) && authorization)
      found.set(path.slice(CHALLENGE_PATH.length), authorization);
  }
  return found;
}

/** What a worker is to be told so that it answers exactly these. Pure. */
export function planChallenges(
  challenges: readonly Challenge[],
  found: ReadonlyMap<string, string>,
): readonly string[] {
  const wanted = new Map(challenges.map(({ token, authorization }) => [token, authorization]));
  const going = [...found].filter(([token, answer]) => wanted.get(token) !== answer);
  const coming = [...wanted].filter(([token, answer]) => found.get(token) !== answer);
  return [
    ...going.map(([token]) => `del map ${CHALLENGES_FILE} ${CHALLENGE_PATH}${token}`),
    ...coming.map(([token, answer]) => `add map ${CHALLENGES_FILE} ${CHALLENGE_PATH}${token} ${answer}`),
  ];
}
