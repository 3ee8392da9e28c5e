import { expect, test } from 'vitest';
import { composeNetworkXml, readNetworkXml } from '../../../agent/hypervisor/libvirt/network-xml.ts';
import { parseXml } from '../../../agent/hypervisor/libvirt/xml.ts';
import { guestResolver } from '../../../agent/network/guest-resolver.ts';
import type { Goal } from '../../../agent/protocol/index.ts';

const backbone = { cidr: '10.191.252.0/22' } as NonNullable<Goal['backbone']>;
const router = (resolver?: NonNullable<Goal['router']>['resolver']): NonNullable<Goal['router']> => ({
  ...{ subnets: [], flows: [], routes: [], outbound: [] },
  ...(resolver && { resolver }),
});
const spec = {
  ...{ name: 'weft-5eed-1', bridge: 'wb5eed-1', gateway: '10.128.0.1', prefix: 22, leases: [] },
  mark: { fleet: '5eed0000-0000-4000-8000-000000000001', id: 'crm/web' },
};

test('a subnet asks one address for the zone, also while nobody serves it, and whom it likes for all else', () => {
  const resolver = guestResolver({ backbone, router: router({ zone: 'weft.internal', servers: [] }) });
  expect(resolver).toEqual({ zone: 'weft.internal', address: '10.191.252.1' });
  const xml = composeNetworkXml({ ...spec, ...(resolver && { resolver }) });
  const forwarder = parseXml(xml).child('network')?.child('dns')?.child('forwarder');
  expect([forwarder?.attribute('domain'), forwarder?.attribute('addr')]).toEqual([
    'weft.internal',
    '10.191.252.1',
  ]);
  expect(readNetworkXml(spec.name, xml, true).resolver).toEqual(resolver);
});

test('nothing is special where the controller knows no names, or the host has no way to them', () => {
  expect(guestResolver({ backbone, router: router() })).toBeUndefined();
  expect(guestResolver({ router: router({ zone: 'weft.internal', servers: [] }) })).toBeUndefined();
  expect(composeNetworkXml(spec)).not.toContain('<dns>');
  expect(readNetworkXml(spec.name, composeNetworkXml(spec), true)).not.toHaveProperty('resolver');
});

test('a subnet that knows the fleet’s names alone asks nobody for others, with and without a zone to ask for', () => {
  for (const resolver of [undefined, { zone: 'weft.internal', address: '10.191.252.1' }]) {
    const xml = composeNetworkXml({ ...spec, namesOnly: true, ...(resolver && { resolver }) });
    const network = parseXml(xml).child('network');
    expect(network?.child('dnsmasq:options')?.child('dnsmasq:option')?.attribute('value')).toBe('no-resolv');
    expect(readNetworkXml(spec.name, xml, true)).toMatchObject({
      namesOnly: true,
      ...(resolver && { resolver }),
    });
  }
  expect(readNetworkXml(spec.name, composeNetworkXml(spec), true)).not.toHaveProperty('namesOnly');
});
