import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DoctorReport } from '../../agent/protocol/index.ts';
import { supervisedPid } from '../lab/host.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { isReady, rowOf, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { waitFor } from '../support/wait-for.ts';

const HOST = 'h1';
const POOL = '/var/lib/weft/pools/local';
const SMALL = '/var/lib/weft/pools/small';
const BLOBS = '/var/lib/weft/agent/blobs/sha256';
const RUN = '/var/lib/weft/agent/run';
const HEX = { whole: 'b'.repeat(64), partial: 'c'.repeat(64), missing: 'd'.repeat(64) };

const MODEL = `
apiVersion: weft/v1
kind: Application
name: crm
roles:
  worker: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 1}
`;

describe('the doctor of a host', () => {
  let golden: GoldenLab;
  let fleet: string;
  let fleet4: string;
  beforeAll(async () => {
    golden = await goldenLab('doctor', {
      hosts: 1,
      agent: {
        pools: [
          { name: 'local', path: POOL },
          { name: 'small', path: SMALL },
        ],
        doctor: { everyMs: 1_000, graceMs: 10_000, cacheGraceMs: 10_000, lowSpaceMiB: 16, fullSpaceMiB: 8 },
      },
    });
    fleet = (JSON.parse((await sh(`cat ${POOL}/.weft-pool.json`)).trim()) as { fleet: string }).fleet;
    fleet4 = fleet.slice(0, 4);
    await golden.weft.ok(['apply', '-f', await golden.model(MODEL), '--wait'], { timeoutMs: 300_000 });
  }, 900_000);
  afterAll(() => golden?.down(), 60_000);

  /** A person at the host's own shell. */
  const sh = async (script: string, input?: string): Promise<string> =>
    (
      await golden.lab.exec(HOST, ['sh', '-euc', script], {
        timeoutMs: 60_000,
        ...(input === undefined ? {} : { input }),
      })
    ).stdout;
  const virsh = (command: string, xml?: string) =>
    sh(
      xml === undefined
        ? `virsh -q -c qemu:///system ${command}`
        : `cat >/run/x.xml; virsh -q -c qemu:///system ${command} /run/x.xml`,
      xml,
    );
  const isThere = async (path: string) =>
    (await sh(`test -e ${path} && echo yes || echo no`)).trim() === 'yes';
  const doctor = async (...args: string[]) => {
    const { exitCode, stdout } = await golden.weft.run(['host', 'doctor', HOST, ...args, '--json']);
    return { exitCode, report: JSON.parse(stdout) as DoctorReport };
  };
  const findingsOf = ({ findings }: DoctorReport) =>
    findings.map(({ kind, subject }) => `${kind} ${subject}`);

  const domainXml = (name: string, disk: string | null, mark = '') =>
    `<domain type='qemu'><name>${name}</name>${mark}<memory unit='MiB'>32</memory><os><type>hvm</type></os><devices>${
      disk === null
        ? ''
        : `<disk type='file'><driver name='qemu' type='qcow2'/><source file='${disk}'/><target dev='vda' bus='virtio'/></disk>`
    }</devices></domain>`;
  const networkXml = (name: string, bridge: string, mark = '') =>
    `<network><name>${name}</name>${mark}<bridge name='${bridge}'/></network>`;
  const vmMark = (id: string) =>
    `<metadata><weft:vm xmlns:weft='urn:weft:1' fleet='${fleet}' id='${id}' incarnation='1' kind='instance' rebootGeneration='0'/></metadata>`;
  const networkMark = () =>
    `<metadata><weft:network xmlns:weft='urn:weft:1' fleet='${fleet}' id='old/web'/></metadata>`;

  /** Things of other people, as near to ours as they can be. */
  async function plantForeign(): Promise<void> {
    await sh(`
      mkdir -p ${POOL}/roles/Backup ${POOL}/roles/old/web-0 ${POOL}/theirs/web-0 ${RUN}/old/Web
      echo precious >${POOL}/notes.txt
      echo precious >${POOL}/roles/README
      echo precious >${POOL}/roles/Backup/data.tmp
      echo precious >${POOL}/roles/old/web-0/3.qcow2.backup
      echo precious >${POOL}/theirs/web-0/1.qcow2.0a1b2c3d.tmp
      echo precious >${RUN}/old/Web/seed-1.iso
      echo precious >${BLOBS}/theirs.qcow2
      touch -d '2 hours ago' ${POOL}/roles/Backup/data.tmp ${POOL}/theirs/web-0/1.qcow2.0a1b2c3d.tmp
      qemu-img create -q -f qcow2 ${POOL}/theirs.qcow2 1M
      ip link add wbf00d-7 type bridge
      ip link add wb${fleet4}-7x type bridge
      nft add table ip weft_f00d`);
    await virsh('create', domainXml('theirs', null));
    await virsh('define', domainXml(`weft-${fleet4}-old-web-9-abcdef`, `${POOL}/theirs.qcow2`));
    // Marked, and by another fleet.
    await virsh(
      'define',
      domainXml(
        'weft-f00d-old-web-0-abcdef',
        null,
        vmMark('old/web-0').replace(fleet, fleet.replace(/^..../, 'f00d')),
      ),
    );
    await virsh('net-define', networkXml('theirs', 'virbr9'));
    await virsh('net-define', networkXml('theirs-too', `wb${fleet4}-999`));
    await virsh('net-start theirs-too');
  }

  /** Names, bytes and processes of all that is not ours, as other programs see them. */
  const foreign = () =>
    sh(`
      cd ${POOL}; find notes.txt theirs.qcow2 theirs roles/README roles/Backup roles/old -type f | sort | xargs sha256sum
      cd ${RUN}; find old/Web -type f | xargs sha256sum
      sha256sum ${BLOBS}/theirs.qcow2
      for domain in theirs weft-${fleet4}-old-web-9-abcdef weft-f00d-old-web-0-abcdef; do
        virsh -q -c qemu:///system dominfo $domain | grep -v 'CPU time'
        virsh -c qemu:///system dumpxml $domain | sha256sum
      done
      pgrep -f '[g]uest=theirs,'
      for network in theirs theirs-too; do virsh -q -c qemu:///system net-dumpxml $network; done
      ip -o link show type bridge | grep -oE 'wb(f00d-7|${fleet4}-7x|${fleet4}-999)'
      nft list table ip weft_f00d`);

  test('a host in order has nothing to say', async () => {
    const { exitCode, report } = await doctor();
    expect([exitCode, report.findings]).toEqual([0, []]);
    expect((await golden.weft.ok(['host', 'doctor', HOST])).trim()).toBe(
      `${HOST}: everything is as it should be`,
    );
  });

  test('exactly what is ours and left over goes after the grace time, and what is not ours stays, byte for byte', async () => {
    await plantForeign();
    const before = await foreign();
    // A seed of an incarnation that is over is left by every re-image.
    await golden.weft.ok(['reimage', 'crm/worker-0']);
    await waitFor(
      'the second incarnation',
      async () => rowOf(await golden.weft.ps('crm'), 'crm/worker-0'),
      (row) => isReady(row) && row.incarnation > 1,
    );
    await sh(`
      mkdir -p ${POOL}/roles/old/web-2 ${POOL}/machines/gone/db ${RUN}/gone ${RUN}.web-3
      echo half >${POOL}/roles/old/web-0/3.qcow2.0a1b2c3d.tmp
      echo half >${POOL}/roles/crm/worker-0/9.qcow2.0a1b2c3d.tmp
      touch -d '2 hours ago' ${POOL}/roles/old/web-0/3.qcow2.0a1b2c3d.tmp ${POOL}/roles/crm/worker-0/9.qcow2.0a1b2c3d.tmp
      qemu-img create -q -f qcow2 ${POOL}/roles/old/web-0/4.qcow2 1M
      echo log >${RUN}.web-3/console.log
      mv ${RUN}.web-3 ${RUN}/old/web-3
      echo blob >${BLOBS}/${HEX.whole}.qcow2
      echo half >${BLOBS}/${HEX.partial}.qcow2.partial
      ip link add wb${fleet4}-777 type bridge`);
    await virsh('define', domainXml(`weft-${fleet4}-old-web-4-abcdef`, null, vmMark('old/web-4')));
    await virsh('net-define', networkXml(`weft-${fleet4}-778`, `wb${fleet4}-778`, networkMark()));
    const shown = await waitFor(
      'the doctor to see it',
      async () => findingsOf((await doctor()).report),
      (findings) => findings.some((finding) => finding.startsWith('lone-bridge')),
    );
    expect(shown).toContain(`unneeded-blob sha256:${HEX.whole}`);

    const gone = [
      `${POOL}/roles/old/web-0/3.qcow2.0a1b2c3d.tmp`,
      `${POOL}/roles/crm/worker-0/9.qcow2.0a1b2c3d.tmp`,
      `${POOL}/roles/old/web-0/4.qcow2`,
      `${POOL}/roles/old/web-2`,
      `${POOL}/machines/gone`,
      `${RUN}/old/web-3`,
      `${RUN}/gone`,
      `${RUN}/crm/worker-0/seed-1.iso`,
      `${BLOBS}/${HEX.whole}.qcow2`,
      `${BLOBS}/${HEX.partial}.qcow2.partial`,
      `/sys/class/net/wb${fleet4}-777`,
    ];
    await waitFor(
      'what is left over to go',
      async () => {
        const left = [];
        for (const path of gone) if (await isThere(path)) left.push(path);
        const libvirt = `${await virsh('list --all --name')} ${await virsh('net-list --all --name')}`;
        for (const name of [`weft-${fleet4}-old-web-4-abcdef`, `weft-${fleet4}-778`])
          if (libvirt.includes(name)) left.push(name);
        return left;
      },
      (left) => left.length === 0,
      60_000,
    );
    expect(await foreign()).toBe(before);
    expect((await doctor()).report.findings).toEqual([]);
    // What runs has noticed nothing.
    expect((await golden.weft.ok(['ssh', 'crm/worker-0', '--', 'echo well'])).trim()).toBe('well');
    expect(await isThere(`${RUN}/crm/worker-0/seed-2.iso`)).toBe(true);
  });

  test('a broken chain is an error that is shown, and never repaired', async () => {
    const disk = `${POOL}/machines/old/db/disk.qcow2`;
    await sh(`mkdir -p ${POOL}/machines/old/db
      qemu-img create -q -u -f qcow2 -F qcow2 -b ${BLOBS}/${HEX.missing}.qcow2 ${disk} 1M`);
    const before = await sh(`sha256sum ${disk}`);
    const { exitCode, report } = await doctor('--repair', '--digests');
    expect(exitCode).toBe(1);
    expect(report.findings[0]).toMatchObject({ kind: 'broken-chain', subject: disk, severity: 'error' });
    expect(report.findings[0]?.repair).toBeUndefined();
    const text = await golden.weft.run(['host', 'doctor', HOST, '--repair']);
    expect(text.exitCode).toBe(1);
    expect(text.stdout).toContain(`error   broken-chain: ${disk}`);
    expect(text.stdout).toContain('which is not there');
    const [row] = await golden.weft.hosts();
    expect(row?.notes.join('\n')).toContain('its doctor has found 2, 1 of them errors: weft host doctor h1');
    expect(await sh(`sha256sum ${disk}`)).toBe(before);
    await sh(`rm -r ${POOL}/machines/old`);
  });

  test('an operator need not wait: --repair removes at once', async () => {
    const path = `${POOL}/roles/crm/worker-0/9.qcow2.0a1b2c3d.tmp`;
    await sh(`echo half >${path}; touch -d '2 hours ago' ${path}`);
    const { exitCode, report } = await doctor('--repair');
    expect([exitCode, report.findings, await isThere(path)]).toEqual([0, [], false]);
  });

  test('a guest that fills its pool stops, nothing new is placed there, and it runs on once there is room', async () => {
    // The pool's folder becomes a small file system of its own, and the agent begins anew on it.
    await sh(`mount -t tmpfs -o size=48m tmpfs ${SMALL}`);
    process.kill(await supervisedPid(await golden.lab.host(HOST), 'weft-agent'), 'SIGKILL');
    await waitFor('the pool to be marked', () => isThere(`${SMALL}/.weft-pool.json`), Boolean);
    const machine = (app: string) =>
      `apiVersion: weft/v1\nkind: Application\nname: ${app}\nmachines:\n  db: {image: "tiny:stable", size: ${TINY}, pool: small}\n`;
    await golden.weft.ok(['apply', '-f', await golden.model(machine('fill')), '--wait'], {
      timeoutMs: 300_000,
    });
    const written = golden.weft.run(
      [
        'ssh',
        'fill/db',
        '--',
        'dd if=/dev/urandom of=/root/fill bs=1M count=64 && sync && sha256sum </root/fill',
      ],
      { timeoutMs: 240_000 },
    );
    const name = (await virsh('list --name')).split('\n').find((each) => each.includes('fill-db')) ?? '';
    await waitFor(
      'QEMU to stop the guest',
      async () => (await virsh(`domstate ${name} --reason`)).trim(),
      (state) => state === 'paused (I/O error)',
      120_000,
    );
    const { exitCode, report } = await waitFor(
      'the pool to be reported as full',
      () => doctor(),
      ({ report: { fullPools } }) => fullPools.includes('small'),
      30_000,
    );
    expect(exitCode).toBe(1);
    expect(report.findings.find(({ kind }) => kind === 'low-space')).toMatchObject({
      severity: 'error',
      subject: SMALL,
    });
    const refused = await waitFor(
      'the controller to know',
      async () => golden.weft.run(['apply', '-f', await golden.model(machine('more'))]),
      (answer) => answer.exitCode !== 0,
      30_000,
    );
    expect(refused.stderr).toContain('its pool small has run out of space');
    expect((await virsh(`domstate ${name} --reason`)).trim()).toBe('paused (I/O error)');

    await sh(`mount -o remount,size=256m ${SMALL}`);
    const { exitCode: code, stdout } = await written;
    expect(code).toBe(0);
    const digest = stdout.trim().split(/\s+/)[0];
    // What the guest wrote around the stop is what it reads when its own cache is empty.
    const again = await golden.weft.ok([
      ...['ssh', 'fill/db', '--'],
      'echo 3 >/proc/sys/vm/drop_caches; sha256sum </root/fill',
    ]);
    expect(again.trim().split(/\s+/)[0]).toBe(digest);
    expect(digest).not.toBe(createHash('sha256').digest('hex'));
    const events = await golden.weft.ok(['events']);
    expect(events).toContain('pool small has run out of space');
    expect(events).toContain('pool small has room again');
    await golden.weft.ok(['delete', 'fill', '--wait'], { timeoutMs: 120_000 });
  });

  test('with the last application the last of ours goes, a stray table too, and the rest is still there', async () => {
    const before = await foreign();
    await golden.weft.ok(['delete', 'crm', '--wait'], { timeoutMs: 120_000 });
    await waitFor(
      'the table to go with the last network',
      () => sh('nft list tables'),
      (tables) => !tables.includes(`weft_${fleet4}`),
      30_000,
    );
    await sh(`nft add table ip weft_${fleet4}`);
    await waitFor(
      'the stray table to go',
      () => sh('nft list tables'),
      (tables) => !tables.includes(`weft_${fleet4}`),
      30_000,
    );
    expect(await foreign()).toBe(before);
    // Other people take their things away, and nothing of ours is behind them.
    for (const domain of [`weft-${fleet4}-old-web-9-abcdef`, 'weft-f00d-old-web-0-abcdef'])
      await virsh(`undefine ${domain}`);
    await virsh('destroy theirs');
    await virsh('net-destroy theirs-too');
    for (const network of ['theirs', 'theirs-too']) await virsh(`net-undefine ${network}`);
    await sh(`ip link delete wb${fleet4}-7x; ip link delete wbf00d-7; nft delete table ip weft_f00d
      rm -r ${POOL}/theirs* ${POOL}/roles/old ${RUN}/old`);
    await waitUntilNothingIsLeft(golden);
    const { exitCode, stderr } = await golden.weft.run(['host', 'doctor', 'nobody']);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('there is no host nobody')]);
  });
});
