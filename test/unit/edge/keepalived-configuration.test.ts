import { expect, test } from 'vitest';
import { composeKeepalivedConfiguration } from '../../../agent/edge/keepalived-configuration.ts';

const shared = { address: '192.0.2.200', prefix: 24, routerId: 7, priority: 200 };
const address6 = { address: '2001:db8::200', prefix: 64 };
const blocksOf = (text: string) =>
  [...text.matchAll(/^ {2}(virtual_ipaddress\w*) \{\n((?: {4}.*\n)+) {2}\}$/gm)].map(([, keyword, lines]) => [
    keyword,
    lines?.trim(),
  ]);

test('what is not of the underlay’s family goes along with what is', () => {
  const over4 = composeKeepalivedConfiguration([{ ...shared, address6, peers: ['192.0.2.2'] }], {
    ...{ address: '192.0.2.1', interface: 'eth0' },
  });
  expect(blocksOf(over4)).toEqual([
    ['virtual_ipaddress', '192.0.2.200/24 dev eth0'],
    ['virtual_ipaddress_excluded', '2001:db8::200/64 dev eth0 preferred_lft 0'],
  ]);
  const over6 = composeKeepalivedConfiguration([{ ...shared, address6, peers: ['2001:db8::2'] }], {
    ...{ address: '2001:db8::1', interface: 'eth0' },
  });
  expect(blocksOf(over6)).toEqual([
    ['virtual_ipaddress', '2001:db8::200/64 dev eth0 preferred_lft 0'],
    ['virtual_ipaddress_excluded', '192.0.2.200/24 dev eth0'],
  ]);
});

test('the address by which a host is reached is never shared', () => {
  const own = { address: shared.address, interface: 'eth0' };
  expect(composeKeepalivedConfiguration([{ ...shared, peers: ['192.0.2.2'] }], own)).not.toContain(
    'vrrp_instance',
  );
});

test('an address of the other family alone, and hosts of both, are left out', () => {
  const own = { address: '2001:db8::1', interface: 'eth0' };
  expect(composeKeepalivedConfiguration([{ ...shared, peers: [] }], own)).not.toContain('vrrp_instance');
  const mixed = { ...shared, address6, peers: ['192.0.2.2'] };
  expect(composeKeepalivedConfiguration([mixed], own)).not.toContain('vrrp_instance');
});

test('only edge hosts are listened to, and those on the same link only over it', () => {
  const peers = ['192.0.2.2', '198.51.100.2'];
  const own = { address: '192.0.2.1', interface: 'eth0', prefix: 24 };
  const text = composeKeepalivedConfiguration([{ ...shared, peers }], own);
  expect(text).toMatch(/^global_defs \{\n(?: {2}.*\n)* {2}vrrp_check_unicast_src\n/);
  const peersOf = (configuration: string) =>
    /unicast_peer \{\n((?: {4}.*\n)*)/
      .exec(configuration)?.[1]
      ?.trimEnd()
      .split('\n')
      .map((line) => line.trim());
  expect(peersOf(text)).toEqual(['192.0.2.2 min_ttl 255 max_ttl 255', '198.51.100.2']);
  const { prefix: _unknown, ...unsure } = own;
  expect(peersOf(composeKeepalivedConfiguration([{ ...shared, peers }], unsure))).toEqual(peers);
});
