import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { composeKnotConfiguration, filesOf } from '../../../agent/names/knot-configuration.ts';
import { composeZone } from '../../../agent/names/zone.ts';
import { serviceAddress } from '../../../agent/network/addresses.ts';
import type { RouterPart } from '../../../agent/network/router-part.ts';
import type { NamesGoal } from '../../../agent/protocol/index.ts';
import { endAll } from '../../support/namespace-processes.ts';
import { waitFor } from '../../support/wait-for.ts';
import { aGuest, gatewayOf, HOSTS, partOf, routerOf } from './fleet.ts';
import { Stage } from './stage.ts';

const ZONE = 'weft.internal';
const NAME = `web.crm.${ZONE}`;
/** What each name server says of the same name, so that an answer tells whose it is. */
const SAID: Readonly<Record<string, string>> = { h2: '10.9.9.2', h3: '10.9.9.3' };
const LIMIT_MS = 120_000;

const stage = new Stage();
const web = aGuest('crm/web', 0, 'h1');
const servers = ['h2', 'h3'].map((host) => routerOf(host).address);
let folder: string;

const namesOf = (host: string): NamesGoal => ({
  ...{ zone: ZONE, ttlSeconds: 0 },
  records: [{ name: 'web.crm', type: 'A', data: SAID[host] ?? '' }],
});

/** The second and the third host serve names; the first one's guests ask the second, then the third. */
function goalOf(host: string): RouterPart {
  const { router, ...part } = partOf(host, [web]);
  return {
    ...part,
    ...(SAID[host] && { names: namesOf(host) }),
    ...(router && { router: { ...router, resolver: { zone: ZONE, servers } } }),
  };
}

const cidr = goalOf('h1').backbone?.cidr ?? '';

async function startKnot(host: string): Promise<void> {
  const own = join(folder, host);
  await mkdir(own);
  const { address } = routerOf(host);
  const listen = [{ address, port: 53 }];
  const { configuration, zone } = filesOf(own);
  await writeFile(
    configuration,
    composeKnotConfiguration({ folder: own, zone: ZONE, listen, user: null, routers: [cidr] }),
  );
  await writeFile(zone, composeZone(namesOf(host), [address], 1));
  await stage.run(host, ['knotd', '-c', configuration, `--daemonize=${own}`]);
}

/** As libvirt's does for a subnet. */
const startResolver = () =>
  stage.run('h1', [
    ...['dnsmasq', '--conf-file=/dev/null', '--no-hosts', '--no-resolv', '--bind-interfaces', '--user=root'],
    ...[`--listen-address=${gatewayOf(web.role)}`, `--pid-file=${folder}/dnsmasq`, '--cache-size=0'],
    `--server=/${ZONE}/${serviceAddress(cidr)}`,
  ]);

/** The answer; nothing where there is none. */
const ask = async (where: string, ...how: readonly string[]): Promise<string> => {
  const words = ['kdig', ...how, NAME, 'A', '+short', '+timeout=2', '+retry=0'];
  return (await stage.run(where, words).catch(() => '')).trim();
};
const guestAsks = () => ask(web.id, `@${gatewayOf(web.role)}`);
/** One who asks from the same port again and again: to the kernel all of it is one connection. */
const steadyAsks = () => ask('h1', '-b', `${routerOf('h1').address}#40000`, `@${serviceAddress(cidr)}`);
const answers = (asks: () => Promise<string>, host: string) =>
  waitFor(`${host} to be asked`, asks, (said) => said === SAID[host], LIMIT_MS, 200);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-resolver-'));
  await stage.open();
  // They have the ports that name servers need.
  await Promise.all(HOSTS.map((host) => stage.host(host).programs.end()));
  const apply = (host: string) => stage.host(host).router.ask({ do: 'apply', part: goalOf(host) });
  await Promise.all(HOSTS.map(apply));
  await stage.addGuest(web);
  await Promise.all(HOSTS.map(apply));
  await Promise.all(Object.keys(SAID).map(startKnot));
  await startResolver();
  await stage.host('h1').router.ask({ do: 'watch' });
});
afterAll(async () => {
  await Promise.all(HOSTS.map((host) => endAll(stage.namespace(host)).catch(() => undefined)));
  await stage.close();
  await rm(folder, { recursive: true, force: true });
});

test('the death of the name server that guests ask leads them to the next, and its return leads them back', async () => {
  await answers(guestAsks, 'h2');
  await answers(steadyAsks, 'h2');
  await stage.run('h2', ['ip', 'link', 'set', 'eth0', 'down']);
  await answers(guestAsks, 'h3');
  await answers(steadyAsks, 'h3');
  await stage.run('h2', ['ip', 'link', 'set', 'eth0', 'up']);
  await answers(guestAsks, 'h2');
  expect(await guestAsks()).toBe(SAID.h2);
});
