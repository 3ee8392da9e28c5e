import { expect, test } from 'vitest';
import { frozenCopy } from '../../../controller/store/frozen.ts';

test('a copy is what JSON would make of it, and cannot be changed', () => {
  const value = { a: 1, gone: undefined, list: [1, undefined, { b: null }], at: new Date(0) };
  const copy = frozenCopy(value);
  expect(copy).toEqual(JSON.parse(JSON.stringify(value)));
  expect('gone' in copy).toBe(false);
  expect(() => {
    (copy.list as unknown[]).push(2);
  }).toThrow(TypeError);
  value.list.push(3);
  expect(copy.list).toHaveLength(3);
});

test('what came out of a store is kept as it is, and only what is new is copied', () => {
  const first = frozenCopy({ image: { name: 'tiny' }, steps: [{ name: 'boot' }], state: 'booting' });
  const second = frozenCopy({ ...first, state: 'ready' });
  expect(second).toEqual({ ...first, state: 'ready' });
  expect(second.image).toBe(first.image);
  expect(second.steps).toBe(first.steps);
});

test('what only looks frozen is copied all the same', () => {
  const inner = { n: 1 };
  const copy = frozenCopy({ outer: Object.freeze({ inner }) });
  inner.n = 2;
  expect(copy.outer.inner.n).toBe(1);
});

test('a field that is called like the prototype is a field', () => {
  const copy = frozenCopy(JSON.parse('{"__proto__": {"n": 1}, "a": 1}'));
  expect(JSON.stringify(copy)).toBe('{"__proto__":{"n":1},"a":1}');
  expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
});
