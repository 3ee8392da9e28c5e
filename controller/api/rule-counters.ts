import type { Duplex } from 'node:stream';
import { numberOf, SUBNET_ADDRESSES } from '../../agent/kit/addressing.ts';
import type { Clock } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { readBytes } from '../../agent/kit/read-text.ts';
import {
  COUNTS_RULES,
  type RuleCounters,
  type RuleQuestion,
  ruleCounters,
} from '../../agent/protocol/index.ts';
import type { Fleet } from '../fleet/contract.ts';
import type { GuestView } from '../network/view.ts';
import type { WhyAnswer } from '../network/why.ts';

/** Of one host; one that is slower says nothing. */
const LIMIT_MS = 4_000;
const MOST_BYTES = 4_096;

/** What one host's rules have counted, or why that is not known. */
export type HostCounters = { readonly host: string } & (RuleCounters | { readonly problem: string });

type Asked = Pick<Fleet, 'hosts' | 'openStream'>;

/**
 * What the routers that decide have counted: of the first guests with a place of both ends, for that is what rules are asked with. Nothing of a
 * connection with the world, and nothing between guests of one role, who meet on a bridge or not at all.
 */
export function countersOf(
  { from, to, question }: WhyAnswer,
  fleet: Asked,
  clock: Clock,
): Promise<HostCounters[]> {
  const [one, other] = [from, to].map((guests) => guests.find(({ host }) => host !== null));
  if (!one || !other || isWithinRole(one, other)) return Promise.resolve([]);
  const pairs = [{ from: one.address, to: other.address }];
  if (one.address6 !== null && other.address6 !== null)
    pairs.push({ from: one.address6, to: other.address6 });
  const asked: RuleQuestion = { pairs, protocol: question.protocol, port: question.port };
  const hosts = [...new Set([one.host, other.host])].filter((host) => host !== null).sort();
  return Promise.all(
    hosts.map(async (host): Promise<HostCounters> => {
      try {
        return { host, ...(await askHost(fleet, clock, host, other.id, asked)) };
      } catch (error) {
        return { host, problem: WeftError.from(error).message };
      }
    }),
  );
}

/** Machines of one network reach each other through a router, by their endpoints. */
const isWithinRole = (one: GuestView, other: GuestView) =>
  one.role !== null && subnetOf(one) === subnetOf(other);

/** Which of the fleet's subnets it is on: they lie one after the other, all of one size. */
const subnetOf = ({ address }: GuestView) => Math.floor(numberOf(address) / SUBNET_ADDRESSES);

async function askHost(
  fleet: Asked,
  clock: Clock,
  host: string,
  vmId: string,
  asked: RuleQuestion,
): Promise<RuleCounters> {
  const hello = fleet.hosts().find(({ name }) => name === host)?.hello;
  if (hello && !hello.capabilities.includes(COUNTS_RULES))
    throw new WeftError('not-supported', 'its agent is too old to tell');
  const opening = fleet.openStream(host, vmId, { kind: 'rule-counters', ...asked });
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
