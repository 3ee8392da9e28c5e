import { expect, test } from 'vitest';
import { composeRuleset } from '../../../agent/network/ruleset.ts';
import { composeProxies } from '../../../agent/network/shared-subnets.ts';
import { aGuest, partOf } from '../../contract/network/fleet.ts';

const guests = [
  aGuest('crm/web', 0, 'h1'),
  aGuest('shop/db', 0, 'h1'),
  aGuest('crm/machines', 0, 'h1'),
  aGuest('crm/machines', 1, 'h2'),
];

test('a router answers for machines of one network, here and elsewhere, and on no other bridge', () => {
  expect(composeProxies(partOf('h1', guests))).toEqual([
    { bridge: 'wbf1ee-1', isOn: false, addresses6: [] },
    { bridge: 'wbf1ee-4', isOn: false, addresses6: [] },
    { bridge: 'wbf1ee-5', isOn: true, addresses6: ['fd12:3456:789a:5::a', 'fd12:3456:789a:5::b'] },
  ]);
  expect(composeProxies(partOf('h1', guests, [])).some(({ isOn }) => isOn)).toBe(false);
});

test('where it answers, nobody is told that an address is taken', () => {
  const drop = 'ip6 saddr :: icmpv6 type nd-neighbor-solicit counter drop';
  expect(composeRuleset(partOf('h1', guests), []).split(drop)).toHaveLength(2);
  expect(composeRuleset(partOf('h1', guests, []), [])).not.toContain(drop);
});
