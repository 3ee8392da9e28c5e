import { expect, test } from 'vitest';
import { FitAddresses } from '../../../agent/edge/fit-addresses.ts';
import type { EdgeGoal, PublishedEndpoint } from '../../../agent/protocol/index.ts';

const [ONE, OTHER] = ['192.0.2.200', '192.0.2.201'];
const shared = (address: string, routerId: number) => ({
  ...{ address, prefix: 24, routerId, priority: 200, peers: ['192.0.2.2'] },
});
const endpoint = (id: string, address: string): PublishedEndpoint => ({
  ...{ id, addresses: [address], port: 80, protocol: 'http', proxyProtocol: false, backends: [] },
});
const goal: EdgeGoal = {
  addresses: [shared(ONE, 1), shared(OTHER, 2)],
  endpoints: [endpoint('crm/web/http', ONE), endpoint('crm/web/tls', ONE), endpoint('shop/web/http', OTHER)],
};
const at = (fit: FitAddresses, nowMs: number, served: readonly string[] | null, to = goal) =>
  fit.choose(to, served && new Set(served), null, nowMs).map(({ address }) => address);

test('a host has part in an address once it serves something there, and as long as it serves any of it', () => {
  const fit = new FitAddresses();
  expect(at(fit, 0, [])).toEqual([]);
  expect(at(fit, 1_000, ['crm/web/http'])).toEqual([ONE]);
  expect(at(fit, 60_000, ['crm/web/tls', 'shop/web/http'])).toEqual([ONE, OTHER]);
});

test('it leaves an address at which it serves nothing for a while, and not for a moment', () => {
  const fit = new FitAddresses();
  at(fit, 0, ['crm/web/http', 'shop/web/http']);
  expect(at(fit, 4_999, ['shop/web/http'])).toEqual([ONE, OTHER]);
  expect(at(fit, 5_000, ['shop/web/http'])).toEqual([OTHER]);
  expect(at(fit, 6_000, ['crm/web/http', 'shop/web/http'])).toEqual([ONE, OTHER]);
});

test('one that does not say what it serves may be busy, but not for ever', () => {
  const fit = new FitAddresses();
  expect(at(fit, 0, null)).toEqual([]);
  at(fit, 0, ['crm/web/http']);
  expect(at(fit, 29_999, null)).toEqual([ONE]);
  expect(at(fit, 30_000, null)).toEqual([]);
});

test('an address at which nothing is to be served stays where it is', () => {
  const fit = new FitAddresses();
  expect(at(fit, 0, [], { ...goal, endpoints: [] })).toEqual([ONE, OTHER]);
});

test('what was taken over from an agent before has its time as well', () => {
  const fit = new FitAddresses();
  fit.adopt(goal, 0);
  expect(at(fit, 4_999, [])).toEqual([ONE, OTHER]);
  expect(at(fit, 5_000, [])).toEqual([]);
});
