import { BlockList, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalPrefix, formatAddress, prefixMeant, prefixProblem } from '../../../agent/kit/addressing.ts';

/** Anything that looks like a prefix: digits in front of octets, of groups and of the length, bits behind it, both families. */
const zeros = fc.constantFrom('', '', '0', '00');
const anyAddress4 = fc
  .tuple(fc.array(fc.tuple(zeros, fc.nat(255)), { minLength: 4, maxLength: 4 }), fc.boolean())
  .map(([octets, plain]) => octets.map(([before, octet]) => `${plain ? '' : before}${octet}`).join('.'));
const anyAddress6 = fc
  .tuple(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), fc.nat(128), fc.boolean())
  .map(([bits, kept, large]) => {
    const text = formatAddress(6, (bits >> BigInt(128 - kept)) << BigInt(128 - kept));
    return large ? text.toUpperCase() : text;
  });
const anyMapped = anyAddress4.map((address) => `::ffff:${address}`);
const anyNetwork4 = fc.tuple(fc.nat(2 ** 16), fc.nat(32)).map(([high, kept]) => {
  const bits = BigInt(high) << 16n;
  return formatAddress(4, (bits >> BigInt(32 - kept)) << BigInt(32 - kept));
});
const anyText = fc
  .tuple(fc.oneof(anyAddress4, anyNetwork4, anyAddress6, anyMapped), zeros, fc.nat(130))
  .map(([address, before, length]) => `${address}/${before}${length}`);

/** As C reads a number: with a zero in front by eights. */
const asInC = (digits: string): number => (/^0\d/.test(digits) ? Number.parseInt(digits, 8) : Number(digits));

function isIn(address: string, prefix: string, lengthOf: (digits: string) => number): boolean {
  const [base = '', length = ''] = prefix.split('/');
  const list = new BlockList();
  list.addSubnet(base, lengthOf(length), isIPv6(base) ? 'ipv6' : 'ipv4');
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

test('what a model may say of networks, every program reads as what was meant', () => {
  fc.assert(
    fc.property(anyText, fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (text, bits) => {
      if (prefixProblem(text) !== null) return;
      const six = text.includes(':');
      const address = formatAddress(six ? 6 : 4, six ? bits : bits >> 96n);
      for (const each of [text, canonicalPrefix(text) ?? 'nothing'])
        expect(isIn(address, each, asInC)).toBe(isIn(address, text, Number));
    }),
    { numRuns: 2_000 },
  );
});

test('what is written in one form stays as it is, and what is meant is what may be said', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const written = canonicalPrefix(text);
      const meant = prefixMeant(text);
      if (meant !== null) expect(prefixProblem(meant)).toBeNull();
      if (prefixProblem(text) === null) expect(meant).toBeNull();
      if (written === null) return;
      expect(canonicalPrefix(written)).toBe(written);
      expect(prefixProblem(written)).toBeNull();
    }),
    { numRuns: 2_000 },
  );
});
