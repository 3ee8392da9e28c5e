import { expect, test } from 'vitest';
import { areGuestsAmong } from '../../../agent/network/guest-links.ts';

const FLEET = '5eed0000-0000-4000-8000-000000000001';

test.each([
  ['a guest by its interface, on a bridge or off it', { ifname: 'wt5eed-0a80000b' }, true],
  ['an older agent’s guest, by the bridge', { ifname: 'vnet3', master: 'wb5eed-7' }, true],
  ['a mesh’s VXLAN', { ifname: 'wv5eed-7', master: 'wb5eed-7' }, false],
  ['what libvirt keeps on a bridge', { ifname: 'wb5eed-7-nic', master: 'wb5eed-7' }, false],
  ['a bridge with nothing on it', { ifname: 'wb5eed-7' }, false],
  ['a port of somebody else’s bridge', { ifname: 'vnet3', master: 'wb5eed-7x' }, false],
  ['another fleet’s guest', { ifname: 'wtf00d-0a80000b', master: 'wbf00d-7' }, false],
  ['an interface that is named nearly so', { ifname: 'wt5eed-mine', master: 'br0' }, false],
])('%s', (_, link, isGuest) => {
  expect(areGuestsAmong(FLEET, [{ ifname: 'eth0' }, link])).toBe(isGuest);
});
