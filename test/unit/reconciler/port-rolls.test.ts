import { beforeEach, describe, expect, test } from 'vitest';
import type { Role } from '../../../controller/model/index.ts';
import type { Endpoint } from '../../../controller/model/service.ts';
import { edgeGoalOf } from '../../../controller/reconciler/edge-goals.ts';
import { flowsOf } from '../../../controller/reconciler/flows.ts';
import { formerAfter } from '../../../controller/reconciler/former-endpoints.ts';
import { peersOf } from '../../../controller/reconciler/goals.ts';
import { zoneFor } from '../../../controller/reconciler/names-goals.ts';
import { retiredAfter } from '../../../controller/reconciler/retired.ts';
import { ServedWorld } from '../../property/reconciler/served-world.ts';
import { SHARED_POOL } from '../../simulation/support/shared-pool.ts';
import { anApplication, aRole, AN_INPUT as HTTP } from '../../support/builders/application.ts';

const SQL = { type: 'internal', protocol: 'tcp', port: 5432, targetPort: 5432, from: ['web'] } as const;

let world: ServedWorld;

beforeEach(() => {
  world = new ServedWorld(3, { memoryMiB: 4096, pools: [{ ...SHARED_POOL, sizeMiB: 102_400 }] });
});

function declare(endpoints: Readonly<Record<string, Endpoint>>, over: Partial<Role> = {}): void {
  const known = world.planning.records.applications.get('crm') ?? null;
  const roles = { web: aRole({ instances: 2, endpoints, ...over }) };
  const made = anApplication('crm', { roles, machines: {} });
  const generation = (known?.generation ?? 0) + 1;
  world.planning.put('apps/crm', {
    ...{ ...made, generation, ...(known?.public ? { public: known.public } : {}) },
    ...retiredAfter(known, made.service),
    ...formerAfter(known, made.service),
  });
}

const application = () => {
  const found = world.planning.records.applications.get('crm');
  if (!found) throw new Error('there is none');
  return found;
};
const served = () => edgeGoalOf('h1', world.snapshot())?.endpoints ?? [];
const backends = () =>
  served().flatMap((endpoint) =>
    endpoint.backends.map(({ name, port, state, proxyProtocol }) =>
      [
        name,
        port,
        state,
        ...(proxyProtocol === undefined ? [] : [proxyProtocol ? 'proxy' : 'no proxy']),
      ].join(' '),
    ),
  );
const flows = () => flowsOf(application()).map(({ id, protocol, port }) => `${id} ${protocol} ${port}`);
const services = () =>
  zoneFor(world.snapshot())
    .records.filter(({ type }) => type === 'SRV')
    .map(({ name, data }) => `${name} ${data}`);

/** New instances do not come further than that. */
const holdNewOnes = () => {
  world.say = (vm) => (vm.incarnation > 1 ? { phase: 'starting' } : {});
};

