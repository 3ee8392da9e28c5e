import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  Connection,
  DomainMetadataType,
  InterfaceAddressesSource,
  ListDomainsFlag,
  ListNetworksFlag,
  NetworkUpdateCommand,
  NetworkUpdateSection,
} from '../src/index.ts';
import { testMachineXml } from './support/guest-xml.ts';
import { Heard } from './support/heard.ts';

/** Every call that libvirt's test driver answers; guest.test.ts has those that need a machine. */

let connection: Connection;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'node-libvirt-calls-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  connection = await Connection.open('test:///default');
});
afterEach(() => connection.close());

test('the connection tells what it is', async () => {
  const versions = await connection.getVersions();
  expect(versions.type).toBe('TEST');
  expect(versions.client).toBeGreaterThanOrEqual(9_000_000);
  expect(await connection.getUri()).toBe('test:///default');
  expect(await connection.getHostname()).not.toBe('');
  expect(await connection.getCapabilities()).toMatch(/^<capabilities>/);
  expect(await connection.getNodeInfo()).toMatchObject({ cpus: 16, sockets: 2, threadsPerCore: 2 });
  expect(await connection.isAlive()).toBe(true);
  expect(await connection.setKeepAlive({ intervalSeconds: 5, count: 3 })).toBe(false);
  expect(connection.unsupportedEvents).toEqual([]);
});

test('a read-only connection refuses to write', async () => {
  const reader = await Connection.open('test:///default', { readOnly: true });
  await expect(reader.defineDomain(testMachineXml('refused'))).rejects.toMatchObject({
    codeName: 'VIR_ERR_OPERATION_DENIED',
  });
  expect(await reader.listAllDomains()).toHaveLength(1);
  await reader.close();
});

test('a driver that does not exist is refused with libvirt’s words', async () => {
  await expect(Connection.open('nosuch:///system')).rejects.toMatchObject({ name: 'LibvirtError' });
});

test('domains are looked up by name, uuid and id, and listed by filter', async () => {
  const defined = await connection.defineDomain(testMachineXml('found'));
  expect((await connection.lookupDomainByName('found')).uuid).toBe(defined.uuid);
  expect((await connection.lookupDomainByUuid(defined.uuid)).name).toBe('found');
  expect(await defined.id()).toBeNull();
  await defined.create();
  const id = await defined.id();
  expect((await connection.lookupDomainById(id ?? -1)).name).toBe('found');
  const names = async (flags: number) =>
    (await connection.listAllDomains(flags)).map((each) => each.name).sort();
  expect(await names(0)).toEqual(['found', 'test']);
  expect(await names(ListDomainsFlag.INACTIVE)).toEqual([]);
  await defined.destroy();
  expect(await names(ListDomainsFlag.INACTIVE)).toEqual(['found']);
  expect([await defined.isActive(), await defined.isPersistent()]).toEqual([false, true]);
  await defined.undefine();
  await expect(defined.getXML()).rejects.toMatchObject({ codeName: 'VIR_ERR_NO_DOMAIN' });
});

test('a transient domain is gone when it stops', async () => {
  const domain = await connection.createDomain(testMachineXml('transient'));
  expect(await domain.isPersistent()).toBe(false);
  expect(await domain.getInfo()).toMatchObject({ state: 'running', maximumMemoryKiB: 1_024n, cpus: 1 });
  await domain.destroy();
  await expect(domain.getState()).rejects.toMatchObject({ codeName: 'VIR_ERR_NO_DOMAIN' });
});

test('metadata is written, read, told and removed', async () => {
  const heard = new Heard(connection);
  const domain = await connection.lookupDomainByName('test');
  const { TITLE, DESCRIPTION, ELEMENT } = DomainMetadataType;
  const own = { uri: 'urn:example:own', key: 'own' };
  expect(await domain.getMetadata(TITLE)).toBeNull();
  await domain.setMetadata(TITLE, 'a title');
  await domain.setMetadata(DESCRIPTION, 'words, Ωμέγα');
  await domain.setMetadata(ELEMENT, '<mark id="1"/>', own);
  expect(await domain.getMetadata(TITLE)).toBe('a title');
  expect(await domain.getMetadata(DESCRIPTION)).toBe('words, Ωμέγα');
  expect(await domain.getMetadata(ELEMENT, own)).toMatch(/<mark.*id="1"/);
  await domain.setMetadata(ELEMENT, null, own);
  expect(await domain.getMetadata(ELEMENT, own)).toBeNull();
  await heard.first('metadata-change', (event) => event.type === 'element' && event.uri === own.uri);
  expect(heard.of('metadata-change').map((event) => event.type)).toEqual([
    'title',
    'description',
    'element',
    'element',
  ]);
});

