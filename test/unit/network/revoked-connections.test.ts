import { expect, test } from 'vitest';
import { readBlocks } from '../../../agent/network/nft-blocks.ts';
import { revokedConnections } from '../../../agent/network/revoked-connections.ts';

const RANGE = ['10.128.0.0/10', 'fd12:3456:789a::/48'] as const;
const SQL = '10.128.4.0/22 . 10.128.8.0/22 . tcp . 5432';
const LOG = '10.128.4.0/22 . 10.128.8.0/22 . udp . 514';

const tableOf = (sets: Readonly<Record<string, readonly string[]>>) =>
  readBlocks(
    [
      'table inet weft_f1ee {',
      ...Object.entries(sets).flatMap(([name, elements]) => [
        `set ${name} {`,
        ...(elements.length === 0 ? [] : [`elements = { ${elements.join(', ')} }`]),
        '}',
      ]),
      '}',
    ].join('\n'),
  );
const revoked = (
  before: Readonly<Record<string, readonly string[]>> | null,
  after: Readonly<Record<string, readonly string[]>>,
) => revokedConnections('weft_f1ee', before && tableOf(before), tableOf(after), RANGE);

test('what stays, and what is new, ends nothing', () => {
  expect(revoked({ flows4: [SQL] }, { flows4: [LOG, SQL] })).toEqual([]);
});

test('connections of a flow that is gone end, and of no other', () => {
  expect(revoked({ flows4: [SQL, LOG] }, { flows4: [LOG] })).toEqual([
    [...['-f', 'ipv4', '-s', '10.128.4.0/22', '-d', '10.128.8.0/22'], ...['-p', 'tcp', '--dport', '5432']],
  ]);
});

test('so do those of subnets that reached each other, by both families', () => {
  expect(revoked({ any6: ['fd12:3456:789a:1::/64 . fd12:3456:789a:2::/64'] }, { any6: [] })).toEqual([
    ['-f', 'ipv6', '-s', 'fd12:3456:789a:1::/64', '-d', 'fd12:3456:789a:2::/64'],
  ]);
});

test('a guest that is gone has none, in either direction: its address may be another one’s', () => {
  expect(revoked({ guests4: ['"wbf1ee-1" . 10.128.4.10'] }, {})).toEqual([
    ['-f', 'ipv4', '-s', '10.128.4.10'],
    ['-f', 'ipv4', '-d', '10.128.4.10'],
  ]);
});

test('where it is not known what was let through, or much of it is gone, all between guests is looked up anew', () => {
  const all = [
    ['-f', 'ipv4', '-s', RANGE[0], '-d', RANGE[0]],
    ['-f', 'ipv6', '-s', RANGE[1], '-d', RANGE[1]],
  ];
  expect(revoked(null, { flows4: [SQL] })).toEqual(all);
  const many = Array.from(
    { length: 65 },
    (_, index) => `10.128.4.0/22 . 10.128.8.0/22 . tcp . ${1000 + index}`,
  );
  expect(revoked({ flows4: many }, { flows4: [] })).toEqual(all);
});
