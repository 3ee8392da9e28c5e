import { expect, test } from 'vitest';
import { HostReboot } from '../../../agent/executor/host-reboot.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import { aVmGoal } from '../../support/builders/goal.ts';

const BOOT = 'boot-1';

function aHost(fails = false) {
  let runs = 0;
  const reboot = new HostReboot({
    bootId: BOOT,
    log: createLogger('test', 'silent'),
    run: async () => {
      runs++;
      if (fails) throw new Error('no such program');
    },
  });
  return { reboot, runs: () => runs };
}

test('a host is booted anew once, however often the goal comes', () => {
  const { reboot, runs } = aHost();
  for (let times = 0; times < 3; times++) reboot.follow({ reboot: BOOT, vms: [] });
  expect(runs()).toBe(1);
});

test('not for another boot than the one that runs, not without being asked, and never with a VM on it', () => {
  const { reboot, runs } = aHost();
  reboot.follow({ reboot: 'boot-0', vms: [] });
  reboot.follow({ vms: [] });
  reboot.follow({ reboot: BOOT, vms: [aVmGoal()] });
  expect(runs()).toBe(0);
});

test('a program that fails costs the agent nothing', async () => {
  const { reboot, runs } = aHost(true);
  reboot.follow({ reboot: BOOT, vms: [] });
  await new Promise((resolve) => setImmediate(resolve));
  expect(runs()).toBe(1);
});
