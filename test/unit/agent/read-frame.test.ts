import { expect, test } from 'vitest';
import { readFrame } from '../../../agent/session/read-frame.ts';
import { aGoal } from '../../support/builders/goal.ts';

test('of a goal that is not understood it is told which, and what is wrong with it', () => {
  const goal = aGoal([], { revision: 9 });
  expect(readFrame(JSON.stringify(goal))).toHaveProperty('frame.revision', 9);
  const endpoint = { id: 'crm/web/play/6', addresses: ['192.0.2.1'], port: 65_536, protocol: 'tcp' };
  const edge = { addresses: [], endpoints: [{ ...endpoint, proxyProtocol: false, backends: [] }] };
  const read = readFrame(JSON.stringify({ ...goal, edge }));
  expect(read).toMatchObject({ goalRevision: 9 });
  expect('problem' in read && read.problem).toMatch(/^edge\.endpoints\.0\.port: .*65535/);
  expect(readFrame('{"type": "later", "revision": 9}')).toMatchObject({ goalRevision: null });
  expect(readFrame('{')).toEqual({ problem: 'it is no JSON', goalRevision: null });
});
