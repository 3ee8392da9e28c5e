import { expect, test } from 'vitest';
import { revokedOutbound } from '../../../agent/network/revoked-outbound.ts';
import type { RouterPart } from '../../../agent/network/router-part.ts';
import type { RouterGoal } from '../../../agent/protocol/index.ts';
import { aGuest, partOf } from '../../contract/network/fleet.ts';

const guests = [aGuest('crm/web', 0, 'h1'), aGuest('crm/web', 1, 'h1')];
const [first, second] = guests;
const CIDRS = ['10.128.4.0/22', 'fd12:3456:789a:1::/64'] as const;

function partWith(outbound: Partial<RouterGoal>, here = guests): RouterPart {
  const part = partOf('h1', here);
  if (!part.router) throw new TypeError('it has one');
  return { ...part, router: { ...part.router, outbound: [], outboundByGuest: [], ...outbound } };
}
const letOut = (...allow: string[]) => partWith({ outbound: [{ subnet: 'crm/web', allow }] });
const all = partWith({ outbound: [{ subnet: 'crm/web', allow: 'all' }] });

test('what stays, becomes wider or is in something that stays ends nothing', () => {
  expect(revokedOutbound(all, all)).toEqual([]);
  expect(revokedOutbound(letOut('203.0.113.0/24'), all)).toEqual([]);
  expect(revokedOutbound(letOut('203.0.113.7/32', '203.0.113.0/24'), letOut('203.0.113.0/24'))).toEqual([]);
});

test('connections of a subnet to a prefix that is gone end, and to no other', () => {
  expect(
    revokedOutbound(letOut('203.0.113.0/24', '2001:db8::/32', '198.51.100.0/24'), letOut('198.51.100.0/24')),
  ).toEqual(
    [
      ['-f', 'ipv6', '-s', CIDRS[1], '-d', '2001:db8::/32', '--src-nat'],
      ['-f', 'ipv4', '-s', CIDRS[0], '-d', '203.0.113.0/24', '--src-nat'],
    ].sort((one, other) => (one[5] ?? '').localeCompare(other[5] ?? '')),
  );
});

test('a prefix in another form is the same, and is ended as what it means', () => {
  expect(
    revokedOutbound(letOut('203.0.113.0/024', '0.0.0.0/00'), letOut('203.0.113.0/24', '0.0.0.0/0')),
  ).toEqual([]);
  expect(revokedOutbound(letOut('203.0.113.0/024'), letOut('198.51.100.0/24'))).toEqual([
    ['-f', 'ipv4', '-s', CIDRS[0], '-d', '203.0.113.0/24', '--src-nat'],
  ]);
  expect(revokedOutbound(letOut('0.0.0.0/00'), letOut('198.51.100.0/24'))).toEqual([
    ['-f', 'ipv4', '-s', CIDRS[0], '--src-nat'],
  ]);
});

test('those of a subnet that is let out no more end, and of the fleet’s none', () => {
  expect(revokedOutbound(all, partWith({}))).toEqual([
    ['-f', 'ipv4', '-s', CIDRS[0], '--src-nat'],
    ['-f', 'ipv6', '-s', CIDRS[1], '--src-nat'],
  ]);
});

test('of guests that differ, those of the one that is let out to less', () => {
  const apart = partWith({
    outboundByGuest: [
      { subnet: 'crm/web', address: first?.address ?? '', address6: first?.address6 ?? '', allow: 'all' },
    ],
  });
  expect(revokedOutbound(all, apart)).toEqual([
    ['-f', 'ipv4', '-s', second?.address, '--src-nat'],
    ['-f', 'ipv6', '-s', second?.address6, '--src-nat'],
  ]);
});

test('guests that are new had none, and of those that are gone all is forgotten elsewhere', () => {
  expect(revokedOutbound(partWith({ outbound: all.router?.outbound ?? [] }, []), partWith({}))).toEqual([]);
  expect(revokedOutbound(all, partWith({}, []))).toEqual([]);
});
