import type { CountedBy, RuleCounters } from '../../agent/protocol/index.ts';
import type { WhyAnswer } from '../client/types.ts';
import { moment } from './output.ts';

/** What a number of packets is of, where no flow has counted them. */
const COUNTED_BY: Readonly<Record<CountedBy, string>> = {
  'mesh-from': 'that begin TCP connections within its mesh, from the guest',
  'mesh-to': 'that begin TCP connections within its mesh, to the guest',
  apart: 'dropped, of all that the guest sends to others on its network',
  'outbound-own': 'let out by what the guest may reach',
  'outbound-network': 'let out by what guests of its network may reach, all together',
  outbound: 'dropped, of all of the world that guests there may not reach',
  never: 'dropped, of all that guests there send where none of them gets to',
  guarded: 'dropped, of all that guests there send to networks of their host that are not named',
  host: 'dropped, of all that guests there send to their host itself',
};

const COUNTED: Readonly<Record<RuleCounters['rule'], string>> = {
  pass: 'let through by it',
  drop: 'dropped, of all that nothing lets through',
  none: 'it has no rules for guests',
};

/** A newer controller may count what this program has no words for. */
const wordsFor = ({ rule, by, prefix }: RuleCounters): string =>
  `${(by && COUNTED_BY[by]) ?? COUNTED[rule]}${prefix === undefined ? '' : ` (${prefix})`}`;

/** What rules have counted, a line for each host. */
export const countersText = (counters: NonNullable<WhyAnswer['counters']>): string =>
  counters
    .map((each) => {
      if ('problem' in each) return `  counted on ${each.host}: not known, ${each.problem}\n`;
      const { host, rule, packets, bytes, sinceMs, overPace = 0 } = each;
      if (rule === 'none' || sinceMs === null) return `  counted on ${host}: nothing, ${COUNTED.none}\n`;
      const [since, unit] = [moment(sinceMs), packets === 1 ? 'packet' : 'packets'];
      const over =
        overPace === 0
          ? ''
          : `  counted on ${host}: ${overPace} connections dropped that the guest began faster than it may\n`;
      return `  counted on ${host}: ${packets} ${unit}, ${bytes} bytes ${wordsFor(each)}, since ${since} UTC\n${over}`;
    })
    .join('');

/** What load balancers have counted, a line for each edge host. */
export const edgesText = (edges: NonNullable<WhyAnswer['edges']>): string =>
  edges
    .map((each) => {
      if ('problem' in each) return `  load balancer on ${each.host}: not known, ${each.problem}\n`;
      const { host, connections, sessions, bytesIn, bytesOut, denied, failed } = each;
      const figures = [
        `${connections} ${connections === 1 ? 'connection' : 'connections'}`,
        `${sessions} open to backends`,
        `${bytesIn} bytes in`,
        `${bytesOut} bytes out`,
        ...(denied === undefined ? [] : [`${denied} over a client's limit`]),
        ...(failed === undefined ? [] : [`${failed} came to no backend`]),
      ];
      return `  load balancer on ${host}: ${figures.join(', ')}\n`;
    })
    .join('');
