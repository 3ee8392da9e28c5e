import { describe, expect, test } from 'vitest';
import type { VmReport } from '../../../agent/protocol/index.ts';
import type { VmRecord } from '../../../controller/model/index.ts';
import { machineDefinition, roleDefinition } from '../../../controller/reconciler/definition.ts';
import { goalOf, peersOf } from '../../../controller/reconciler/goals.ts';
import { DEFAULT_SETTINGS, type Plan, plan } from '../../../controller/reconciler/plan.ts';
import type { LiveHost, World } from '../../../controller/reconciler/world.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { aVmGoal, FLEET } from '../../support/builders/goal.ts';
import { aHello, aHost, type HostShape } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

const NOW = 100_000;
const WEB = aRole();
const CURRENT = roleDefinition(WEB, null);

type ApplicationArguments = Parameters<typeof anApplication>;
const DEFAULT_APPLICATION: ApplicationArguments = ['crm', { roles: { web: WEB } }];

interface Setting {
  readonly hosts?: Readonly<Record<string, HostShape>>;
  readonly silent?: readonly string[];
  readonly draining?: readonly string[];
  readonly vms?: readonly VmRecord[];
  readonly application?: ApplicationArguments;
  readonly reports?: Readonly<Record<string, readonly VmReport[]>>;
  /** Machines that hosts have and no goal names: host → id and incarnation. */
  readonly strangers?: Readonly<Record<string, readonly [id: string, incarnation: number]>>;
  readonly listeningSinceMs?: number;
}

function aWorld(setting: Setting = {}): World {
  const { hosts = { h1: {}, h2: {}, h3: {} }, silent = [], draining = [], vms = [], reports = {} } = setting;
  const claims = new Map<
    string,
    { vms: Record<string, { cpus: number; memoryMiB: number; diskMiB: number; pool: string }> }
  >();
  for (const { id, incarnation, host, size, pool } of vms) {
    if (host === null) continue;
    const record = claims.get(host) ?? { vms: {} };
    record.vms[`${id}@${incarnation}`] = {
      cpus: size.cpus,
      memoryMiB: size.memoryMiB,
      diskMiB: size.diskMiB,
      pool,
    };
    claims.set(host, record);
  }
  const image = {
    name: 'tiny',
    version: '2',
    goal: { ...aVmGoal().image, version: '2' },
    virtualSizeBytes: 1,
    sizeBytes: 1,
    sourceFormat: 'qcow2',
    createdAtMs: 0,
    sshKeySecret: null,
  };
  return {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    applications: new Map([['crm', anApplication(...(setting.application ?? DEFAULT_APPLICATION))]]),
    vms: new Map(vms.map((vm) => [vm.id, vm])),
    hosts: new Map(
      Object.entries(hosts).map(([name, shape]) => [
        name,
        aHost(name, shape, { draining: draining.includes(name) }),
      ]),
    ),
    claims,
    networks: new Map(),
    tombstones: new Map(),
    incarnations: new Map(),
    fencing: new Map(),
    backups: new Map(),
    live: new Map(
      Object.entries(hosts).map(([name, shape]): [string, LiveHost] => [
        name,
        silent.includes(name)
          ? {
              connected: false,
              lastHeardMs: 0,
              hello: null,
              report: null,
              acknowledged: null,
              endedBecause: null,
            }
          : {
              connected: true,
              endedBecause: null,
              lastHeardMs: NOW,
              hello: aHello(name, shape),
              report: {
                type: 'report',
                sequence: 1,
                atMs: NOW,
                bootId: 'boot-1',
                revisionSeen: 1,
                vms: [...(reports[name] ?? [])],
                blobs: [],
                strangers: [setting.strangers?.[name] ?? []].flatMap(([id, incarnation]) =>
                  id === undefined || incarnation === undefined
                    ? []
                    : [{ id, incarnation, running: true, disk: `/pool/machines/${id}/disk.qcow2` }],
                ),
                leaving: [],
              },
              acknowledged: new Set(vms.filter((vm) => vm.host === name && !vm.deleting).map(({ id }) => id)),
            },
      ]),
    ),
    images: new Map([['tiny:stable', { image, failure: null, ms: 3 }]]),
    listeningSinceMs: setting.listeningSinceMs ?? 0,
  };
}

