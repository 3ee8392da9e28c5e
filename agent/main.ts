import { FrozenGuests } from './backups/frozen-guests.ts';
import { BackupKeeper } from './backups/keeper.ts';
import { BackupTargets } from './backups/targets.ts';
import { type AgentConfiguration, readConfiguration } from './configuration.ts';
import { DiskCopies } from './disks/disk-copies.ts';
import { FileBlobCache } from './disks/file-blob-cache.ts';
import { PoolPeersBook } from './disks/pool-peers.ts';
import { PoolWatch } from './disks/pool-watch.ts';
import type { Executor } from './executor/executor.ts';
import { HostReboot } from './executor/host-reboot.ts';
import { Landings } from './executor/landings.ts';
import { poolSecret, secretPrefix } from './executor/names.ts';
import { AgentPaths } from './executor/paths.ts';
import { LocalVmFolders } from './executor/vm-folders.ts';
import { bootTimeMs } from './guard/boot-time.ts';
import { releaseGuard } from './guard/lease-keeper.ts';
import { GuardFolder } from './guard/notes.ts';
import { findAccelerator } from './hypervisor/accelerator.ts';
import { LibvirtDriver } from './hypervisor/libvirt/libvirt-driver.ts';
import { GuestAddressing } from './ipv6/guest-addressing.ts';
import { systemClock } from './kit/clock.ts';
import { WeftError } from './kit/errors.ts';
import { exec } from './kit/exec.ts';
import { createLogger, type Logger } from './kit/log.ts';
import { ArrivalDoor } from './migrations/direct/arrival-door.ts';
import { MigrationDialler } from './migrations/direct/dialler.ts';
import type { MigrationKeeper } from './migrations/keeper.ts';
import { withNames } from './names/edge-part.ts';
import { GuestConnections } from './network/guest-connections.ts';
import { KeptPart } from './network/kept-part.ts';
import { watchKernel } from './network/kernel-monitor.ts';
import { KernelTunnel } from './network/kernel-tunnel.ts';
import { NftHostNetwork } from './network/nft-host-network.ts';
import { TunnelAbility } from './network/tunnel-ability.ts';
import { collectFacts, hasCpuQuota, readBootId } from './observer/facts.ts';
import { Observer } from './observer/observer.ts';
import { dialBytes } from './session/bytes.ts';
import { HttpsLink } from './session/https-link.ts';
import { identify } from './session/identify.ts';
import { IdentityFolder } from './session/identity.ts';
import { renewWhenDue } from './session/renewal.ts';
import { Session } from './session/session.ts';
import type { Base } from './wiring/base.ts';
import { readCommandLine, USAGE } from './wiring/command-line.ts';
import { createDoctor } from './wiring/doctor.ts';
import { createEdge, isInstalled, missingForEdge, offersEdge, sharedAddresses } from './wiring/edge.ts';
import { endServers } from './wiring/end-servers.ts';
import { createExecutor } from './wiring/executor.ts';
import { createLeaseKeeper, leaseOf } from './wiring/guard.ts';
import { HeldIdentity } from './wiring/held-identity.ts';
import { composeHello } from './wiring/hello.ts';
import { createMigrations } from './wiring/migrations.ts';
import { createNames } from './wiring/names.ts';
import { Offers, POOLS_EVERY_MS } from './wiring/offers.ts';
import { disksOf, filePoolsOf, rbdPoolsOf } from './wiring/pools.ts';
import { Removal } from './wiring/removal.ts';
import { streamServer } from './wiring/streams.ts';
import { lookWith, UnderlayWatch } from './wiring/underlay.ts';

/** Of a connection to the controller for bytes. */
const DIAL_LIMIT_MS = 20_000;
/** Of the program that boots this host anew; it begins it, and ends. */
const REBOOT_LIMIT_MS = 120_000;

async function main(): Promise<void> {
  const values = readCommandLine();
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const log = createLogger('weft-agent');
  const configuration = await readConfiguration(values.config);
  const paths = new AgentPaths(configuration.stateFolder);
  if (values['end-servers']) {
    const { names, advertisements } = paths;
    return endServers({ stateFolder: configuration.stateFolder, names, advertisements }, systemClock);
  }
  const identities = new IdentityFolder(paths.identity);
  const joined = await identify(identities, configuration.name, values['join-file'] ?? null, log);
  const poolName = values['init-pool'];
  if (poolName !== undefined) {
    const targets = new BackupTargets(configuration.backups, filePoolsOf(configuration), joined.fleet);
    const id =
      (await targets.init(poolName)) ??
      (await disksOf(configuration, paths).initPool(poolName, joined.fleet));
    process.stdout.write(`pool ${poolName}: ${id}\n`);
    return;
  }
  const identity = { ...joined, controller: values.controller ?? joined.controller };
  await run({ log, configuration, paths, identity: new HeldIdentity(identities, identity) });
}

