import { expect, test } from 'vitest';
import type { Report } from '../../../agent/protocol/index.ts';
import { challengeRows } from '../../../controller/certificates/challenge-rows.ts';
import type { HostRecord } from '../../../controller/model/index.ts';
import { AN_INPUT, anApplication, aRole } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';

const anEdge = (name: string, last: number, over: Partial<HostRecord> = {}): HostRecord => {
  const host = aHost(name, {}, over);
  const underlay = { address: `192.0.2.${last}`, mtu: 1_500, networks: [] };
  return { ...host, offer: host.offer && { ...host.offer, edge: true, underlay } };
};
const link = (name: string, challenges: readonly string[], held: readonly string[] = []) => ({
  ...{ name, connected: true },
  report: { edge: { endpoints: [], held, missing: [], challenges } } as unknown as Report,
});
const crm = {
  ...anApplication('crm', { roles: { web: aRole({ endpoints: { http: AN_INPUT } }) } }),
  public: { address: '192.0.2.200', prefix: 24, routerId: 1 },
};
const challenges = [{ token: 'one', authorization: 'one.x', untilMs: 7 }];
const hosts = [anEdge('h1', 1), anEdge('h2', 2), anEdge('h3', 3, { state: 'down' }), aHost('h4')];

test('a challenge is answered by the edge hosts that say so, at addresses that one of them has', () => {
  expect(challengeRows(challenges, [crm], hosts, [link('h1', ['one']), link('h2', [])])).toEqual([
    {
      ...{ token: 'one', untilMs: 7, endpoints: ['crm/web/http'], awaited: ['192.0.2.200'] },
      hosts: [
        { host: 'h1', answers: true },
        { host: 'h2', answers: false },
      ],
    },
  ]);
  const [row] = challengeRows(challenges, [crm], hosts, [
    link('h1', ['one'], ['192.0.2.200']),
    link('h4', []),
  ]);
  expect(row?.awaited).toEqual([]);
});

test('where each edge host has its own address, none is waited for', () => {
  const { public: _none, ...own } = crm;
  expect(challengeRows(challenges, [own], hosts, [])[0]?.awaited).toEqual([]);
});