const plannedFor = (setting: Setting = {}): Plan => plan(aWorld(setting), NOW, DEFAULT_SETTINGS);
const vmIn = (planned: Plan, id: string) =>
  planned.puts.find(({ key }) => key === `vms/${id}`)?.value as VmRecord | undefined;
const eventsOf = (planned: Plan) => planned.events.map(({ kind, subject }) => `${kind} ${subject}`);
const aReport = (overrides: Partial<VmReport> = {}): VmReport => ({
  id: 'crm/web-0',
  incarnation: 1,
  phase: 'ready',
  rebootGeneration: 0,
  steps: [],
  tasks: [],
  boots: 1,
  ...overrides,
});
const web = (index: number, overrides: Partial<VmRecord> = {}) =>
  aVm({
    id: `crm/web-${index}`,
    index,
    definition: CURRENT,
    address: `10.128.0.${10 + index}`,
    host: `h${(index % 3) + 1}`,
    ...overrides,
  });
const db = (overrides: Partial<VmRecord> = {}) =>
  aVm({
    id: 'crm/db',
    role: null,
    index: null,
    kind: 'machine',
    networkId: 'crm/machines',
    definition: machineDefinition(aMachine()),
    ...overrides,
  });

describe('what is declared', () => {
  test('is placed at incarnation 1 with address, MAC, claim and timeline in one transaction', () => {
    const planned = plannedFor();
    const vm = vmIn(planned, 'crm/web-0');
    expect(vm).toMatchObject({
      state: 'placing',
      incarnation: 1,
      address: '10.128.0.10',
      mac: '52:54:0a:80:00:0a',
    });
    expect(vm?.image?.version).toBe('2');
    expect(vm?.steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'image done',
      'place done',
      'publish skipped',
      'name skipped',
    ]);
    const claim = planned.puts.find(({ key }) => key === `claims/${vm?.host}`)?.value;
    expect(claim).toEqual({
      vms: { 'crm/web-0@1': { cpus: 1, memoryMiB: 128, diskMiB: 256, pool: 'local' } },
    });
    expect(eventsOf(planned)).toEqual(
      expect.arrayContaining(['vm-created crm/web-0', 'vm-placed crm/web-0']),
    );
  });

  test('begins above what the name has had before', () => {
    const world = { ...aWorld(), incarnations: new Map([['crm', { highest: 7 }]]) };
    expect(vmIn(plan(world, NOW, DEFAULT_SETTINGS), 'crm/web-0')?.incarnation).toBe(8);
  });

  test('waits as pending with the reason when no host takes it, and says so once', () => {
    const first = plannedFor({ hosts: { h1: { memoryMiB: 64 } } });
    const vm = vmIn(first, 'crm/web-0');
    expect(vm).toMatchObject({
      state: 'pending',
      host: null,
      incarnation: 0,
      failure: { code: 'no-capacity' },
    });
    expect(vm?.failure?.message).toContain('needs 128 MiB of memory, 64 of 64 MiB free');
    if (!vm) return;
    const second = plannedFor({ hosts: { h1: { memoryMiB: 64 } }, vms: [{ ...vm, definition: CURRENT }] });
    expect([...second.puts, ...second.deletes, ...second.events]).toEqual([]);
  });

  test('says so no more while a host comes and goes, and its record has what is so now', () => {
    const hosts = { h1: { memoryMiB: 64 }, h2: { memoryMiB: 64 } };
    const vm = vmIn(plannedFor({ hosts }), 'crm/web-0');
    if (!vm) throw new Error('its refusal is not on its record');
    const second = plannedFor({ hosts, silent: ['h2'], vms: [{ ...vm, definition: CURRENT }] });
    expect(eventsOf(second)).toEqual(['host-down h2']);
    expect(vmIn(second, 'crm/web-0')?.failure?.message).toContain('h2: the host is down');
  });

  test('backs off when its image means nothing, and keeps the error', () => {
    const world = aWorld({ vms: [web(0, { state: 'pending', host: null, image: null, incarnation: 0 })] });
    const failure = { code: 'not-found', message: 'there is no image tiny:stable' };
    const planned = plan(
      { ...world, images: new Map([['tiny:stable', { image: null, failure, ms: 0 }]]) },
      NOW,
      DEFAULT_SETTINGS,
    );
    expect(vmIn(planned, 'crm/web-0')).toMatchObject({
      state: 'backing-off',
      retryAtMs: NOW + 2_000,
      failure,
    });
    expect(planned.nextMs).toBe(NOW + 2_000);
  });

  test('goes from the highest index when there is less of it', () => {
    const planned = plannedFor({ vms: [web(0), web(1), web(2)] });
    expect(vmIn(planned, 'crm/web-0')).toBeUndefined();
    for (const index of [1, 2])
      expect(vmIn(planned, `crm/web-${index}`)).toMatchObject({ state: 'stopping', deleting: true });
  });
});

