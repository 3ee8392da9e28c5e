import { describe, expect, test } from 'vitest';
import { isSameDocument } from '../../../agent/kit/same-document.ts';

describe('documents are the same', () => {
  test.each([
    [1, 1],
    [null, null],
    [
      { a: 1, b: [1, { c: null }] },
      { b: [1, { c: null }], a: 1 },
    ],
    [{ a: 1, b: undefined }, { a: 1 }],
    [{}, { a: undefined }],
    [[], []],
  ])('%j and %j', (one, other) => {
    expect(isSameDocument(one, other)).toBe(true);
    expect(isSameDocument(other, one)).toBe(true);
  });
});

describe('documents differ', () => {
  test.each([
    [1, '1'],
    [null, {}],
    [{}, []],
    [
      [1, 2],
      [2, 1],
    ],
    [[1], [1, 2]],
    [{ a: 1 }, { a: 1, b: null }],
    [{ a: 1 }, { b: 1 }],
    [{ a: 1, b: undefined }, { b: 1 }],
    [{ a: { b: [{ c: 1 }] } }, { a: { b: [{ c: 2 }] } }],
    [{ toString: 1 }, {}],
    [{}, { constructor: 1 }],
  ])('%j and %j', (one, other) => {
    expect(isSameDocument(one, other)).toBe(false);
    expect(isSameDocument(other, one)).toBe(false);
  });
});
