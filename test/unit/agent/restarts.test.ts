import { describe, expect, test } from 'vitest';
import { LIFE_MS, RestartBook } from '../../../agent/executor/restarts.ts';
import { LIVES_OF_A_CRASH_LOOP } from '../../../agent/protocol/index.ts';

const PANIC = { cause: 'panic', message: 'its kernel panicked' } as const;

describe('a guest that goes down again and again', () => {
  test('waits 1 s, 2 s, 4 s … and at most a minute', () => {
    const book = new RestartBook();
    const waits = Array.from({ length: 9 }, (_, index) => {
      book.begin();
      return book.end(PANIC, index * 1_000);
    });
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    expect(book.shortLives).toBe(9);
  });

  test('is not charged with what its host’s lost lease did to it, and does not wait for it', () => {
    const book = new RestartBook();
    for (let life = 0; life < LIVES_OF_A_CRASH_LOOP; life++) {
      book.begin();
      expect(book.end({ cause: 'lease', message: 'x' }, life)).toBe(0);
    }
    expect([book.shortLives, book.report()?.count]).toEqual([0, LIVES_OF_A_CRASH_LOOP]);
    book.begin();
    expect(book.end(PANIC, 100)).toBe(1_000);
  });

  test('begins anew after a life in which it was ready for long enough on end', () => {
    const book = new RestartBook();
    for (const end of [1_000, 2_000]) {
      book.begin();
      book.end(PANIC, end);
    }
    book.begin();
    book.note(true, 10_000);
    book.note(false, 10_000 + LIFE_MS);
    // Unready for minutes: that it was ready before counts all the same.
    expect(book.end({ cause: 'unready', message: 'x' }, 999_000)).toBe(0);
    expect(book.shortLives).toBe(0);
    book.begin();
    expect(book.end(PANIC, 1_000_000)).toBe(1_000);
  });

  test('is not saved by moments of readiness, nor by a long life in which it never was ready', () => {
    const book = new RestartBook();
    for (let life = 0; life < LIVES_OF_A_CRASH_LOOP; life++) {
      const begun = life * 1_000_000;
      book.begin();
      for (const moment of [0, 30_000, 60_000]) {
        book.note(true, begun + moment);
        book.note(false, begun + moment + LIFE_MS - 1);
      }
      book.end(PANIC, begun + 900_000);
    }
    expect(book.shortLives).toBe(LIVES_OF_A_CRASH_LOOP);
  });

  test('tells all of its ends, keeps the last ten, and the end of the last console', () => {
    const book = new RestartBook();
    expect(book.report()).toBeNull();
    for (let life = 1; life <= 12; life++) {
      book.begin();
      book.end({ ...PANIC, consoleTail: `${'x'.repeat(5_000)}${life}`, picture: life === 3 }, life);
    }
    const report = book.report();
    expect(report?.count).toBe(12);
    expect(report?.recent.map(({ atMs }) => atMs)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(report?.consoleTail?.length).toBe(4_096);
    expect(report?.consoleTail?.endsWith('x12')).toBe(true);
    expect(report?.picture).toBe(true);
  });
});
