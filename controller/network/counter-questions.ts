import { isIPv4 } from 'node:net';
import { asPrefix, numberOf, overlap, range6Of, SUBNET_ADDRESSES } from '../../agent/kit/addressing.ts';
import {
  COUNTS_EVERYWHERE,
  COUNTS_RULES,
  FEW_PAIRS,
  MOST_PAIRS,
  type RuleQuestion,
} from '../../agent/protocol/index.ts';
import { backboneGoalOf } from '../reconciler/backbone-goals.ts';
import type { NetworkWorld } from '../reconciler/network-world.ts';
import { endOf } from './ends.ts';
import { type GuestView, publishedViews } from './view.ts';
import type { WhyAnswer } from './why.ts';

/** What one host's router is asked. */
export interface CounterQuestion {
  readonly host: string;
  /** A guest that it is about. */
  readonly vmId: string;
  readonly pairs: RuleQuestion['pairs'];
  readonly port: number;
  /** What its agent has to be capable of. */
  readonly capability: string;
}

type Placed = GuestView & { readonly host: string };

/** Where many hosts have guests of the other end, so many are asked. */
const MOST_HOSTS = 16;

/**
 * Which routers count something of a connection, and by which addresses they are asked: those of the first guests with a place. None where nothing of it
 * passes a rule, or nobody says an address. Pure.
 */
export function counterQuestions(answer: WhyAnswer, world: NetworkWorld): readonly CounterQuestion[] {
  const [from, to] = [answer.from, answer.to].map((guests) => guests.filter(isPlaced)) as [
    Placed[],
    Placed[],
  ];
  if (answer.from.length === 0) return fromLoadBalancers(answer, to, world);
  const [one] = from;
  if (!one) return [];
  if (answer.to.length === 0) return toTheWorld(answer, one, world);
  // Of two that are both a whole role, two that are not the same.
  const other = to.find(({ id }) => id !== one.id);
  return other ? between(answer, one, other) : [];
}

const isPlaced = (guest: GuestView): guest is Placed => guest.host !== null && guest.address !== '';

function between(
  { allowed, question: { port } }: WhyAnswer,
  one: Placed,
  other: Placed,
): readonly CounterQuestion[] {
  const pairs = [{ from: one.address, to: other.address }];
  if (one.address6 !== null && other.address6 !== null)
    pairs.push({ from: one.address6, to: other.address6 });
  // Machines of one network reach each other through a router, by their endpoints.
  const isWithinRole = one.role !== null && subnetOf(one) === subnetOf(other);
  // What does not pass within a role is dropped where it is sent.
  const hosts = isWithinRole && !allowed ? [one.host] : [...new Set([one.host, other.host])].sort();
  const capability = isWithinRole ? COUNTS_EVERYWHERE : COUNTS_RULES;
  return hosts.map((host) => ({ host, vmId: other.id, pairs, port, capability }));
}

/** Which of the fleet's subnets it is on: they lie one after the other, all of one size. */
const subnetOf = ({ address }: GuestView) => Math.floor(numberOf(address) / SUBNET_ADDRESSES);

function toTheWorld(
  { question: { to, port } }: WhyAnswer,
  one: Placed,
  world: NetworkWorld,
): readonly CounterQuestion[] {
  const end = endOf(to, world);
  if (end.kind !== 'world' || end.address === null) return [];
  const { address } = end;
  // Nobody has it: the kernel knows no way there, and asks no rule.
  if ([world.fleet.range, range6Of(world.fleet.uuid)].some((range) => overlap(range, asPrefix(address))))
    return [];
  const source = isIPv4(address) ? one.address : one.address6;
  if (source === null) return [];
  const pairs = [{ from: source, to: address }];
  return [{ host: one.host, vmId: one.id, pairs, port, capability: COUNTS_EVERYWHERE }];
}

/** Load balancers speak IPv4 with guests, each from its router's address. What one sends to guests on its own host passes no rule. */
function fromLoadBalancers(
  { rule }: WhyAnswer,
  to: readonly Placed[],
  world: NetworkWorld,
): readonly CounterQuestion[] {
  const view = publishedViews(rule?.split('/')[0] ?? '', world).find(({ id }) => id === rule);
  if (!view) return [];
  const firsts = [...new Map([...to].reverse().map((guest) => [guest.host, guest])).values()];
  return firsts
    .sort((one, other) => (one.host < other.host ? -1 : 1))
    .slice(0, MOST_HOSTS)
    .flatMap(({ host, id, address }) => {
      const edges = (backboneGoalOf(host, world)?.others ?? []).filter(({ edge }) => edge);
      const pairs = edges.slice(0, MOST_PAIRS).map((edge) => ({ from: edge.address, to: address }));
      if (pairs.length === 0) return [];
      const capability = pairs.length > FEW_PAIRS ? COUNTS_EVERYWHERE : COUNTS_RULES;
      return [{ host, vmId: id, pairs, port: view.targetPort, capability }];
    });
}