describe('a host’s word', () => {
  test('moves the state, and merges its steps with ours', () => {
    const boot = { name: 'boot' as const, status: 'running' as const, startedAtMs: 5, ms: 77 };
    const planned = plannedFor({
      vms: [web(0, { state: 'placing', phase: null, host: 'h1' })],
      reports: { h1: [aReport({ phase: 'booting', steps: [boot], overlay: '/pool/x.qcow2' })] },
    });
    expect(vmIn(planned, 'crm/web-0')).toMatchObject({
      state: 'booting',
      attempt: 2,
      stateSinceMs: NOW,
      overlay: '/pool/x.qcow2',
      steps: [{ ...boot, ms: 0 }],
    });
  });

  test('counts for nothing when it is of another incarnation, of another host’s VM, or known', () => {
    const same = { vms: [web(0)] };
    expect(
      plannedFor({ ...same, reports: { h1: [aReport({ incarnation: 2, phase: 'failed' })] } }).puts,
    ).toEqual([]);
    expect(plannedFor({ ...same, reports: { h2: [aReport({ phase: 'failed' })] } }).puts).toEqual([]);
    expect(plannedFor({ ...same, reports: { h1: [aReport()] } })).toMatchObject({ puts: [], events: [] });
  });

  test('that it failed is kept with its console and tasks while it backs off; then a new incarnation follows', () => {
    const failure = { code: 'task-failed', message: 'exit 3', consoleTail: 'login:' };
    const tasks = [
      {
        name: 'startup-1',
        kind: 'simple' as const,
        status: 'failed' as const,
        exitCode: 3,
        attempts: 1,
        startedAtMs: 1,
        ms: 2,
        output: 'no',
      },
    ];
    const planned = plannedFor({
      vms: [web(0, { state: 'starting' })],
      reports: { h1: [aReport({ phase: 'failed', failure, tasks })] },
    });
    const failed = vmIn(planned, 'crm/web-0');
    expect(failed).toMatchObject({
      state: 'backing-off',
      failure,
      tasks,
      failures: 1,
      incarnation: 1,
      host: 'h1',
    });
    expect(eventsOf(planned)).toContain('vm-failed crm/web-0');
    if (!failed) return;
    const later = plannedFor({ vms: [{ ...failed, retryAtMs: NOW - 1 }] });
    const again = vmIn(later, 'crm/web-0');
    // What its tasks said is kept over the next try, until that has something to say itself or is ready.
    expect(again).toMatchObject({ state: 'placing', incarnation: 2, failures: 1, failure, tasks });
    if (!again) return;
    const saying = (report: Partial<VmReport>) =>
      vmIn(
        plannedFor({
          vms: [again],
          reports: { [again.host ?? '']: [aReport({ incarnation: 2, ...report })] },
        }),
        'crm/web-0',
      )?.tasks;
    expect(saying({ phase: 'booting' })).toEqual(tasks);
    expect(
      saying({ phase: 'starting', tasks: tasks.map((task) => ({ ...task, output: 'anew' })) }),
    ).toMatchObject([{ output: 'anew' }]);
    expect(saying({ phase: 'ready' })).toEqual([]);
  });

  test('a machine that failed is tried again on its own host, on its own image', () => {
    const image = { ...aVmGoal().image, version: '1' };
    const planned = plannedFor({
      application: ['crm', { roles: {}, machines: { db: aMachine() } }],
      hosts: { h1: { memoryMiB: 130 }, h2: {} },
      vms: [db({ state: 'backing-off', retryAtMs: NOW - 1, failures: 1, image })],
    });
    expect(vmIn(planned, 'crm/db')).toMatchObject({ state: 'placing', host: 'h1', incarnation: 2, image });
  });
});

