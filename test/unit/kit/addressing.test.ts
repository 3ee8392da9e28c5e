import { expect, test } from 'vitest';
import {
  backboneCidr,
  backboneVni,
  canonicalPrefix,
  guestAddress6,
  overlap,
  prefixMeant,
  prefixProblem,
  range6Of,
  subnet6Of,
  vniOf,
} from '../../../agent/kit/addressing.ts';

const FLEET = '0a1b2c3d-4e5f-4000-8000-000000000000';

test('IPv6 is derived from the fleet, the number of a subnet, and the place in it', () => {
  expect(range6Of(FLEET)).toBe('fd0a:1b2c:3d4e::/48');
  expect(subnet6Of(FLEET, 17)).toBe('fd0a:1b2c:3d4e:11::/64');
  expect(guestAddress6(FLEET, 17, '10.128.64.0/22', '10.128.65.1')).toBe('fd0a:1b2c:3d4e:11::101');
  expect(overlap(range6Of(FLEET), subnet6Of(FLEET, 0))).toBe(true);
  // The shortest form, as it is in the kernel's answers.
  expect(subnet6Of(FLEET, 0)).toBe('fd0a:1b2c:3d4e::/64');
  expect(subnet6Of('00000000-0000-4000-8000-000000000000', 5)).toBe('fd00:0:0:5::/64');
  expect(subnet6Of('00000000-0000-4000-8000-000000000000', 0)).toBe('fd00::/64');
});

test('the backbone has the last /22 of the range, and the last VNI of the fleet', () => {
  expect(backboneCidr('10.128.0.0/10')).toBe('10.191.252.0/22');
  expect(vniOf(FLEET, 1)).toBe(0x0a0001);
  expect(backboneVni(FLEET)).toBe(0x0affff);
});

test.each([
  ['10.0.0.0/8', '10.200.0.0/16', true],
  ['10.200.0.0/16', '10.0.0.0/8', true],
  ['10.0.0.0/9', '10.128.0.0/10', false],
  ['192.168.7.9/24', '192.168.7.0/30', true],
  ['0.0.0.0/0', '10.128.0.0/10', true],
  ['fd00::/8', 'fd0a:1b2c:3d4e::/48', true],
  ['fe80::/64', 'fd0a:1b2c:3d4e::/48', false],
  ['::ffff:10.0.0.0/104', '10.0.0.0/8', false],
  ['nonsense', '10.0.0.0/8', false],
])('%s and %s overlap: %s', (one, other, expected) => {
  expect(overlap(one, other)).toBe(expected);
});

test.each([
  ['10.1.0.5/16', '10.1.0.0/16'],
  ['2001:db8::5/32', '2001:db8::/32'],
  ['1.2.3.4/0', '0.0.0.0/0'],
  ['10.0.0.0/08', '10.0.0.0/8'],
  ['192.168.1.0/024', '192.168.1.0/24'],
  ['::/00', '::/0'],
  ['10.1.0.0/16', null],
  ['10.1.0.5', null],
])('%s stands for the prefix %s', (text, meant) => {
  expect(prefixMeant(text)).toBe(meant);
});

test.each([
  ['10.0.0.0/8', null],
  ['::/0', null],
  ['::ffff:1.2.3.4/128', null],
  ['10.0.0.1/8', /bits set/],
  ['10.0.0.0', /must be a network/],
  ['10.0.0.0/8/8', /must be a network/],
  ['fe80::1%eth0/128', /must be a network/],
  ['10.0.0.0/ 8', /must be a network/],
  ['010.0.0.0/8', /must be a network/],
  ['10.0.0.0/08', /begins with 0/],
  ['192.168.1.0/024', /begins with 0/],
  ['0.0.0.0/00', /begins with 0/],
  ['::ffff:10.0.0.0/0104', /must be a network/],
  ['::ffff:010.0.0.0/104', /must be a network/],
  ['fd00::/08', /begins with 0/],
])('%s as a prefix', (text, expected) => {
  const problem = prefixProblem(text);
  if (expected === null) expect(problem).toBeNull();
  else expect(problem).toMatch(expected);
});

test.each([
  ['10.0.0.0/08', '10.0.0.0/8'],
  ['192.168.1.7/024', '192.168.1.0/24'],
  ['0.0.0.0/00', '0.0.0.0/0'],
  ['2001:0DB8:0::/032', '2001:db8::/32'],
  ['192.0.2.7', '192.0.2.7'],
  ['FD00:0:0::0007', 'fd00::7'],
  ['010.0.0.0/8', null],
  ['fe80::1%eth0', null],
  ['0/0; flush ruleset', null],
])('%s is written as %s, whoever reads it', (text, written) => {
  expect(canonicalPrefix(text)).toBe(written);
});
