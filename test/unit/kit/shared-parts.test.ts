import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isSameDocument } from '../../../agent/kit/same-document.ts';
import { withPartsOf } from '../../../agent/kit/shared-parts.ts';

const anyDocument = fc.jsonValue({ maxDepth: 3 });
/** Two that have something in common, more often than not. */
const anyPair = fc.oneof(
  fc.tuple(anyDocument, anyDocument),
  fc
    .tuple(fc.array(anyDocument, { maxLength: 6 }), fc.nat(5), anyDocument)
    .map(([list, at, other]) => [
      list,
      [...structuredClone(list.slice(0, at)), other, ...structuredClone(list.slice(at))],
    ]),
  fc
    .tuple(fc.dictionary(fc.string({ maxLength: 2 }), anyDocument), fc.string({ maxLength: 2 }), anyDocument)
    .map(([fields, name, other]) => [fields, { ...structuredClone(fields), [name]: other }]),
);

test('it is the second document, whatever the first one is, and the first itself where it is the same', () => {
  fc.assert(
    fc.property(anyPair, ([before, now]) => {
      const [first, second] = [JSON.stringify(before), JSON.stringify(now)];
      const shared = withPartsOf(before, now);
      expect(isSameDocument(shared, now)).toBe(true);
      expect(shared === before).toBe(isSameDocument(before, now));
      expect([JSON.stringify(before), JSON.stringify(now)]).toEqual([first, second]);
    }),
    { numRuns: 500 },
  );
});

test('what is the same is the first one’s, also beside what has changed, come or gone', () => {
  const before = { same: { a: [1] }, list: [{ id: 1 }, { id: 2 }, { id: 3 }], gone: {} };
  const made = () => structuredClone(before);
  expect(withPartsOf(before, made())).toBe(before);
  const { gone: _gone, ...rest } = made();
  const without = withPartsOf(before, rest);
  expect(without).not.toBe(before);
  expect([without.same, without.list]).toEqual([before.same, before.list]);
  expect(without.same).toBe(before.same);
  expect(without.list).toBe(before.list);
  const { list } = withPartsOf(before, { ...made(), list: [{ id: 1 }, { id: 9 }, { id: 2 }, { id: 3 }] });
  expect([list[0], list[2], list[3]].every((item, index) => item === before.list[index])).toBe(true);
  const changed = withPartsOf(before, { ...made(), list: [{ id: 1 }, { id: 2, same: { b: 1 } }, { id: 3 }] });
  expect(changed.list.map((item) => item.id)).toEqual([1, 2, 3]);
  expect(changed.list[2]).toBe(before.list[2]);
});

test('a field that is undefined is one that is not there', () => {
  const before = { a: 1, b: undefined };
  expect(withPartsOf<object>(before, { a: 1 })).toBe(before);
  const bare = { a: 1 };
  expect(withPartsOf<object>(bare, { a: 1, b: undefined })).toBe(bare);
});
