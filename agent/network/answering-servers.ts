/** Looks in a row without an answer after which a name server is taken for dead: one that is started anew answers before that. */
const SILENT_LOOKS = 3;
/** Looks in a row with one after which it is asked again; twice as many each time that it dies anew, so that nothing goes to and fro. */
const STEADY_LOOKS = { first: 5, most: 320 };
/** Those further back are never asked. */
const MOST_ASKED = 8;

export interface ServerHealth {
  readonly isDead: boolean;
  /** Looks in a row that ended as the last one did. */
  readonly answers: number;
  readonly silences: number;
  /** Answers in a row that it takes to be alive again. */
  readonly steady: number;
}

/** By address. One that is not in it was never asked. */
export type Healths = ReadonlyMap<string, ServerHealth>;

const UNASKED: ServerHealth = { isDead: false, answers: 0, silences: 0, steady: STEADY_LOOKS.first };

/** Of these servers, whom guests' questions are led to: the first that is not dead; where all are, the first. */
export function chooseServer(servers: readonly string[], healths: Healths): string | undefined {
  return reachable(servers).find((each) => healths.get(each)?.isDead !== true) ?? servers[0];
}

/** Whom a look asks first: who is chosen, and all before it, which may be back. */
export function askedFirst(servers: readonly string[], healths: Healths): readonly string[] {
  const chosen = chooseServer(servers, healths);
  const asked = reachable(servers);
  const isLast = chosen !== undefined && healths.get(chosen)?.isDead !== true;
  return isLast ? asked.slice(0, asked.indexOf(chosen) + 1) : asked;
}

/** Whom it asks then: all others, once who is chosen does not answer. */
export function askedThen(
  servers: readonly string[],
  healths: Healths,
  answered: ReadonlyMap<string, boolean>,
): readonly string[] {
  const chosen = chooseServer(servers, healths);
  if (chosen === undefined || answered.get(chosen) === true) return [];
  return reachable(servers).filter((each) => !answered.has(each));
}

/** What is known after a look. Of servers that are in the list no more, nothing. */
export function noteAnswers(
  servers: readonly string[],
  healths: Healths,
  answered: ReadonlyMap<string, boolean>,
): Healths {
  return new Map(
    servers.flatMap((server) => {
      const before = healths.get(server);
      const answer = answered.get(server);
      if (answer === undefined) return before ? [[server, before] as const] : [];
      return [[server, healthAfter(before ?? UNASKED, answer)] as const];
    }),
  );
}

function healthAfter(before: ServerHealth, answer: boolean): ServerHealth {
  const { isDead, steady } = before;
  if (answer) {
    const answers = before.answers + 1;
    const hasProven = !isDead && answers >= STEADY_LOOKS.most;
    return {
      ...{ isDead: isDead && answers < steady, answers, silences: 0 },
      steady: hasProven ? STEADY_LOOKS.first : steady,
    };
  }
  const silences = before.silences + 1;
  const dies = !isDead && silences >= SILENT_LOOKS;
  return {
    ...{ isDead: isDead || dies, answers: 0, silences },
    steady: dies ? Math.min(2 * steady, STEADY_LOOKS.most) : steady,
  };
}

const reachable = (servers: readonly string[]): readonly string[] => servers.slice(0, MOST_ASKED);
