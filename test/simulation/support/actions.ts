import type { Simulation } from './simulation.ts';

type Action = (simulation: Simulation, to: string, how: string | number) => Promise<void> | void;

/** `web=2 db:local san:san`: roles with their instances, machines with their pools, which all serve each other. `version=N` changes what roles are made of. */
function modelOf(how: string, memoryMiB = 128): string {
  const words = how.split(' ').filter((word) => word !== '');
  const version = /version=(\d+)/.exec(how)?.[1] ?? '1';
  const size = `size: {cpus: 1, memory: ${memoryMiB}MiB, disk: 256MiB}`;
  const roles = words
    .filter((word) => word.includes('=') && !word.startsWith('version='))
    .map((word) => word.split('='))
    .map(
      ([role, count]) =>
        `  ${role}: {kind: worker, image: "tiny:stable", ${size}, instances: ${count}, env: {VERSION: "${version}"}, mesh: true, endpoints: {api: {type: internal, port: 80}}}`,
    );
  const machines = words
    .filter((word) => word.includes(':'))
    .map((word) => word.split(':'))
    .map(
      ([machine, pool]) =>
        `  ${machine}: {image: "tiny:stable", ${size}, pool: ${pool}, endpoints: {sql: {type: internal, port: 5432}}}`,
    );
  return [
    'apiVersion: weft/v1',
    'kind: Application',
    'name: shop',
    ...(roles.length > 0 ? ['roles:', ...roles] : []),
    ...(machines.length > 0 ? ['machines:', ...machines] : []),
  ].join('\n');
}

/** What a scenario's script may do. */
export const ACTIONS = {
  'power off': (simulation, to) => simulation.host(to).powerOff(),
  'power on': (simulation, to) => simulation.host(to).powerOn(),
  cut: (simulation, to) => {
    simulation.host(to).cut = true;
  },
  deaf: (simulation, to) => {
    simulation.host(to).deaf = true;
  },
  mute: (simulation, to) => {
    simulation.host(to).mute = true;
  },
  'pause host': (simulation, to) => simulation.host(to).pause(),
  mend: (simulation, to) => simulation.mend(simulation.host(to)),
  late: (simulation, to, ms) => {
    simulation.host(to).weather.lateMs = Number(ms);
  },
  duplicate: (simulation, to) => {
    simulation.host(to).weather.duplicated = true;
  },
  skew: (simulation, to, ms) => {
    simulation.host(to).skewMs = Number(ms);
  },
  renumber: (simulation, to) => simulation.host(to).renumber(),
  'kill agent': (simulation, to) => simulation.restartAgent(simulation.host(to)),
  'make agent forget': (simulation, to) => simulation.makeForget(simulation.host(to)),
  'fill pool': (simulation, to) => simulation.host(to).fillPool(true),
  'empty pool': (simulation, to) => simulation.host(to).fillPool(false),
  'break device': (simulation, to) => {
    simulation.power.broken.add(to);
  },
  'mend device': (simulation, to) => {
    simulation.power.broken.delete(to);
  },
  'mount copy': (simulation, to) => {
    const host = simulation.host(to);
    host.mountStorage(host.storage.copy());
  },
  'mount same': (simulation, to) => simulation.host(to).mountStorage(simulation.shared),
  'break storage': (simulation) => {
    simulation.storage.broken = true;
  },
  'mend storage': (simulation) => {
    simulation.storage.broken = false;
  },
  'kill controller': (simulation) => simulation.killController(),
  'start controller': (simulation) => simulation.startController(),
  'crash controller': (simulation, moment) =>
    simulation.crashInTransaction(moment === 'after' ? 'after' : 'before'),
  'pause controller': (simulation) => simulation.controller?.pause(),
  'resume controller': (simulation) => simulation.controller?.resume(),
  'lose store': (simulation) => simulation.loseStore(),
  apply: async ({ operations }, to) => {
    await operations.apply('shop', modelOf(to), {});
  },
  'apply big': async ({ operations }, to, memoryMiB) => {
    await operations.apply('shop', modelOf(to, Number(memoryMiB)), {});
  },
  scale: async ({ operations }, role, count) => {
    await operations.scale('shop', role, Number(count));
  },
  'delete machine': async (simulation, id) => {
    simulation.allowDiskRemoval([id]);
    await simulation.operations.deleteMachine(id);
  },
  'delete application': async (simulation) => {
    simulation.allowDiskRemoval(simulation.records.vms.map(({ id }) => id));
    await simulation.operations.deleteApplication('shop');
  },
  reimage: ({ operations }, id) => operations.reimage(id),
  reboot: ({ operations }, id) => operations.reboot(id),
  move: ({ operations }, id, host) => operations.move(id, host === '' ? null : String(host)),
  'move live': ({ operations }, id, host) =>
    operations.move(id, host === '' ? null : String(host), { mode: 'live' }),
  'move with disk': ({ operations }, id, host) =>
    operations.move(id, host === '' ? null : String(host), { copies: true }),
  'drain with disks': ({ operations }, host) => operations.setDraining(host, true, { copies: true }),
  wall: (simulation, to) => {
    simulation.host(to).walled = true;
  },
  'abort move': ({ operations }, id) => operations.abortMove(id),
  'kill libvirt': (simulation, to) => simulation.host(to).stopLibvirt(),
  'start libvirt': (simulation, to) => simulation.host(to).startLibvirt(),
  'move cold': ({ operations }, id, host) =>
    operations.move(id, host === '' ? null : String(host), { mode: 'cold' }),
  drain: ({ operations }, host) => operations.setDraining(host, true),
  'drain cold': ({ operations }, host) => operations.setDraining(host, true, { mode: 'cold' }),
  undrain: ({ operations }, host) => operations.setDraining(host, false),
  'confirm dead': ({ operations }, host) => operations.confirmDead(host, 'alice'),
  panic: (simulation, id) => failGuest(simulation, id, 'panic'),
  hang: (simulation, id) => failGuest(simulation, id, 'hang'),
  'power off guest': (simulation, id) => failGuest(simulation, id, 'power-off'),
} satisfies Record<string, Action>;

function failGuest(simulation: Simulation, id: string, how: 'panic' | 'hang' | 'power-off'): void {
  const host = simulation.hosts.find(({ domains }) => domains.has(id));
  host?.failGuest(id, how);
}
