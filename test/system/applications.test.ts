import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { EventRow } from '../../controller/client/index.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady, rowOf, runningQemus, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { packFolder } from '../support/package.ts';
import { waitFor } from '../support/wait-for.ts';
import type { TimelineStep } from '../support/weft.ts';

/** Real VMs on three hosts, driven by the real command line. One after another: each test starts from an empty fabric. */
describe('an application', () => {
  let golden: GoldenLab;
  beforeAll(async () => {
    golden = await goldenLab('apps', { recipes: ['tiny', 'debian'] });
  }, 900_000);
  afterEach(() => golden.clear(), 300_000);
  afterAll(() => golden?.down(), 60_000);

  const apply = async (text: string) => {
    const file = await golden.model(text);
    await golden.weft.ok(['apply', '-f', file, '--wait', '--timeout', '8m'], { timeoutMs: 500_000 });
  };
  const remove = async (app: string) => {
    await golden.weft.ok(['delete', app, '--wait'], { timeoutMs: 180_000 });
    await waitUntilNothingIsLeft(golden);
  };
  const inside = (id: string, command: string) => golden.weft.inside(id, command);

  test('becomes ready VMs on distinct hosts, is reached by SSH, has a whole timeline, and leaves nothing behind', async () => {
    await apply(`
apiVersion: weft/v1
kind: Application
name: crm
roles:
  web: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 3}
`);
    const rows = await golden.weft.ps('crm');
    expect(rows.map((row) => row.id).sort()).toEqual(['crm/web-0', 'crm/web-1', 'crm/web-2']);
    expect(rows.every(isReady)).toBe(true);
    expect(new Set(rows.map((row) => row.host)).size).toBe(3);
    expect(await runningQemus(golden)).toHaveLength(3);
    for (const row of rows)
      expect(row.overlay).toMatch(new RegExp(`/roles/crm/web-${row.index}/${row.incarnation}\\.qcow2$`));

    // Tests ask the API; what commands print of the same is looked at here.
    const [hosts, events] = [await golden.weft.hosts(), await golden.weft.events()];
    expect(await golden.weft.json(['ps', 'crm'])).toEqual(rows);
    expect(await golden.weft.json(['host', 'ls'])).toMatchObject(
      hosts.map(({ name, state }) => ({ name, state })),
    );
    expect(await golden.weft.json(['events'])).toEqual(expect.arrayContaining([...events]));
    const ofRole = await golden.weft.json<EventRow[]>(['events', 'crm/web']);
    expect(ofRole.every(({ subject }) => /^crm\/web-\d$/.test(subject))).toBe(true);
    expect(ofRole).toEqual(
      expect.arrayContaining(events.filter(({ subject }) => subject.startsWith('crm/web-'))),
    );

    const failing = await golden.weft.run(['ssh', 'crm/web-1', '--', 'exit 7']);
    expect(failing.exitCode).toBe(7);
    expect(await inside('crm/web-2', 'cat /etc/weft/instance.json')).toContain('"crm/web-2"');

    const { steps } = await golden.weft.json<{ steps: TimelineStep[] }>(['timeline', 'crm/web-0']);
    expect(steps.map((step) => step.name)).toEqual([
      ...['image', 'place', 'boot', 'network', 'publish', 'name', 'startup', 'package', 'start'],
    ]);
    expect(steps.filter((step) => step.status === 'done').map((step) => step.name)).toEqual(
      expect.arrayContaining(['image', 'place', 'boot', 'network']),
    );
    // Its name servers are told when it is placed, and nobody waits for them to become ready.
    await waitFor(
      'the name of crm/web-0',
      () => golden.weft.json<{ steps: TimelineStep[] }>(['timeline', 'crm/web-0']),
      (timeline) => timeline.steps.some(({ name, status }) => name === 'name' && status === 'done'),
      60_000,
    );
    await remove('crm');
  });

  test('discards what an instance wrote and keeps what a machine wrote', async () => {
    await apply(`
apiVersion: weft/v1
kind: Application
name: disks
roles:
  worker: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 1}
machines:
  db: {image: "tiny:stable", size: ${TINY}, pool: local}
`);
    const bootOf = 'cat /proc/sys/kernel/random/boot_id';
    for (const id of ['disks/worker-0', 'disks/db']) {
      await inside(id, 'echo before > /root/mark && sync');
      const boot = await inside(id, bootOf);
      await golden.weft.ok(['reboot', id]);
      await waitFor(
        `${id} after its reboot`,
        () => golden.weft.run(['ssh', id, '--', bootOf]),
        (answer) => answer.exitCode === 0 && answer.stdout.trim() !== boot,
      );
      expect(await inside(id, 'cat /root/mark')).toBe('before');
      // A reboot that was asked for is no restart.
      expect(await golden.weft.json(['why', id])).toMatchObject({ incarnation: 1, restarts: null });
    }
    // A machine that powers itself off is started again, on the same disk.
    const uptime = Number(await inside('disks/db', 'cut -d. -f1 /proc/uptime'));
    await golden.weft.run(['ssh', 'disks/db', '--', 'sync; poweroff']);
    await waitFor(
      'the machine to come back',
      () => golden.weft.run(['ssh', 'disks/db', '--', 'cut -d. -f1 /proc/uptime']),
      (answer) => answer.exitCode === 0 && Number(answer.stdout) < Math.max(uptime, 60),
    );
    expect(await inside('disks/db', 'cat /root/mark')).toBe('before');

    const first = rowOf(await golden.weft.ps('disks'), 'disks/worker-0');
    await golden.weft.ok(['reimage', 'disks/worker-0']);
    const again = await waitFor(
      'the instance to be re-imaged',
      async () => rowOf(await golden.weft.ps('disks'), 'disks/worker-0'),
      (row) => row.incarnation > first.incarnation && isReady(row),
    );
    expect(again.host).toBe(first.host);
    expect(await inside('disks/worker-0', 'cat /root/mark || echo fresh')).toBe('fresh');

    const refused = await golden.weft.run(['reimage', 'disks/db']);
    expect(refused.exitCode).toBe(1);
    await remove('disks');
  });

  test('follows `instances` from 1 to 4 to 2, the highest index first', async () => {
    await apply(`
apiVersion: weft/v1
kind: Application
name: grow
roles:
  worker: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 1}
`);
    await golden.weft.ok(['scale', 'grow/worker=4', '--wait'], { timeoutMs: 300_000 });
    expect((await golden.weft.ps('grow')).filter(isReady)).toHaveLength(4);
    await golden.weft.ok(['scale', 'grow/worker=2', '--wait'], { timeoutMs: 300_000 });
    const rows = await waitFor(
      'two to be left',
      () => golden.weft.ps('grow'),
      (answer) => answer.length === 2,
    );
    expect(rows.map((row) => row.id).sort()).toEqual(['grow/worker-0', 'grow/worker-1']);
    expect(await runningQemus(golden)).toHaveLength(2);
    await remove('grow');
  });

  test('stands beside another one: two applications, each with its own, and one goes without the other', async () => {
    const model = (name: string) => `
apiVersion: weft/v1
kind: Application
name: ${name}
roles:
  worker: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 2}
`;
    await Promise.all([
      golden
        .model(model('east'), 'east.yaml')
        .then((file) => golden.weft.ok(['apply', '-f', file, '--wait'], { timeoutMs: 400_000 })),
      golden
        .model(model('west'), 'west.yaml')
        .then((file) => golden.weft.ok(['apply', '-f', file, '--wait'], { timeoutMs: 400_000 })),
    ]);
    const addresses = (await golden.weft.ps()).map((row) => row.address);
    expect(new Set(addresses).size).toBe(4);
    await golden.weft.ok(['delete', 'east', '--wait'], { timeoutMs: 180_000 });
    const rows = await golden.weft.ps();
    expect(rows.map((row) => row.app)).toEqual(['west', 'west']);
    expect(rows.every(isReady)).toBe(true);
    await remove('west');
  });

  test('runs every kind of startup task, delivers each role its own folder, and starts its process', async () => {
    const source = join(golden.folder, 'tasks');
    for (const role of ['alpha', 'beta']) {
      await mkdir(join(source, role), { recursive: true });
      await writeFile(join(source, role, 'whoami'), `${role}\n`);
      await writeFile(
        join(source, role, 'install.sh'),
        '#!/bin/sh\necho "$WEFT_ROLE $GREETING" >> /root/order\n',
        { mode: 0o755 },
      );
      await writeFile(
        join(source, role, 'serve.sh'),
        '#!/bin/sh\necho started >> /root/starts\nexec sleep 100000\n',
        { mode: 0o755 },
      );
    }
    await packFolder(source, join(golden.folder, 'tasks.tar.gz'));
    const role = (name: string) => `
  ${name}:
    kind: worker
    image: tiny:stable
    size: ${TINY}
    instances: 1
    start: ./serve.sh
    env: {GREETING: "it's \\"quoted\\" $HOME"}
    startup:
      - {run: ./install.sh, kind: simple, timeout: 1m}
      - {run: "echo second >> /root/order", kind: simple, timeout: 1m}
      - {run: "sleep 1; echo foreground > /root/foreground", kind: foreground, timeout: 1m}
      - {run: "echo background > /root/background; sleep 1000", kind: background, timeout: 30m}
      - {run: "test -e /root/tried || { touch /root/tried; exit 3; }", kind: simple, timeout: 1m, retries: 2}`;
    await apply(`
apiVersion: weft/v1
kind: Application
name: tasks
package: ./tasks.tar.gz
roles:${role('alpha')}${role('beta')}
`);
    for (const name of ['alpha', 'beta']) {
      const id = `tasks/${name}-0`;
      expect(await inside(id, 'cat /root/order')).toBe(`${name} it's "quoted" $HOME\nsecond`);
      expect(await inside(id, 'cat /root/foreground /root/background')).toBe('foreground\nbackground');
      expect(await inside(id, 'cat /var/lib/weft/app/whoami')).toBe(name);
      expect(await inside(id, 'cat /root/starts')).toBe('started');
      const { steps } = await golden.weft.json<{ steps: TimelineStep[] }>(['timeline', id]);
      for (const step of ['startup', 'package', 'start'])
        expect(steps.find((each) => each.name === step)?.status).toBe('done');
    }
    await remove('tasks');
  });

  test('serves its site with the web server of its image: busybox in tiny, nginx and a unit of systemd in debian', async () => {
    const source = join(golden.folder, 'site');
    for (const role of ['small', 'large']) {
      await mkdir(join(source, role, 'public'), { recursive: true });
      await writeFile(join(source, role, 'public/index.html'), `<h1>hello from ${role}</h1>\n`);
    }
    await writeFile(
      join(source, 'large/serve.sh'),
      '#!/bin/sh\necho "$WEFT_INSTANCE" >/run/served\nexec sleep 100000\n',
      {
        mode: 0o755,
      },
    );
    await packFolder(source, join(golden.folder, 'site.tar.gz'));
    const endpoints = (port: number, targetPort: number) =>
      `{http: {type: input, port: ${port}, targetPort: ${targetPort}, probe: {http: /, interval: 1s, timeout: 2s}}}`;
    await apply(`
apiVersion: weft/v1
kind: Application
name: site
package: ./site.tar.gz
roles:
  small: {kind: web, image: "tiny:stable", size: ${TINY}, instances: 1, site: {root: public}, endpoints: ${endpoints(80, 8080)}}
  large:
    kind: web
    image: debian:stable
    size: {cpus: 1, memory: 512MiB, disk: 4GiB}
    instances: 1
    site: {root: public}
    start: ./serve.sh
    endpoints: ${endpoints(81, 8081)}
`);
    const rows = await golden.weft.ps('site');
    for (const [role, port] of [
      ['small', 8080],
      ['large', 8081],
    ]) {
      const row = rowOf(rows, `site/${role}-0`);
      const own = await inside(`site/${role}-0`, 'ip -6 addr show dev eth0 scope global');
      const six = /inet6 (\S+)\/64/.exec(own)?.[1];
      for (const address of [row.address, `[${six}]`]) {
        const page = await golden.lab.exec(
          String(row.host),
          ['busybox', 'wget', '-q', '-O', '-', `http://${address}:${port}/`],
          { timeoutMs: 20_000 },
        );
        expect(page.stdout).toContain(`hello from ${role}`);
      }
    }
    const large = (command: string) => inside('site/large-0', command);
    expect(await large('cat /run/served; systemctl is-active weft-role')).toBe('site/large-0\nactive');
    // What came by SFTP was unpacked, and nothing of it is left.
    expect(
      await large('test -x /usr/lib/openssh/sftp-server && ls /var/tmp | grep -c weft-package || true'),
    ).toBe('0');
    // A process that is killed is started again.
    const pid = await large('pgrep -f "[s]leep 100000"');
    await large(`kill -9 ${pid}`);
    await waitFor(
      'the role’s process to run again',
      () => large('pgrep -f "[s]leep 100000" || true'),
      (now) => /^\d+$/.test(now) && now !== pid,
      60_000,
    );
    await remove('site');
  });
});
