import { expect, test } from 'vitest';
import { readBlocks } from '../../../agent/network/nft-blocks.ts';
import { composeChain, composeSet, composeTableText } from '../../../agent/network/nft-text.ts';
import { composeRuleset } from '../../../agent/network/ruleset.ts';
import { composeChange } from '../../../agent/network/ruleset-change.ts';
import { judgeListing, seenOf } from '../../../agent/network/ruleset-look.ts';
import { aGuest, FLOWS, partOf } from '../../contract/network/fleet.ts';

const guests = [aGuest('crm/web', 0, 'h1'), aGuest('shop/db', 0, 'h1'), aGuest('crm/db', 1, 'h2')];
const blocksOf = (...args: Parameters<typeof partOf>) => readBlocks(composeRuleset(partOf(...args), []));
const tableOf = (...blocks: readonly string[]) => readBlocks(composeTableText('inet', 't', blocks));

test('one more endpoint is one element for each family, and nothing else', () => {
  const change = composeChange(
    blocksOf('h1', guests, FLOWS),
    blocksOf('h1', guests, [
      ...FLOWS,
      { id: 'new', from: ['crm/web'], to: 'crm/db', protocol: 'tcp', port: 99 },
    ]),
  );
  expect(change?.text.trim().split('\n')).toEqual([
    'add element inet weft_f1ee flows4 { 99 . tcp . 10.128.4.0/22 . 10.128.8.0/22 }',
    'add element inet weft_f1ee flows6 { 99 . tcp . fd12:3456:789a:1::/64 . fd12:3456:789a:2::/64 }',
  ]);
  expect([...(change?.touched ?? [])]).toEqual(['inet weft_f1ee set flows4', 'inet weft_f1ee set flows6']);
});

test('what is the same needs nothing', () => {
  expect(composeChange(blocksOf('h1', guests), blocksOf('h1', [...guests].reverse()))?.text).toBe('');
});

test('a chain is there before rules go to it, and goes after them', () => {
  const before = tableOf(
    composeChain('old', null, ['drop']),
    composeChain('way', null, ['goto old', 'accept']),
  );
  const after = tableOf(
    composeChain('new', null, ['drop']),
    composeChain('way', null, ['goto new', 'accept']),
  );
  expect(composeChange(before, after)?.text.trim().split('\n')).toEqual([
    'add chain inet t new',
    'flush chain inet t way',
    'flush chain inet t old',
    'add rule inet t new drop',
    'add rule inet t way goto new',
    'add rule inet t way accept',
    'delete chain inet t old',
  ]);
});

test('another table, set, type or hook, or what is merged, has all written anew', () => {
  const hook = (name: string) => `type filter hook ${name} priority filter; policy accept;`;
  const of = (type: string, flags: readonly string[], elements: readonly string[]) =>
    tableOf(composeSet('s', type, elements, flags), composeChain('c', hook('input'), ['accept']));
  const base = of('ipv4_addr', [], ['192.0.2.1']);
  expect(composeChange(base, of('ipv4_addr', [], ['192.0.2.2']))).not.toBeNull();
  expect(composeChange(base, of('ipv6_addr', [], ['::1']))).toBeNull();
  expect(composeChange(base, tableOf(composeChain('c', hook('input'), ['accept'])))).toBeNull();
  expect(
    composeChange(
      base,
      tableOf(composeSet('s', 'ipv4_addr', ['192.0.2.1']), composeChain('c', hook('output'), ['accept'])),
    ),
  ).toBeNull();
  const merged = (element: string) => of('ipv4_addr', ['flags interval', 'auto-merge'], [element]);
  // What the kernel has merged cannot be taken apart again: its elements come anew, all in one transaction.
  expect(composeChange(merged('192.0.2.0/24'), merged('192.0.2.0/23'))?.text).toBe(
    'flush set inet t s\nadd element inet t s { 192.0.2.0/23 }\n',
  );
  expect(composeChange(new Map(), base)).toBeNull();
});

test('what nft prints over many lines is read as what it is', () => {
  const listing = `table inet t {
\tset s {
\t\ttype ipv4_addr
\t\telements = { 192.0.2.1,
\t\t\t     192.0.2.2 }
\t}

\tchain c {
\t\ttype filter hook input priority filter; policy accept;
\t\tip saddr vmap { 192.0.2.1 : goto x,
\t\t\t        192.0.2.2 : goto y }
\t\tcounter drop
\t}
}
`;
  const blocks = readBlocks(listing);
  expect([...blocks.keys()]).toEqual(['inet t table ', 'inet t set s', 'inet t chain c']);
  expect(blocks.get('inet t set s')?.items).toEqual(['192.0.2.1', '192.0.2.2']);
  expect(blocks.get('inet t chain c')?.items).toHaveLength(2);
});

test('what was seen must stay as it was, what was only written must be as much', () => {
  const written = tableOf(composeSet('s', 'ipv4_addr', ['192.0.2.1/32']), composeChain('c', null, ['drop']));
  const listing = (element: string, ...rules: readonly string[]) =>
    tableOf(composeSet('s', 'ipv4_addr', [element]), composeChain('c', null, rules));
  const seen = judgeListing(written, new Map(), listing('192.0.2.1', 'drop'));
  expect(seen).toEqual(seenOf(listing('192.0.2.1', 'drop')));
  expect(judgeListing(written, new Map(), listing('192.0.2.1', 'accept', 'drop'))).toBeNull();
  expect(judgeListing(written, seen ?? new Map(), listing('192.0.2.2', 'drop'))).toBeNull();
  expect(judgeListing(written, new Map(), new Map())).toBeNull();
});