interface Parts {
  readonly log: Logger;
  readonly configuration: AgentConfiguration;
  readonly paths: AgentPaths;
  readonly identity: HeldIdentity;
}

async function run({ log, configuration, paths, identity }: Parts): Promise<void> {
  const clock = systemClock;
  const { fleet, hostName } = identity.current;
  const bootId = await readBootId();
  const [accelerator, cpuQuota] = await Promise.all([
    findAccelerator({ cacheFile: paths.accelerator, bootId, override: process.env.WEFT_ACCELERATOR }),
    hasCpuQuota(),
  ]);
  const facts = await collectFacts(accelerator);
  const disks = disksOf(configuration, paths);
  const filePools = filePoolsOf(configuration);
  await disks.preparePools(fleet);
  const watch = new PoolWatch({
    disks,
    pools: filePools,
    blobFolder: paths.blobs,
    everyMs: Math.min(POOLS_EVERY_MS, configuration.doctor.everyMs),
    clock,
    log,
  });
  const peers = new PoolPeersBook({
    host: hostName,
    pools: filePools,
    nowMs: bootTimeMs,
    clock,
    log,
  });
  watch.onSeen(({ pools: seen }) => peers.follow(seen));
  const targets = new BackupTargets(configuration.backups, filePools, fleet);
  const offers = new Offers(watch, targets);
  await offers.lookFirst();

  const link = new HttpsLink(() => identity.current);
  const cache = new FileBlobCache({ folder: paths.blobs, source: link, clock, log });
  const driver = new LibvirtDriver({
    uri: configuration.libvirtUri,
    fleet,
    abilities: { accelerator: accelerator.kind, cpuQuota },
    log,
  });
  const base: Base = { configuration, fleet, driver, disks, cache, paths, clock, log };
  const onChange = () => observer.changed();
  const tunnelSettings = { maker: configuration.wireguard, keyFile: paths.tunnelKey };
  const tunnel = new KernelTunnel(tunnelSettings, log);
  const ability = new TunnelAbility(fleet, tunnelSettings, () => tunnel.problem);
  const underlay = new UnderlayWatch({
    ...{ fleet, clock, log },
    lookAt: lookWith(ability),
    file: paths.underlay,
    address: configuration.underlay ?? null,
    controller: () => identity.current.controller,
    shared: () => sharedAddresses(configuration),
    devices: configuration.fence.flatMap(({ options }) =>
      [options.ip, options.ipaddr].flatMap((each) =>
        (each ?? '').split(',').flatMap((name) => name.trim() || []),
      ),
    ),
  });
  await underlay.start();
  const addressing = new GuestAddressing({
    folder: paths.advertisements,
    isInstalled: () => isInstalled('radvd'),
    ...{ clock, log, onChange },
  });
  const network = new NftHostNetwork({
    log,
    guarded: async () => underlay.latest.guarded,
    onMissing: (bridges) => executor.remakeBridges(bridges),
    isMaking: (bridge) => executor.isMakingBridge(bridge),
    never: () => underlay.latest.never,
    kept: new KeptPart({ file: paths.router, fleet, bootId, log }),
    ...{ tunnel, addressing },
    guestConnections: new GuestConnections({ log, ...configuration.connections }),
  });
  const backups = new BackupKeeper({
    fleet,
    host: configuration.name,
    driver,
    targets,
    guests: new FrozenGuests({ driver: driver.backups, note: (vmId) => paths.frozen(vmId), clock, log }),
    clock,
    log,
    onChange,
  });
  const folders = new LocalVmFolders(paths);
  const guardFolder = new GuardFolder(configuration.guard.folder, bootId);
  const keeper = createLeaseKeeper(configuration, guardFolder, () => executor);
  const lease = keeper === null ? undefined : leaseOf(keeper, configuration);
  const copies = new DiskCopies(disks, configuration.name);
  const landings = new Landings();
  const executor: Executor = createExecutor(base, {
    ...{ accelerator, copies, landings, network, link, folders, backups, lease, onChange },
  });
  const doctor = createDoctor(base, { watch, network, executor, keeper, onChange });
  const dial = (path: string) => dialBytes(identity.current, path, DIAL_LIMIT_MS);
  const door = new ArrivalDoor({
    listen: configuration.migration.listen,
    ownAddress: () => session.ownAddress,
    identity: () => identity.current,
    connect: (id, incarnation, channel) => migrations.connect(id, incarnation, channel, 'direct'),
    clock,
    log,
  });
  const dialler = new MigrationDialler({ identity: () => identity.current, relay: dial, clock, log });
  const migrations: MigrationKeeper = await createMigrations(base, {
    ...{ accelerator, copies, landings, folders, executor, lease, link, door, dialler, onChange },
  });
  const names = createNames(base, onChange);
  const edgeMissing = await missingForEdge();
  const edge = createEdge(base, {
    link,
    missing: edgeMissing,
    ownAddress: () => underlay.latest.offer?.address ?? null,
    onChange,
  });
  const observer: Observer = new Observer({
    bootId,
    cache,
    pools: () => watch.latest.pools,
    clock,
    vms: () => executor.report(),
    doctor: () => doctor.report(),
    backups: () => backups.report(),
    peers: () => peers.report(),
    migrations: () => migrations.report(),
    edge: () => withNames(edge.report(), names.report()),
    connections: () => network.connections,
    networkProblems: () => (addressing.problem === null ? [] : [addressing.problem]),
    send: (report) => session.send(report),
  });
  peers.onChanged(() => observer.changed());
  const hello = () =>
    composeHello({
      ...{ bootId, configuration, facts, keeper },
      underlay: underlay.latest.offer,
      identity: identity.current,
      goal: executor.goal,
      pools: offers.pools,
      backupTargets: offers.backups,
      edge: offersEdge(configuration, edgeMissing),
    });
  const removal = new Removal({ fleet, edge, names, network, log });
  const [rebootProgram = '', ...rebootArguments] = configuration.reboot;
  const hostReboot = new HostReboot({
    bootId,
    log,
    run: () => exec(rebootProgram, rebootArguments, { timeoutMs: REBOOT_LIMIT_MS }),
  });
  const session: Session = new Session({
    identity: () => identity.current,
    hello,
    clock,
    log,
    onWelcome: (welcome) => {
      log.info({ controller: identity.current.controller, epoch: welcome.epoch }, 'in session');
      removal.isIn();
      if (keeper === null && welcome.leases) releaseGuard(guardFolder);
      if (keeper !== null && !welcome.leases)
        log.error('this controller is too old for a guard: machines on shared pools are not started here');
    },
    beat: () => keeper?.beat() ?? null,
    onLease: (lease) => keeper?.granted(lease),
    onGoal: (goal) => {
      if (goal.epoch < identity.current.epoch) {
        log.warn({ epoch: goal.epoch }, 'a goal of an older epoch was refused');
        return;
      }
      identity.obey(goal.epoch);
      executor.setGoal(goal);
      hostReboot.follow(goal);
      if (!executor.goal) return;
      backups.follow(executor.goal);
      migrations.follow(executor.goal);
      names.follow(executor.goal);
      edge.follow(executor.goal.edge);
      peers.seek(executor.goal.unfound ?? {});
    },
    onOpenStream: streamServer({ fleet, driver, executor, paths, migrations, network, dial, identity, log }),
    onExamine: (request) => void doctor.lookNow(request),
    onHeartbeat: () => void observer.tell(),
    onRemoved: () => void removal.isOut(),
  });
  const stopRenewing = renewWhenDue({
    clock,
    log,
    identity: () => identity.current,
    renew: (csr) => link.renew(csr),
    onRenewed: (renewed) => identity.renewed(renewed),
  });
  backups.start();
  // Ceph's keys that libvirt still has, of pools that are in this host's configuration no more.
  const secrets = new Set(rbdPoolsOf(configuration).map(({ name }) => poolSecret(fleet, name).name));
  driver
    .forgetKeys(secretPrefix(fleet), secrets)
    .catch((error: unknown) => log.warn({ err: error }, 'secrets could not be looked through'));
  session.start();
  doctor.start();
  edge.start();
  const stopWatching = [
    offers.follow(clock, () => session.greet()),
    underlay.follow(() => session.greet()),
    network.watch(clock, (listener) => watchKernel(clock, listener)),
  ];

  const stop = () => {
    stopRenewing();
    for (const each of stopWatching) each();
    peers.close();
    session.close();
    doctor.close();
    backups.close();
    migrations.close();
    door.close();
    void Promise.all([executor.close(), names.close(), edge.close()])
      .then(() => driver.close())
      .finally(() => process.exit(0));
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
}

main().catch((thrown: unknown) => {
  const error = WeftError.from(thrown);
  process.stderr.write(`weft-agent: ${error.message}${error.remedy ? `\n  ${error.remedy}` : ''}\n`);
  process.exit(1);
});
