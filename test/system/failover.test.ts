import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { supervisedPid } from '../lab/host.ts';
import { shopOn } from '../support/failover-shop.ts';
import { isReady, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { DB } from '../support/shop.ts';
import { waitFor } from '../support/wait-for.ts';

const POOL = '/var/lib/weft/pools/san';

describe('a machine on a pool that hosts share', () => {
  // A host goes down four times: of two, the one that is left at the last would be held off for a minute.
  const shop = shopOn('failover', { hosts: 3 });
  const { db, hosts, events, qemusOfDb, survives, proofOf, comesBack } = shop;

  test('goes on elsewhere with every acknowledged write when its host loses power: by a fence device’s word', async () => {
    const { home, after, faultMs } = await survives((host) => shop.golden.lab.powerOff(host));
    const restarted = await proofOf(after.incarnation);
    expect(restarted?.message).toMatch(/fence_ipmilan \(1 of 1\) says that it is off/);
    expect((restarted?.atMs ?? 0) - faultMs).toBeLessThan(60_000);
    expect((await hosts()).find(({ name }) => name === home)).toMatchObject({
      state: 'fenced',
      proof: { kind: 'fence-device' },
    });
    const kinds = (await events()).filter(({ subject }) => subject === home).map(({ kind }) => kind);
    expect(kinds.slice(-3)).toEqual(['host-suspect', 'host-down', 'host-fenced']);
    expect(await shop.golden.weft.ok(['why', DB])).toContain('says that it is off');
    await comesBack(home);
  });

  test('is never on two hosts when its host is cut off and goes on running: it is switched off first', async () => {
    let qemu = '';
    const { home } = await survives(async (host) => {
      qemu = (await qemusOfDb()).join();
      expect(qemu).not.toBe('');
      await shop.golden.lab.cut(host, null);
    });
    const kinds = (await events()).map(({ kind, subject }) => `${kind} ${subject}`);
    expect(kinds.lastIndexOf(`host-fenced ${home}`)).toBeLessThan(
      kinds.lastIndexOf(`machine-restarted ${DB}`),
    );
    // Its power is off: the BMC did it, not the test.
    await expect(shop.golden.lab.exec(home, ['true'])).rejects.toThrow(/is off/);
    await shop.golden.lab.mend(home);
    await comesBack(home);
  });

  test('goes on elsewhere when its host hangs with everything on it', async () => {
    const { home } = await survives((host) => shop.golden.lab.pause(host));
    await expect(shop.golden.lab.exec(home, ['true'])).rejects.toThrow(/is off/);
    await comesBack(home);
  });

  test('goes nowhere without a proof, loudly, until an operator signs; who signs for a living host is refused', async () => {
    const home = String((await waitFor('the machine to be ready', db, isReady)).host);
    const refused = await shop.golden.weft.run(['host', 'confirm-dead', home, '--yes']);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toMatch(/its lease is held, it was heard from \d+\.\d s ago/);

    await shop.golden.lab.breakBmc(home);
    await shop.golden.lab.powerOff(home);
    const waiting = await waitFor(
      'fencing to fail',
      () =>
        shop.golden.weft.json<{
          state: string;
          host: string;
          failure: { message: string; remedy: string } | null;
        }>(['why', DB]),
      ({ failure }) => failure?.message.includes('could not be fenced yet') === true,
    );
    expect(waiting).toMatchObject({ state: 'unknown', host: home });
    expect(waiting.failure?.remedy).toContain(`weft host confirm-dead ${home}`);
    expect((await events()).some(({ kind, subject }) => kind === 'fence-failed' && subject === home)).toBe(
      true,
    );
    // Instances need no proof.
    await waitFor(
      'both workers to be ready elsewhere',
      () => shop.golden.weft.ps('shop'),
      (rows) => rows.filter((row) => row.role === 'worker' && isReady(row) && row.host !== home).length === 2,
    );
    expect(await qemusOfDb()).toEqual([]);

    await shop.golden.weft.ok(['host', 'confirm-dead', home, '--yes']);
    const after = await waitFor(
      'the machine to be ready elsewhere',
      db,
      (row) => isReady(row) && row.host !== home,
    );
    expect((await proofOf(after.incarnation))?.message).toMatch(/admin signed that it is dead/);
    await shop.golden.lab.mendBmc(home);
    await comesBack(home);
  });

  test('its controller, stopped for a while and let go on, takes nobody for dead', async () => {
    const before = (await events()).length;
    const pid = await shop.golden.lab.controllerPid();
    process.kill(pid, 'SIGSTOP');
    await sleep(8_000);
    process.kill(pid, 'SIGCONT');
    await sleep(6_000);
    const since = (await events()).slice(before).map(({ kind }) => kind);
    expect(since).not.toContain('host-down');
    expect((await hosts()).map(({ state }) => state)).toEqual(['up', 'up', 'up']);
  });

  test('leaves nothing behind on any host, nor in the pool', async () => {
    await shop.golden.weft.ok(['delete', 'shop', '--wait'], { timeoutMs: 180_000 });
    await waitUntilNothingIsLeft(shop.golden);
  });
});

/** A lab of its own: hosts that went down often are held off, for longer each time. */
describe('a machine on a pool that hosts share, whose storage forgets what was not flushed,', () => {
  const shop = shopOn('failover2', { forgetful: true });
  const { db, stateOf, isLeaving, survives, proofOf, comesBack } = shop;

  test('has every acknowledged write elsewhere when its host loses power', async () => {
    const on = async (host: string, script: string) =>
      (await shop.golden.lab.exec(host, ['sh', '-c', `cd ${POOL} && ${script}`])).stdout.trim();
    const { home, after } = await survives(async (host) => {
      expect(await on(host, 'echo x >unflushed; echo x >flushed; sync flushed; cat unflushed flushed')).toBe(
        'x\nx',
      );
      await shop.golden.lab.powerOff(host);
    });
    // The storage does forget.
    expect(await on(String(after.host), 'wc -c <unflushed; cat flushed; rm unflushed flushed')).toBe('0\nx');
    await comesBack(home);
  });

  test('goes on elsewhere when its host no longer hears the controller, and is switched off for it', async () => {
    const { home } = await survives((host) => shop.golden.lab.cut(host, 'controller'));
    await expect(shop.golden.lab.exec(home, ['true'])).rejects.toThrow(/is off/);
    await shop.golden.lab.mend(home);
    await comesBack(home);
  });

  test('goes on elsewhere although the controller is killed meanwhile, and agent and libvirtd of the host that takes it over', async () => {
    const { home, after } = await survives(async (host) => {
      await shop.golden.lab.powerOff(host);
      await waitFor('its host to be down', stateOf(host), (state) => state !== 'up' && state !== 'suspect');
      process.kill(await shop.golden.lab.controllerPid(), 'SIGKILL');
      await waitFor('the machine to be on its way', () => db().catch(() => null), isLeaving(host));
      for (const other of (await shop.golden.lab.state()).hosts.filter(({ name }) => name !== host))
        for (const victim of ['weft-agent', 'libvirtd-supervised'] as const)
          process.kill(await supervisedPid(other, victim), 'SIGKILL');
    });
    expect(await proofOf(after.incarnation)).toBeDefined();
    await comesBack(home);
  });
});