describe('a host that falls silent', () => {
  const lost = { vms: [web(0), web(1), web(2), db()], silent: ['h1'] };
  const application: ApplicationArguments = [
    'crm',
    { roles: { web: aRole({ instances: 3 }) }, machines: { db: aMachine() } },
  ];

  test('gives its instances away at a new incarnation, and keeps its machine, unknown', () => {
    const planned = plannedFor({ ...lost, application });
    const healed = vmIn(planned, 'crm/web-0');
    expect(healed).toMatchObject({ state: 'placing', incarnation: 2 });
    expect(healed?.host).not.toBe('h1');
    expect(vmIn(planned, 'crm/db')).toMatchObject({ state: 'unknown', host: 'h1', incarnation: 1 });
    const claims = planned.puts.find(({ key }) => key === 'claims/h1')?.value as { vms: object };
    expect(Object.keys(claims.vms)).toEqual(['crm/db@1']);
    expect(eventsOf(planned)).toEqual(expect.arrayContaining(['host-down h1', 'vm-heal crm/web-0']));
  });

  test('has its time after a start of the controller', () => {
    const planned = plannedFor({ ...lost, application, listeningSinceMs: NOW - 1_500 });
    expect(planned.puts.filter(({ key }) => key.startsWith('vms/'))).toEqual([]);
    expect(planned.nextMs).toBe(NOW + 500);
  });

  test('with another one, and more than a third of all, makes healing hold still', () => {
    const planned = plannedFor({ ...lost, application, silent: ['h1', 'h2'] });
    expect(vmIn(planned, 'crm/web-0')).toMatchObject({ state: 'unknown', incarnation: 1, host: 'h1' });
    expect(planned.events.some(({ message }) => message.includes('healing holds still'))).toBe(true);
  });

  test('with another one of seven does not', () => {
    const hosts = Object.fromEntries(Array.from({ length: 7 }, (_, index) => [`h${index + 1}`, {}]));
    const planned = plannedFor({ ...lost, application, hosts, silent: ['h1', 'h2'] });
    expect(vmIn(planned, 'crm/web-0')).toMatchObject({ incarnation: 2 });
  });
});

describe('one at a time', () => {
  const three: ApplicationArguments = ['crm', { roles: { web: aRole({ instances: 3 }) } }];
  const definition = roleDefinition(aRole({ instances: 3 }), null);
  const placed = (planned: Plan) =>
    planned.events.filter(({ kind }) => kind === 'vm-successor').map(({ subject }) => subject);

  test('instances of an older definition are followed by new ones, the next when all are ready', () => {
    const older = [0, 1, 2].map((index) => web(index, { definition: 'older' }));
    expect(placed(plannedFor({ vms: older, application: three }))).toEqual(['crm/web-0']);
    const [, one, two] = older;
    const during = [web(0, { definition, state: 'booting', incarnation: 2 }), one, two].filter(
      (vm) => vm !== undefined,
    );
    expect(placed(plannedFor({ vms: during, application: three }))).toEqual([]);
    const after = [web(0, { definition, incarnation: 2 }), one, two].filter((vm) => vm !== undefined);
    expect(placed(plannedFor({ vms: after, application: three }))).toEqual(['crm/web-1']);
  });
});

describe('a host that drains', () => {
  test('is left by all of its instances at once; its machine stays', () => {
    const vms = [
      web(0, { definition: CURRENT, host: 'h1' }),
      web(1, { definition: CURRENT, host: 'h1' }),
      web(2, { definition: CURRENT, host: 'h2' }),
      db(),
    ];
    const planned = plannedFor({
      vms,
      application: ['crm', { roles: { web: aRole({ instances: 3 }) } }],
      draining: ['h1'],
    });
    expect(eventsOf(planned).filter((event) => event.startsWith('vm-'))).toEqual([
      'vm-successor crm/web-0',
      'vm-successor crm/web-1',
    ]);
    expect(vmIn(planned, 'crm/web-0')).toMatchObject({
      ...{ host: 'h1', incarnation: 1, state: 'ready' },
      successor: { host: 'h3', incarnation: 2, state: 'placing' },
    });
    expect(vmIn(planned, 'crm/db')).toBeUndefined();
  });
});

