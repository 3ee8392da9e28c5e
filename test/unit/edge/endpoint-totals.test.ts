import { expect, test } from 'vitest';
import { EndpointTotals } from '../../../agent/edge/endpoint-totals.ts';

const PROXY = 'crm:web:http';
const wanted = new Set([PROXY]);
const worker = (pid: number, connections: number, proxy = PROXY) => ({
  pid,
  lines: ['FRONTEND', 'web-0.1', 'BACKEND'].map((name) => ({
    ...{ proxy, name, status: 'OPEN', sessions: 0 },
    ...{ connections, bytesIn: connections * 10, bytesOut: connections * 100, denied: connections },
    // What a server has counted is in what its backend has.
    failed: name === 'FRONTEND' ? 0 : connections * 2,
  })),
});
const silent = (pid: number) => ({ pid, lines: [] });
const told = (connections: number) => ({
  ...{ connections, bytesIn: connections * 10, bytesOut: connections * 100, denied: connections },
  failed: connections * 2,
});

test('totals go on over reloads, with what workers that have ended had counted', () => {
  const totals = new EndpointTotals();
  expect(totals.of(PROXY)).toEqual(told(0));
  totals.follow([worker(7, 4)], wanted);
  totals.follow([worker(8, 1), worker(7, 5)], wanted);
  expect(totals.of(PROXY)).toEqual(told(6));
  totals.follow([worker(8, 2)], wanted);
  expect(totals.of(PROXY)).toEqual(told(7));
});

test('nothing is counted twice when workers cannot be asked for a while', () => {
  const totals = new EndpointTotals();
  totals.follow([worker(7, 4)], wanted);
  totals.follow([], wanted);
  totals.follow([silent(7)], wanted);
  expect(totals.of(PROXY)).toEqual(told(4));
  totals.follow([worker(7, 5)], wanted);
  expect(totals.of(PROXY)).toEqual(told(5));
});

test('a worker under the number of one that has ended is another one', () => {
  const totals = new EndpointTotals();
  totals.follow([worker(7, 4)], wanted);
  totals.follow([worker(7, 1)], wanted);
  expect(totals.of(PROXY)).toEqual(told(5));
});

test('what is not to be served any more is forgotten with its workers', () => {
  const totals = new EndpointTotals();
  totals.follow([worker(7, 4)], wanted);
  totals.follow([worker(8, 0, 'crm:web:other')], new Set(['crm:web:other']));
  expect(totals.of(PROXY)).toEqual(told(0));
});
