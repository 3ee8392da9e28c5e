import { expect, test } from 'vitest';
import { parseZone } from '../../../controller/model/zone.ts';

test.each([
  ['weft.internal', 'weft.internal'],
  ['VMs.Example.com.', 'vms.example.com'],
  ['internal', 'internal'],
])('%s is a zone', (text, zone) => {
  expect(parseZone(text, ['example.org'])).toBe(zone);
});

test.each([
  '',
  '.',
  'a..b',
  '-a.b',
  'a_b.internal',
  '10.0.0.1',
  'x'.repeat(64),
  `${'a.'.repeat(70)}b`,
  "a'; drop",
  'a b',
])('%j is none', (text) => {
  expect(() => parseZone(text, [])).toThrow('is no domain');
});

test.each([
  ['local', 'local'],
  ['printers.local', 'local'],
  ['com', 'public top-level domain com'],
  ['example.com', 'example.com'],
  ['com.example', 'office.com.example'],
])('%s collides, and both are named', (text, with_) => {
  expect(() => parseZone(text, ['example.com', 'office.com.example'])).toThrow(
    new RegExp(`zone ${text} collides with .*${with_}`),
  );
});

test('a zone below the own domain does not collide with it', () => {
  expect(parseZone('vms.example.com', ['example.com'])).toBe('vms.example.com');
});