describe('a wish', () => {
  test('re-images on the same host, at a new incarnation', () => {
    const planned = plannedFor({ vms: [web(0, { reimageRequested: true })] });
    expect(vmIn(planned, 'crm/web-0')).toMatchObject({ host: 'h1', incarnation: 2, reimageRequested: false });
  });

  test('that is refused for two reasons in one pass comes to rest', () => {
    const known = aWorld({
      hosts: { h1: {}, h2: { memoryMiB: 1 } },
      silent: ['h1'],
      listeningSinceMs: NOW - 3_000,
      vms: [web(0, { definition: CURRENT, reimageRequested: true })],
      application: ['crm', { roles: { web: aRole({ instances: 1 }) } }],
    });
    const suspect = aHost('h1', {}, { draining: true, state: 'suspect' });
    const world = { ...known, hosts: new Map([...known.hosts, ['h1', suspect]]) };
    const first = plan(world, NOW, DEFAULT_SETTINGS);
    expect(eventsOf(first)).toContain('vm-refused crm/web-0');
    const record = vmIn(first, 'crm/web-0');
    if (!record) throw new Error('its refusal is not on its record');
    const second = plan({ ...world, vms: new Map([[record.id, record]]) }, NOW, DEFAULT_SETTINGS);
    expect(second.puts.map(({ key }) => key)).not.toContain('vms/crm/web-0');
    expect(eventsOf(second)).not.toContain('vm-refused crm/web-0');
  });

  test('moves to the host it names, or away; one that no host grants is dropped and told', () => {
    expect(vmIn(plannedFor({ vms: [web(0, { moveTo: 'h3' })] }), 'crm/web-0')?.successor?.host).toBe('h3');
    expect(vmIn(plannedFor({ vms: [web(0, { moveTo: '*' })] }), 'crm/web-0')?.successor?.host).toMatch(
      /^h[23]$/,
    );
    const refused = plannedFor({ hosts: { h1: {} }, vms: [web(0, { moveTo: '*' })] });
    expect(vmIn(refused, 'crm/web-0')).toMatchObject({
      host: 'h1',
      incarnation: 1,
      moveTo: null,
      state: 'ready',
    });
    expect(eventsOf(refused)).toContain('vm-refused crm/web-0');
  });
});

describe('the end', () => {
  const deleting: ApplicationArguments = [
    'crm',
    { roles: { web: WEB }, machines: { db: aMachine() } },
    { deleting: true },
  ];

  test('of an application buries its machines’ disks', () => {
    const planned = plannedFor({ vms: [web(0), db()], application: deleting });
    expect(planned.puts.find(({ key }) => key === 'tombstones/crm/db')?.value).toEqual({
      id: 'crm/db',
      host: 'h1',
      upToIncarnation: 1,
      atMs: NOW,
    });
  });

  test('of a VM comes when its host has looked and found nothing; its incarnation is remembered', () => {
    const going = web(0, { state: 'stopping', deleting: true, incarnation: 4 });
    const world = aWorld({ vms: [going], application: deleting });
    const leaving = new Map(world.live);
    const h1 = world.live.get('h1');
    if (!h1?.report) throw new Error('h1 reports');
    leaving.set('h1', { ...h1, report: { ...h1.report, leaving: ['crm/web-0'] } });
    const settings = DEFAULT_SETTINGS;
    expect(plan({ ...world, live: leaving }, NOW, settings).deletes).toEqual([]);
    const planned = plan(world, NOW, settings);
    expect(planned.deletes).toEqual(expect.arrayContaining(['vms/crm/web-0', 'apps/crm']));
    expect(planned.puts.find(({ key }) => key === 'incarnations/crm')?.value).toEqual({ highest: 4 });
  });

  test('of an instance does not wait for a host that is down, that of a machine does', () => {
    const vms = [web(0, { state: 'stopping', deleting: true }), db({ state: 'stopping', deleting: true })];
    const planned = plannedFor({ vms, application: deleting, silent: ['h1'] });
    expect(planned.deletes).toContain('vms/crm/web-0');
    expect(planned.deletes).not.toContain('vms/crm/db');
  });
});

