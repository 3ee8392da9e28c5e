import type { WhyAnswer } from './why.ts';

/** How an endpoint is served at this moment, as edge hosts say. */
interface Serving {
  /** `crm/web/http`; of instances with one each, with the instance's index behind it. */
  readonly id: string;
  readonly port: number;
  readonly state: string;
  readonly reason?: string | undefined;
  readonly backends: readonly { readonly name: string; readonly state: string }[];
}

/** The endpoint of a rule under which somebody comes from the world. @param endpoints of the application. */
export const servingOf = <Of extends Pick<Serving, 'id' | 'port'>>(
  { rule, question }: Pick<WhyAnswer, 'rule' | 'question'>,
  endpoints: readonly Of[],
): Of | undefined =>
  rule === null
    ? undefined
    : endpoints.find(({ id, port }) => id === rule || (id.startsWith(`${rule}/`) && port === question.port));

/**
 * What becomes of a connection that is allowed, where it leads through load balancers: what is declared may not be served, or have no
 * backend that works. Null: it leads through none. @param endpoints of the application.
 */
export function servedNow(
  answer: Pick<WhyAnswer, 'allowed' | 'rule' | 'question' | 'to'>,
  endpoints: readonly Serving[],
): string | null {
  const found = answer.allowed ? servingOf(answer, endpoints) : undefined;
  if (!found) return null;
  if (found.state !== 'served') return `not served: ${found.reason ?? 'nobody says why'}`;
  const names = new Set(answer.to.map(({ id }) => id.slice(id.indexOf('/') + 1)));
  // Behind its name stands the incarnation.
  const asked = found.backends.filter(({ name }) => names.has(name.slice(0, name.lastIndexOf('.'))));
  const up = asked.filter(({ state }) => state === 'up').length;
  return `${up} of ${asked.length} backends up${found.reason === undefined ? '' : `; ${found.reason}`}`;
}