test('autostart, save and restore, managed save, screenshot', async () => {
  const domain = await connection.defineDomain(testMachineXml('kept'));
  await domain.setAutostart(true);
  expect(await domain.getAutostart()).toBe(true);
  await domain.setAutostart(false);
  await domain.create();
  const path = join(folder, 'saved');
  await domain.save(path);
  expect(await domain.getState()).toMatchObject({ state: 'shutoff', reason: 'saved' });
  await connection.restoreDomain(path);
  expect(await domain.getState()).toMatchObject({ state: 'running', reason: 'restored' });
  await domain.reset();
  expect(await domain.hasManagedSave()).toBe(false);
  await domain.managedSave();
  expect(await domain.hasManagedSave()).toBe(true);
  await domain.removeManagedSave();
  expect(await domain.hasManagedSave()).toBe(false);
  await domain.create();
  const { mimeType, data } = await domain.screenshot();
  expect([mimeType, data.subarray(1, 4).toString()]).toEqual(['image/png', 'PNG']);
  await domain.destroy();
  await domain.undefine();
});

test('networks are made, changed, told and removed', async () => {
  const heard = new Heard(connection);
  const network = await connection.defineNetwork(
    `<network><name>made</name><bridge name='made0'/><ip address='10.9.9.1' netmask='255.255.255.0'><dhcp/></ip></network>`,
  );
  expect([await network.isActive(), await network.isPersistent()]).toEqual([false, true]);
  await network.create();
  await network.setAutostart(true);
  expect(await network.getAutostart()).toBe(true);
  expect(await network.getBridgeName()).toBe('made0');
  await network.update(
    NetworkUpdateCommand.ADD_FIRST,
    NetworkUpdateSection.IP_DHCP_HOST,
    `<host mac='52:54:00:00:00:01' ip='10.9.9.9'/>`,
  );
  expect(await network.getXML()).toContain('10.9.9.9');
  const active = await connection.listAllNetworks(ListNetworksFlag.ACTIVE);
  expect(active.map((each) => each.name).sort()).toEqual(['default', 'made']);
  expect((await connection.lookupNetworkByName('made')).uuid).toBe(network.uuid);
  expect((await connection.lookupNetworkByUuid(network.uuid)).name).toBe('made');
  await network.destroy();
  await network.undefine();
  await heard.first('network-lifecycle', (event) => event.type === 'undefined');
  expect(heard.of('network-lifecycle').map((event) => `${event.network.name} ${event.type}`)).toEqual([
    'made defined',
    'made started',
    'made stopped',
    'made undefined',
  ]);
  const transient = await connection.createNetwork(
    `<network><name>brief</name><bridge name='brief0'/></network>`,
  );
  expect(await transient.isPersistent()).toBe(false);
  await transient.destroy();
});

test('addresses of a machine’s interfaces', async () => {
  const xml = testMachineXml('addressed').replace(
    '</domain>',
    `<devices><interface type='network'><mac address='52:54:00:00:00:02'/><source network='default'/></interface></devices></domain>`,
  );
  const domain = await connection.createDomain(xml);
  const [card] = await domain.getInterfaceAddresses(InterfaceAddressesSource.LEASE);
  expect(card).toMatchObject({ mac: '52:54:00:00:00:02', addresses: [{ type: 'ipv4', prefix: 24 }] });
  await domain.destroy();
});

test('what the driver does not have is refused, not invented', async () => {
  const domain = await connection.lookupDomainByName('test');
  const unsupported = { codeName: 'VIR_ERR_NO_SUPPORT' };
  await expect(domain.qemuMonitorCommand('{"execute":"query-status"}')).rejects.toMatchObject(unsupported);
  await expect(domain.qemuAgentCommand('{"execute":"guest-ping"}')).rejects.toMatchObject(unsupported);
  await expect(connection.getDomainCapabilities()).rejects.toMatchObject(unsupported);
  const network = await connection.lookupNetworkByName('default');
  await expect(network.getDhcpLeases()).rejects.toMatchObject(unsupported);
  // The stream that was made for it is freed with the error already copied.
  await expect(domain.openConsole()).rejects.toMatchObject(unsupported);
});
