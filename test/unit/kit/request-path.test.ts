import { expect, test } from 'vitest';
import { requestPath } from '../../../agent/kit/request-path.ts';

test.each([
  ['/health?deep=1&x=a+b', '/health?deep=1&x=a+b'],
  ['/a%20b', '/a%20b'],
  ['/a b"c#d$e\n', '/a%20b%22c%23d%24e%0A'],
  ['/über', '/%C3%BCber'],
])('%j is asked as %s', (path, asked) => {
  expect(requestPath(path)).toBe(asked);
});
