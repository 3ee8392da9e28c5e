import { expect, test } from 'vitest';
import { parseListener } from '../../../agent/names/listen-setting.ts';
import { nextZone, serialOf } from '../../../agent/names/zone.ts';
import { type NamesGoal, refusalOf } from '../../../agent/protocol/index.ts';

const goal = (data = '10.128.0.10'): NamesGoal => ({
  zone: 'weft.internal',
  ttlSeconds: 5,
  records: [{ name: 'web-0.web.crm', type: 'A', data }],
});

test('a zone has its name server, and what is not in it is forgotten as fast as what is', () => {
  expect(nextZone(goal(), ['10.191.252.2', 'fd00::2'], null, 1_700_000_000_000)).toBe(`$ORIGIN weft.internal.
$TTL 5
@ SOA 1ns.weft.internal. hostmaster.weft.internal. 1700000000 3600 600 86400 5
@ NS 1ns
1ns A 10.191.252.2
1ns AAAA fd00::2
web-0.web.crm A 10.128.0.10
`);
});

test('its serial grows when it changes, even if the clock went back, and stays when it does not', () => {
  const first = nextZone(goal(), [], null, 1_700_000_000_000);
  expect(nextZone(goal(), [], first, 1_800_000_000_000)).toBe(first);
  expect(serialOf(nextZone(goal('10.128.0.11'), [], first, 1_600_000_000_000))).toBe(1_700_000_001);
  expect(serialOf(nextZone(goal('10.128.0.11'), [], first, 1_800_000_000_000))).toBe(1_800_000_000);
  expect(serialOf(nextZone(goal(), [], 'half a fi', 1_700_000_000_000))).toBe(1_700_000_000);
});

test.each([
  { name: 'web', type: 'A', data: '10.0.0.1\n@ NS evil' },
  { name: 'web', type: 'A', data: 'fd00::1' },
  { name: 'web', type: 'AAAA', data: 'fe80::1%eth0' },
  { name: 'web', type: 'SRV', data: '0 10 80 .' },
  { name: 'a..b', type: 'A', data: '10.0.0.1' },
  { name: 'x'.repeat(64), type: 'A', data: '10.0.0.1' },
] as const)('%j is no record', (record) => {
  expect(refusalOf(record, 'weft.internal')).not.toBeNull();
});

test.each([
  ['192.0.2.7', { address: '192.0.2.7', port: 53 }],
  ['192.0.2.7:5353', { address: '192.0.2.7', port: 5353 }],
  ['2001:db8::7', { address: '2001:db8::7', port: 53 }],
  ['[2001:db8::7]:5353', { address: '2001:db8::7', port: 5353 }],
  ['0.0.0.0', null],
  ['::', null],
  ['192.0.2.7:70000', null],
  ['example.com', null],
])('%s as a place to listen', (text, listener) => {
  expect(parseListener(text)).toEqual(listener);
});
