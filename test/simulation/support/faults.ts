import type { Random } from './random.ts';
import type { Simulation } from './simulation.ts';

const published = (port: number, isPublished: boolean) =>
  isPublished ? `, http: {type: input, protocol: tcp, port: ${port}, drain: 10s}` : '';

/** The application that faults are asked of: stateless roles, a machine on its host's own pool, one on the shared pool, and whom they serve. */
export const model = (workers: number, version: number, webs = 2, isPublished = false): string => `
apiVersion: weft/v1
kind: Application
name: shop
roles:
  web: {kind: worker, image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: 256MiB}, instances: ${webs}, env: {VERSION: "${version}"}, endpoints: {api: {type: internal, port: 8080, from: [reports]}${published(80, isPublished)}}}
  reports: {kind: worker, image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: 256MiB}, instances: ${workers}, mesh: true, endpoints: {log: {type: internal, protocol: udp, port: 514}}}
machines:
  db: {image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: 256MiB}, endpoints: {sql: {type: internal, port: 5432, from: [web, machines]}${published(90, isPublished)}}}
  san: {image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: 256MiB}, pool: san}
`;
/** To be added to it: a machine in Ceph. */
export const MACHINE_IN_CEPH =
  '  vol: {image: "tiny:stable", size: {cpus: 1, memory: 128MiB, disk: 256MiB}, pool: ceph}\n';
export const MACHINES = ['shop/db', 'shop/san'] as const;

/** The application grows with the fabric: so many times what a few hosts have. */
export const growthOf = (hosts: number): number => Math.max(1, Math.floor(hosts / 5));

type Fault = (simulation: Simulation, random: Random) => Promise<void> | void;

/** Whatever can go wrong, and whatever users ask for meanwhile. */
export const FAULTS = {
  'power off': ({ hosts }, random) => random.pick(hosts)?.powerOff(),
  'power on': ({ hosts }, random) => random.pick(hosts.filter((host) => !host.powered))?.powerOn(),
  cut: ({ hosts }, random) => {
    const host = random.pick(hosts);
    if (host) host.cut = true;
  },
  deaf: ({ hosts }, random) => {
    const host = random.pick(hosts);
    if (host) host.deaf = true;
  },
  mute: ({ hosts }, random) => {
    const host = random.pick(hosts);
    if (host) host.mute = true;
  },
  pause: ({ hosts }, random) => random.pick(hosts)?.pause(),
  mend: (simulation) => {
    for (const host of simulation.hosts) simulation.mend(host);
  },
  'agent killed': (simulation, random) => {
    const host = random.pick(simulation.hosts.filter(({ powered }) => powered));
    if (host) simulation.restartAgent(host);
  },
  'agent forgets everything': (simulation, random) => {
    const host = random.pick(simulation.hosts.filter(({ powered }) => powered));
    if (host) simulation.makeForget(host);
  },
  'frames late': ({ hosts }, random) => {
    const host = random.pick(hosts);
    if (host) host.weather.lateMs = random.between(100, 3_000);
  },
  'frames twice': ({ hosts }, random) => {
    const host = random.pick(hosts);
    if (host) host.weather.duplicated = true;
  },
  'clock jumps': ({ hosts }, random) => {
    const host = random.pick(hosts);
    if (host) host.skewMs = random.between(-30_000, 30_000);
  },
  'pool full': ({ hosts }, random) => random.pick(hosts)?.fillPool(true),
  'pools have room': ({ hosts }) => {
    for (const host of hosts) host.fillPool(false);
  },
  'controller dies in a transaction': (simulation, random) =>
    simulation.crashInTransaction(random.chance(0.5) ? 'before' : 'after'),
  'controller paused': ({ controller }) => controller?.pause(),
  'controller goes on': ({ controller }) => controller?.resume(),
  'controller killed': (simulation) => simulation.killController(),
  'controller started': (simulation) => simulation.startController(),
  'fence device broken': ({ power, hosts }, random) => {
    power.broken.add(random.pick(hosts)?.name ?? 'h1');
  },
  'fence devices mended': ({ power }) => power.broken.clear(),
  /** An honest one: signs for what is off. */
  'operator signs': async ({ operations, hosts }, random) => {
    const host = random.pick(hosts.filter(({ powered }) => !powered));
    if (host) await operations.confirmDead(host.name, 'operator');
  },
  scale: async ({ operations, hosts }, random) => {
    const role = random.pick(['web', 'reports']) ?? 'web';
    await operations.scale('shop', role, random.between(0, 5) * growthOf(hosts.length));
  },
  apply: async ({ operations, hosts, alsoDeclared, edges }, random) => {
    const growth = growthOf(hosts.length);
    const declared = model(random.between(1, 4) * growth, random.between(1, 3), 2 * growth, edges);
    await operations.apply('shop', declared + alsoDeclared, {});
  },
  drain: ({ operations, hosts }, random) => operations.setDraining(random.pick(hosts)?.name ?? 'h1', true),
  'drain cold': ({ operations, hosts }, random) =>
    operations.setDraining(random.pick(hosts)?.name ?? 'h1', true, { mode: 'cold' }),
  undrain: ({ operations, hosts }, random) => operations.setDraining(random.pick(hosts)?.name ?? 'h1', false),
  reimage: ({ operations }, random) => operations.reimage(`shop/web-${random.between(0, 1)}`),
  reboot: ({ operations }, random) => operations.reboot(random.pick(MACHINES) ?? 'shop/db'),
  move: ({ operations }, random) => operations.move(`shop/reports-${random.between(0, 3)}`, null),
  'move machine': ({ operations }) => operations.move('shop/san', null, { mode: 'cold' }),
  'move machine while it runs': ({ operations }, random) =>
    operations.move('shop/san', null, { mode: random.chance(0.5) ? 'live' : 'auto' }),
  'move machine with its disk': ({ operations }) => operations.move('shop/db', null, { copies: true }),
  'drain with disks': ({ operations, hosts }, random) =>
    operations.setDraining(random.pick(hosts)?.name ?? 'h1', true, { copies: true }),
  'stay where it is': ({ operations }, random) => operations.abortMove(random.pick(MACHINES) ?? 'shop/san'),
  wall: ({ hosts }, random) => {
    const host = random.pick(hosts);
    if (host) host.walled = true;
  },
  'storage does not answer': ({ storage }) => {
    storage.broken = true;
  },
  'storage answers': ({ storage }) => {
    storage.broken = false;
  },
  'libvirt killed': ({ hosts }, random) => random.pick(hosts)?.stopLibvirt(),
  'libvirt started': ({ hosts }) => {
    for (const host of hosts) host.startLibvirt();
  },
  'delete machine': async (simulation, random) => {
    const id = random.pick(MACHINES) ?? 'shop/db';
    simulation.allowDiskRemoval([id]);
    await simulation.operations.deleteMachine(id);
  },
} satisfies Record<string, Fault>;
export type FaultName = keyof typeof FAULTS;
