import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bitsOf, formatAddress } from '../../../agent/kit/addressing.ts';
import { parsePublicRange, prefixesOf } from '../../../controller/model/public-ranges.ts';

const anyRange = fc
  .record({ family: fc.constantFrom<4 | 6>(4, 6), first: fc.nat(300), size: fc.nat(300) })
  .map(({ family, first, size }) => {
    const base = bitsOf(family === 4 ? '192.0.0.0' : '2001:db8::') + BigInt(first);
    return { family, first: base, last: base + BigInt(size), prefix: family === 4 ? 16 : 64 };
  });

/** Every address of it. */
function addressesOf(prefix: string): readonly string[] {
  const [address = '', length] = prefix.split('/');
  const family = address.includes(':') ? 6 : 4;
  const size = length === undefined ? 1n : 1n << BigInt((family === 4 ? 32 : 128) - Number(length));
  expect(bitsOf(address) % size).toBe(0n);
  return Array.from({ length: Number(size) }, (_each, index) =>
    formatAddress(family, bitsOf(address) + BigInt(index)),
  );
}

test('the prefixes of a range have each of its addresses once, and no others', () => {
  fc.assert(
    fc.property(anyRange, ({ family, first, last, prefix }) => {
      const all = prefixesOf({ family, first, last, prefix }).flatMap(addressesOf);
      const expected = Array.from({ length: Number(last - first) + 1 }, (_each, index) =>
        formatAddress(family, first + BigInt(index)),
      );
      expect(all).toEqual(expected);
    }),
  );
});

test('a whole subnet is one prefix, and a single address is itself', () => {
  const prefixes = (text: string) => {
    const range = parsePublicRange(text);
    return range && prefixesOf(range);
  };
  expect(prefixes('2001:db8::200-2001:db8::2ff/64')).toEqual(['2001:db8::200/120']);
  expect(prefixes('192.0.2.200/24')).toEqual(['192.0.2.200']);
  expect(prefixes('192.0.2.199-192.0.2.202/24')).toEqual(['192.0.2.199', '192.0.2.200/31', '192.0.2.202']);
});
