import { expect, test } from 'vitest';
import { parseInterfaces6 } from '../../../agent/ipv6/interfaces6.ts';
import { composeRadvdConfiguration } from '../../../agent/ipv6/radvd-configuration.ts';
import { composeSubnets6 } from '../../../agent/ipv6/subnets6.ts';
import { linkLocalOf } from '../../../agent/network/addresses.ts';
import { aGuest, cidr6Of, FLEET, gateway6Of, partOf } from '../../contract/network/fleet.ts';

const own = aGuest('shop/db', 0, 'h1');
const part = partOf('h1', [own, aGuest('shop/db', 1, 'h2'), aGuest('crm/web', 0, 'h2')]);

test('a guest of this host is known by its link-local address, and those of other hosts are nobody here', () => {
  const subnets = composeSubnets6(part);
  expect(subnets.find(({ bridge }) => bridge === 'wbf1ee-4')).toEqual({
    ...{ bridge: 'wbf1ee-4', prefix: cidr6Of('shop/db'), mtu: 1450 },
    ...{ gateway: gateway6Of('shop/db'), gatewayMac: '52540a801001' },
    addresses: new Map([[linkLocalOf(own.mac), own.address6]]),
  });
});

test('of a controller that knows no routers, or no IPv6, nothing is told', () => {
  expect(composeSubnets6({ fleet: FLEET, networks: part.networks })).toEqual([]);
  const older = part.networks.map(({ cidr6: _, gateway6: __, ...network }) => network);
  expect(composeSubnets6({ ...part, networks: older })).toEqual([]);
});

test('a router is advertised of whose prefix nobody makes itself an address', () => {
  const subnet = {
    ...{ bridge: 'wbf1ee-4', prefix: 'fd00:1::/64', gateway: 'fd00:1::1' },
    ...{ gatewayMac: '', addresses: new Map<string, string>() },
  };
  const text = composeRadvdConfiguration([{ ...subnet, mtu: 1390 }]);
  expect(text).toBe(`interface wbf1ee-4 {
 IgnoreIfMissing on;
 AdvSendAdvert on;
 AdvManagedFlag on;
 AdvOtherConfigFlag off;
 AdvDefaultLifetime 9000;
 AdvLinkMTU 1390;
 prefix fd00:1::/64 {
  AdvOnLink on;
  AdvAutonomous off;
  AdvValidLifetime infinity;
  AdvPreferredLifetime infinity;
 };
};
`);
  expect(composeRadvdConfiguration([{ ...subnet, mtu: null }])).not.toContain('AdvLinkMTU');
});

test('an interface is known by its link-local address', () => {
  const text = [
    '00000000000000000000000000000001 01 80 10 80       lo',
    'fd123456789a00040000000000000001 0b 40 00 80 wbf1ee-4',
    'fe8000000000000050540afffe800401 0b 40 20 80 wbf1ee-4',
    'fd123456789a00050000000000000001 0c 40 00 80 wbf1ee-5',
    '',
  ].join('\n');
  expect(parseInterfaces6(text)).toEqual(new Map([['wbf1ee-4', 11]]));
  expect(parseInterfaces6('')).toEqual(new Map());
});
