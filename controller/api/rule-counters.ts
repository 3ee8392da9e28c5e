import type { Duplex } from 'node:stream';
import type { Clock } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { readBytes } from '../../agent/kit/read-text.ts';
import { type RuleCounters, ruleCounters } from '../../agent/protocol/index.ts';
import type { Fleet } from '../fleet/contract.ts';
import type { CounterQuestion } from '../network/counter-questions.ts';
import type { Question } from '../network/why.ts';

/** Of one host; one that is slower says nothing. */
const LIMIT_MS = 4_000;
const MOST_BYTES = 4_096;

/** What one host's rules have counted, or why that is not known. */
export type HostCounters = { readonly host: string } & (RuleCounters | { readonly problem: string });

type Asked = Pick<Fleet, 'hosts' | 'openStream'>;

/** What the routers that decide have counted. All are asked at once. */
export const countersOf = (
  questions: readonly CounterQuestion[],
  protocol: Question['protocol'],
  fleet: Asked,
  clock: Clock,
): Promise<HostCounters[]> =>
  Promise.all(
    questions.map(async (asked): Promise<HostCounters> => {
      const { host } = asked;
      try {
        return { host, ...(await askHost(fleet, clock, asked, protocol)) };
      } catch (error) {
        return { host, problem: WeftError.from(error).message };
      }
    }),
  );

async function askHost(
  fleet: Asked,
  clock: Clock,
  { host, vmId, pairs, port, capability }: CounterQuestion,
  protocol: Question['protocol'],
): Promise<RuleCounters> {
  const hello = fleet.hosts().find(({ name }) => name === host)?.hello;
  if (hello && !hello.capabilities.includes(capability))
    throw new WeftError('not-supported', 'its agent is too old to tell');
  const opening = fleet.openStream(host, vmId, { kind: 'rule-counters', pairs, protocol, port });
  const bytes = await within(
    clock,
    host,
    opening.then((stream) => readBytes(stream, MOST_BYTES)),
  ).finally(() => {
    // Nobody waits for a stream that has not been opened to be closed.
    void opening.then((stream: Duplex) => stream.destroy()).catch(() => undefined);
  });
  const answer = ruleCounters.safeParse(parse(bytes.toString('utf8')));
  if (!answer.success) throw new WeftError('host-unreachable', 'it did not say');
  return answer.data;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Who asks is answered in time, whatever a host does. */
function within<T>(clock: Clock, host: string, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(LIMIT_MS, () =>
      reject(new WeftError('host-unreachable', `${host} does not answer within ${LIMIT_MS / 1_000} s`)),
    );
    answer.then(resolve, reject).finally(() => timer.cancel());
  });
}