describe('a goal', () => {
  const endpoints = {
    http: { type: 'input' as const, protocol: 'http' as const, port: 80, targetPort: 8080, from: [] },
  };
  const application = anApplication('crm', { roles: { web: aRole({ instances: 2, endpoints }) } });
  const vms = [web(0), web(1, { state: 'booting', host: 'h1' })];
  const world = {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    applications: new Map([['crm', application]]),
    networks: new Map([
      ['crm/web', { id: 'crm/web', number: 1, cidr: '10.128.0.0/22', gateway: '10.128.0.1', addresses: {} }],
    ]),
    tombstones: new Map(),
    hosts: new Map(),
    vms: new Map(),
    backups: new Map(),
  };
  const goalWith = (records: readonly VmRecord[]) =>
    goalOf(
      'h1',
      records,
      () => peersOf(application, new Map(records.map((record) => [record.id, record]))),
      world,
    );

  test('names the host’s VMs, their leases, and only ready peers', () => {
    const goal = goalWith(vms);
    expect(goal.vms.map(({ id }) => id)).toEqual(['crm/web-0', 'crm/web-1']);
    expect(goal.vms[0]?.peers).toEqual({ 'web/http': ['10.128.0.10:8080'] });
    const mac = '52:54:0a:80:00:0a';
    expect(goal.networks[0]?.leases).toEqual([
      { vmId: 'crm/web-0', mac, address: '10.128.0.10', address6: 'fd5e:ed00:0:1::a', hostname: 'web-0' },
      { vmId: 'crm/web-1', mac, address: '10.128.0.11', address6: 'fd5e:ed00:0:1::b', hostname: 'web-1' },
    ]);
  });

  test('is the same when nothing that concerns the host has changed', () => {
    const later = vms.map((vm) => ({
      ...vm,
      attempt: vm.attempt + 1,
      stateSinceMs: 9,
      tasks: [],
      failures: 3,
    }));
    expect(goalWith([...later].reverse())).toEqual(goalWith(vms));
  });

  test('leaves out what is going, and lets it go without quarantine', () => {
    const goal = goalWith([web(0, { deleting: true, incarnation: 3 })]);
    expect(goal.vms).toEqual([]);
    expect(goal.tombstones).toEqual([{ id: 'crm/web-0', upToIncarnation: 3 }]);
  });
});

describe('what an older store has forgotten', () => {
  const withMachine: ApplicationArguments = ['crm', { roles: {}, machines: { db: aMachine() } }];

  test('a machine goes on where its disk was found, above the incarnation that its host knows', () => {
    const planned = plannedFor({ application: withMachine, strangers: { h3: ['crm/db', 7] } });
    expect(vmIn(planned, 'crm/db')).toMatchObject({ state: 'placing', host: 'h3', incarnation: 8 });
    expect(planned.events.map(({ message }) => message)).toContain(
      'incarnation 8 on h3: its disk was found on h3 and is adopted',
    );
  });

  test('a machine whose host is full waits for it and goes nowhere else', () => {
    const planned = plannedFor({
      application: withMachine,
      hosts: { h1: {}, h2: { memoryMiB: 64 } },
      strangers: { h2: ['crm/db', 1] },
    });
    expect(vmIn(planned, 'crm/db')).toMatchObject({ state: 'pending', host: null });
  });

  test('two disks of one machine are for a person to choose from', () => {
    const planned = plannedFor({
      application: withMachine,
      strangers: { h1: ['crm/db', 2], h3: ['crm/db', 1] },
    });
    const vm = vmIn(planned, 'crm/db');
    expect(vm).toMatchObject({ state: 'backing-off', host: null, failure: { code: 'conflict' } });
    expect(vm?.failure?.message).toContain('were found on h1 and on h3');
  });

  test.each([
    ['an instance', web(0), aReport({ newerFound: 9 })],
    ['a machine', db({ host: 'h1', address: '10.128.4.10' }), aReport({ id: 'crm/db', newerFound: 9 })],
  ])('%s that runs at a newer incarnation is taken above it, on its host', (_what, vm, report) => {
    const planned = plannedFor({
      application: ['crm', { roles: { web: WEB }, machines: { db: aMachine() } }],
      vms: [{ ...vm, state: 'booting' }],
      reports: { h1: [{ ...report, phase: 'queued' }] },
    });
    expect(vmIn(planned, vm.id)).toMatchObject({ state: 'placing', host: 'h1', incarnation: 10 });
  });
});
