import { expect, test } from 'vitest';
import { isAbout } from '../../../controller/api/event-subject.ts';

test.each([
  ['crm', 'crm', true],
  ['crm/web-0', 'crm', true],
  ['crm-two/web-0', 'crm', false],
  ['crm/web-0', 'crm/web', true],
  ['crm/web-12', 'crm/web', true],
  ['crm/web-extra-0', 'crm/web', false],
  ['crm/web-0', 'crm/web-0', true],
  ['crm/web-00', 'crm/web-0', false],
  ['crm/db', 'crm/db', true],
  ['crm', 'crm/web', false],
  ['rack-1', 'rack', false],
  ['rack-1', 'rack-1', true],
])('an event of %s is about %s: %s', (subject, asked, is) => {
  expect(isAbout(subject, asked)).toBe(is);
});