describe('an endpoint that is answered elsewhere by new instances', () => {
  test('is served by old ones where they answer, until each is replaced', () => {
    declare({ http: HTTP });
    world.settle();
    holdNewOnes();
    declare({ http: { ...HTTP, targetPort: 9_090 } });
    world.settle();
    expect(backends()).toEqual(['web-0.1 8080 ready', 'web-1.1 8080 ready']);
    expect(flows()).toEqual(['crm/web/http tcp 9090', 'crm/web/http tcp 8080']);
    world.say = (vm) => (vm.id === 'crm/web-1' && vm.incarnation > 1 ? { phase: 'starting' } : {});
    world.sessions = () => 1;
    world.settle();
    expect(backends()).toEqual(['web-0.1 8080 draining', 'web-0.2 9090 ready', 'web-1.1 8080 ready']);
    world.say = () => ({});
    world.sessions = () => 0;
    world.settle();
    expect(backends()).toEqual(['web-0.2 9090 ready', 'web-1.2 9090 ready']);
    expect(flows()).toEqual(['crm/web/http tcp 9090']);
    expect(application()).not.toHaveProperty('former');
  });

  test('is so too when it is declared again before they are, also under another name', () => {
    declare({ http: HTTP });
    world.settle();
    holdNewOnes();
    declare({ http: { ...HTTP, targetPort: 9_090 } });
    world.settle();
    declare({ http: { ...HTTP, targetPort: 9_090 } }, { env: { A: '2' } });
    world.settle();
    declare({ site: { ...HTTP, targetPort: 7_070 } });
    world.settle();
    expect(backends()).toEqual(['web-0.1 8080 ready', 'web-1.1 8080 ready']);
    declare({ http: HTTP });
    world.settle();
    expect(application()).not.toHaveProperty('former');
    expect(flows()).toEqual(['crm/web/http tcp 8080']);
    expect(backends()).toEqual(['web-0.1 8080 ready', 'web-1.1 8080 ready']);
  });

  test('has a port of each instance at the load balancer: each is served where it answers', () => {
    const own = { ...HTTP, type: 'instance' } as const;
    declare({ http: own });
    world.settle();
    holdNewOnes();
    declare({ http: { ...own, targetPort: 9_090, protocol: 'tcp' } });
    world.settle();
    expect(served().map(({ id, port, protocol }) => `${id} ${port} ${protocol}`)).toEqual([
      'crm/web/http/0 80 tcp',
      'crm/web/http/1 81 tcp',
    ]);
    expect(backends()).toEqual(['web-0.1 8080 ready', 'web-1.1 8080 ready']);
  });

  test('is where each instance answers to others that are told of it', () => {
    const peers = () => Object.values(peersOf(application(), world.planning.records.vms)).flat();
    declare({ http: HTTP });
    world.settle();
    world.say = (vm) => (vm.id === 'crm/web-1' && vm.incarnation > 1 ? { phase: 'starting' } : {});
    declare({ http: { ...HTTP, targetPort: 9_090 } });
    world.settle();
    expect(peers()).toEqual(
      [`${world.vm('crm/web-0')?.address}:9090`, `${world.vm('crm/web-1')?.address}:8080`].sort(),
    );
  });

  test('is among the names with the port of each instance', () => {
    declare({ sql: SQL });
    world.settle();
    holdNewOnes();
    declare({ sql: { ...SQL, port: 5_433, targetPort: 5_433 } });
    world.settle();
    expect(services()).toEqual([
      '_sql._tcp.web.crm 0 10 5432 web-0.web.crm',
      '_sql._tcp.web.crm 0 10 5432 web-1.web.crm',
    ]);
    world.say = (vm) => (vm.id === 'crm/web-1' && vm.incarnation > 1 ? { phase: 'starting' } : {});
    world.settle();
    expect(services()).toEqual([
      '_sql._tcp.web.crm 0 10 5432 web-1.web.crm',
      '_sql._tcp.web.crm 0 10 5433 web-0.web.crm',
    ]);
  });
});

describe('while instances of two definitions are served', () => {
  const probed = (path: string, over: Partial<Endpoint> = {}): Endpoint => ({
    ...HTTP,
    probe: { check: { type: 'http', path }, intervalMs: 1_000, timeoutMs: 500 },
    ...over,
  });

  test('each is told of the client as it was made to be', () => {
    declare({ http: probed('/healthz') });
    world.settle();
    world.say = (vm) => (vm.id === 'crm/web-1' && vm.incarnation > 1 ? { phase: 'starting' } : {});
    declare({ http: probed('/healthz', { proxyProtocol: true }) });
    world.settle();
    expect(served().map(({ proxyProtocol }) => proxyProtocol)).toEqual([true]);
    expect(backends()).toEqual(['web-0.2 8080 ready', 'web-1.1 8080 ready no proxy']);
  });

  test('all are looked at by a connection, where they answer to different probes', () => {
    const check = () => served().map(({ probe }) => probe?.check);
    declare({ http: probed('/healthz') });
    world.settle();
    expect(check()).toEqual([{ type: 'http', path: '/healthz' }]);
    holdNewOnes();
    declare({ http: probed('/live') });
    world.settle();
    expect(check()).toEqual([{ type: 'tcp' }]);
    world.say = () => ({});
    world.settle();
    expect(check()).toEqual([{ type: 'http', path: '/live' }]);
  });

  test('what is no part of what they are made from is as it is declared now', () => {
    declare({ http: HTTP });
    world.settle();
    holdNewOnes();
    declare({ http: { ...HTTP, targetPort: 9_090, limit: { connections: 3 }, certificate: 'shop' } });
    world.settle();
    expect(served()).toMatchObject([{ limit: { connections: 3 }, certificate: 'shop' }]);
  });
});
