import { expect, test } from 'vitest';
import { MOST_ADDRESSES, toldNetworks } from '../../../agent/network/told-networks.ts';
import { underlayOffer } from '../../../agent/protocol/index.ts';

const containers = Array.from({ length: 300 }, (_, index) => `10.${index >> 6}.${(index & 63) * 4}.0/24`);

test('of a host with hundreds of networks its underlay and the wide ones are told, wherever they are among the others', () => {
  const wide = ['10.128.0.0/9', '172.16.0.0/12', '192.168.0.0/20', 'fd00::/8', 'fd5e:ed00::/48'];
  const own = ['192.168.100.0/24', '2001:db8:7::/64'];
  const told = toldNetworks([...containers, ...wide, ...own], own);
  expect(told).toEqual(
    expect.arrayContaining(['10.128.0.0/9', '172.16.0.0/12', '192.168.0.0/20', 'fd00::/8', ...own]),
  );
  expect(told).toHaveLength(64);
  expect(toldNetworks([...own, ...wide, ...[...containers].reverse()], own)).toEqual(told);
});

test('what lies in another network is told with it, but for the underlay', () => {
  expect(toldNetworks(['10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '10.0.0.0/8'])).toEqual(['10.0.0.0/8']);
  expect(toldNetworks(['10.0.0.0/8', '10.1.2.0/24', 'fd00::/64'], ['10.1.2.0/24'])).toEqual([
    ...['10.0.0.0/8', '10.1.2.0/24', 'fd00::/64'],
  ]);
});

test('a controller takes as much as is told, and few networks are told as they are', () => {
  const addresses = Array.from({ length: MOST_ADDRESSES }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
  const offer = { address: '192.0.2.7', mtu: 1_500, networks: toldNetworks(containers), own: addresses };
  expect(underlayOffer.safeParse(offer).success).toBe(true);
  expect(toldNetworks(['192.0.2.0/24', '10.77.0.0/24'])).toEqual(['10.77.0.0/24', '192.0.2.0/24']);
});
