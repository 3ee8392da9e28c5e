import { describe, expect, test } from 'vitest';
import { readConfiguration } from '../../../controller/configuration.ts';

describe('the time after which a silent host is down', () => {
  test('is four seconds, or what was said', () => {
    expect(readConfiguration([])?.downAfterMs).toBe(4_000);
    expect(readConfiguration(['--down-after', '12.5'])?.downAfterMs).toBe(12_500);
  });

  test.each(['2.9', '601', '-5', '4s', 'NaN', '1e2', ''])('is not %s', (text) => {
    expect(() => readConfiguration([`--down-after=${text}`])).toThrow(
      `--down-after ${text} is no number of seconds from 3 to 600`,
    );
  });
});

test('the time in which hosts find each other’s files in a shared pool is 75 seconds, or what was said', () => {
  expect(readConfiguration([])?.beatGraceMs).toBe(75_000);
  expect(readConfiguration(['--beat-grace', '400'])?.beatGraceMs).toBe(400_000);
  expect(() => readConfiguration(['--beat-grace', '10'])).toThrow(/from 15 to 3600/);
});

describe('public ranges', () => {
  test('are of IPv4, and of IPv6 beside', () => {
    const text = '192.0.2.200-192.0.2.219/24,2001:db8::200-2001:db8::2ff/64';
    expect(readConfiguration(['--public', text])?.publicRanges).toEqual(text.split(','));
  });

  test.each([
    ['192.0.2.200-192.0.3.1/24', /no range of one link/],
    ['192.0.2.200-2001:db8::1/64', /no range of one link/],
    ['192.0.2.200/24,2001:db8::2-2001:db8::1/64', /no range of one link/],
    ['192.0.2.200/24,fe80::1/64', /no range of one link/],
    ['192.0.2.200/24,2001:db8::1/129', /no range of one link/],
    ['2001:db8::1/64', /of IPv6 alone/],
  ])('are not %s', (text, problem) => {
    expect(() => readConfiguration(['--public', text])).toThrow(problem);
  });
});

test('ports that edge hosts need are the usual ones with the controller’s, or what was said', () => {
  const usual = readConfiguration(['--listen', '127.0.0.1:8700'])?.reservedPorts ?? [];
  for (const port of [22, 53, 8700, 7701, 7702, 7709, 16509])
    expect(usual.some(([first, last]) => first <= port && port <= last)).toBe(true);
  expect(readConfiguration(['--reserved-ports', '2222, 7700-7709'])?.reservedPorts).toEqual([
    [2222, 2222],
    [7700, 7709],
  ]);
  expect(readConfiguration(['--reserved-ports', 'none'])?.reservedPorts).toEqual([]);
  for (const text of ['', 'ssh', '9-8', '0', '65536'])
    expect(() => readConfiguration([`--reserved-ports=${text}`])).toThrow(/--reserved-ports/);
});
