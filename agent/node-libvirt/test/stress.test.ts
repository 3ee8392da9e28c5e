import { afterAll, beforeAll, expect, test } from 'vitest';
import { stressDaemon } from '../stress/daemon.ts';
import { stressExits } from '../stress/exits.ts';
import { stressLosses } from '../stress/losses.ts';
import { memcheck } from '../stress/memcheck.ts';
import { stressConnections } from '../stress/memory.ts';
import { PrivateLibvirt } from './support/private-libvirt.ts';

/** The short form of `npm run stress`: the same trials with small figures. Each throws when a claim does not hold. */

let libvirt: PrivateLibvirt;
beforeAll(async () => {
  libvirt = await PrivateLibvirt.start({ name: 'stress' });
});
afterAll(() => libvirt?.stop());

test('a thousand connections leave no thread and no memory', async () => {
  expect(await stressConnections(1_000)).toMatchObject({ connections: 1_000, threadsLeft: 0 });
});

test('processes end in the middle of calls to a real daemon', async () => {
  expect(await stressExits(2, [libvirt.uri])).toMatchObject({ processes: 10, bad: [] });
});

test('a daemon is killed and stopped under calls and events', async () => {
  expect(await stressDaemon(libvirt, 1)).toMatchObject({ kills: 1, late: 0, unexpected: [] });
});

test('connections are lost under several calls at once', async () => {
  expect(await stressLosses(libvirt, 2)).toMatchObject({ losses: 40 });
});

test('valgrind finds no error and no lost block', async () => {
  expect(await memcheck(null)).toMatchObject({ errors: 0, definitelyLostBytes: expect.any(Number) });
});
