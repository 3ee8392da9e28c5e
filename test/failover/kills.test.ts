import { describe, expect, test } from 'vitest';
import { supervisedPid } from '../lab/host.ts';
import { shopOn } from '../support/failover-shop.ts';
import { DB } from '../support/shop.ts';
import { waitFor } from '../support/wait-for.ts';

const FAULTS = ['power-off', 'cut', 'one-way cut', 'hang'] as const;
const VICTIMS = ['controller', 'weft-agent', 'weft-guard', 'libvirtd-supervised'] as const;
type Victim = (typeof VICTIMS)[number];

/** A lab a fault: hosts that went down often are held off, for longer each time. */
describe.each(FAULTS)('the host of a machine on a shared pool: %s', (fault) => {
  // Longer than a failover takes: the guard is there to be killed, not to stop the machine first.
  const guard = { enabled: true, leaseMs: 30_000 };
  const shop = shopOn(`kills${FAULTS.indexOf(fault)}`, { forgetful: true, agent: { guard } });
  const { db, events, stateOf, isLeaving, survives, comesBack } = shop;

  async function happens(to: string): Promise<void> {
    const { lab } = shop.golden;
    if (fault === 'power-off') await lab.powerOff(to);
    else if (fault === 'hang') await lab.pause(to);
    else await lab.cut(to, fault === 'cut' ? null : 'controller');
  }

  /** Where it runs: the controller, or every host that has power, the ill one included. */
  async function killed(victim: Victim): Promise<void> {
    const pids =
      victim === 'controller'
        ? [await shop.golden.lab.controllerPid()]
        : await Promise.all(
            (await shop.golden.lab.state()).hosts.map((host) =>
              supervisedPid(host, victim).catch(() => null),
            ),
          );
    const running = pids.filter((pid) => pid !== null);
    expect(running).not.toEqual([]);
    for (const pid of running) process.kill(pid, 'SIGKILL');
  }

  /** The controller and the guards when the host is down; those that take the machine over, when they do. */
  const isItsTime = (victim: Victim, home: string) =>
    victim === 'controller' || victim === 'weft-guard'
      ? waitFor('its host to be down', stateOf(home), (state) => state !== 'up' && state !== 'suspect')
      : waitFor('the machine to be on its way', () => db().catch(() => null), isLeaving(home));

  test.each(VICTIMS)(
    'and %s is killed meanwhile: every acknowledged write is there elsewhere',
    async (victim) => {
      const { home, faultMs } = await survives(async (host) => {
        await happens(host);
        await isItsTime(victim, host);
        await killed(victim);
      });
      // A libvirtd that dies may cost its first boot there: it is ready at an incarnation after the one that the proof allowed.
      const told = (await events()).filter(({ subject, atMs }) => subject === DB && atMs >= faultMs);
      expect(told.map(({ kind }) => kind)).toContain('machine-restarted');
      await shop.golden.lab.mend(home);
      await comesBack(home);
    },
  );
});
