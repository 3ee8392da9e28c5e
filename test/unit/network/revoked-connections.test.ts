import { expect, test } from 'vitest';
import { readBlocks } from '../../../agent/network/nft-blocks.ts';
import { newlyClosed, revokedConnections } from '../../../agent/network/revoked-connections.ts';

const RANGE = ['10.128.0.0/10', 'fd12:3456:789a::/48'] as const;
const SQL = '5432 . tcp . 10.128.4.0/22 . 10.128.8.0/22';
const LOG = '514 . udp . 10.128.4.0/22 . 10.128.8.0/22';

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
  subnets: readonly string[] = [],
) => revokedConnections('weft_f1ee', before && tableOf(before), tableOf(after), RANGE, subnets);

test('what stays, and what is new, ends nothing', () => {
  expect(revoked({ flows4: [SQL] }, { flows4: [LOG, SQL] })).toEqual([]);
});

test('connections of a flow that is gone end, and of no other', () => {
  expect(revoked({ flows4: [SQL, LOG] }, { flows4: [LOG] })).toEqual([
    [...['-f', 'ipv4', '-s', '10.128.4.0/22', '-d', '10.128.8.0/22'], ...['-p', 'tcp', '--dport', '5432']],
    [...['-f', 'ipv4', '-s', '10.128.8.0/22', '-d', '10.128.4.0/22'], ...['-p', 'tcp', '--sport', '5432']],
  ]);
});

test('so do those of subnets that reached each other, by both families', () => {
  expect(revoked({ any6: ['fd12:3456:789a:1::/64 . fd12:3456:789a:2::/64'] }, { any6: [] })).toEqual([
    ['-f', 'ipv6', '-s', 'fd12:3456:789a:1::/64', '-d', 'fd12:3456:789a:2::/64'],
    ['-f', 'ipv6', '-s', 'fd12:3456:789a:2::/64', '-d', 'fd12:3456:789a:1::/64'],
  ]);
});

test('a guest that is gone has none, in either direction: its address may be another one’s', () => {
  expect(revoked({ guests4: ['"wbf1ee-1" . 10.128.4.10'] }, {})).toEqual([
    ['-f', 'ipv4', '-s', '10.128.4.10'],
    ['-f', 'ipv4', '-d', '10.128.4.10'],
  ]);
});

const ALL = [
  ['-f', 'ipv4', '-s', RANGE[0], '-d', RANGE[0]],
  ['-f', 'ipv6', '-s', RANGE[1], '-d', RANGE[1]],
];

test('where it is not known what was let through, all between guests is looked up anew', () => {
  expect(revoked(null, { flows4: [SQL] })).toEqual(ALL);
});

test('where much is gone, all between the subnets that it is about is looked up anew, and nothing of others', () => {
  const ports = Array.from(
    { length: 200 },
    (_, index) => `${1000 + index} . tcp . 10.128.4.0/22 . 10.128.8.0/22`,
  );
  const guests = Array.from({ length: 17 }, (_, index) => `"wbf1ee-3" . 10.128.12.${10 + index}`);
  const both = (from: string, to: string) => [
    ['-f', 'ipv4', '-s', from, '-d', to],
    ['-f', 'ipv4', '-s', to, '-d', from],
  ];
  expect(
    revoked({ flows4: ports, guests4: guests }, {}, ['10.128.4.0/22', '10.128.8.0/22', '10.128.12.0/22']),
  ).toEqual([...both('10.128.4.0/22', '10.128.8.0/22'), ...both('10.128.12.0/22', RANGE[0])]);
});

test('of so many subnets all is', () => {
  const many = Array.from(
    { length: 65 },
    (_, index) => `80 . tcp . 10.128.4.0/22 . 10.${130 + index}.0.0/22`,
  );
  expect(revoked({ flows4: many }, { flows4: [] })).toEqual(ALL);
});

test('of what guests reach no more, and reached before, all is forgotten', () => {
  const [before, after] = [
    tableOf({ never4: ['192.0.2.1'] }),
    tableOf({ never4: ['192.0.2.1', '192.0.2.9'] }),
  ];
  expect(newlyClosed('weft_f1ee', before, after, RANGE)).toEqual([
    ['-f', 'ipv4', '-s', RANGE[0], '-d', '192.0.2.9'],
  ]);
  expect(newlyClosed('weft_f1ee', after, before, RANGE)).toEqual([]);
});
