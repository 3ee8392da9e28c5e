import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { FrozenGuests } from './backups/frozen-guests.ts';
import { BackupKeeper } from './backups/keeper.ts';
import { BackupTargets } from './backups/targets.ts';
import { type AgentConfiguration, readConfiguration } from './configuration.ts';
import type { PoolConfiguration, RbdPoolConfiguration } from './disks/contract.ts';
import { DiskCopies } from './disks/disk-copies.ts';
import { FileBlobCache } from './disks/file-blob-cache.ts';
import { LocalDisks } from './disks/local-disks.ts';
import { PoolPeersBook } from './disks/pool-peers.ts';
import { PoolWatch } from './disks/pool-watch.ts';
import { PooledDisks } from './disks/pooled-disks.ts';
import { RbdDisks } from './disks/rbd/rbd-disks.ts';
import { Doctor } from './doctor/doctor.ts';
import { bootsAtOnce } from './executor/boot-slots.ts';
import { readConsoleTail } from './executor/console-tail.ts';
import { diskKeyOf } from './executor/disk-key.ts';
import { Executor } from './executor/executor.ts';
import { HostReboot } from './executor/host-reboot.ts';
import { Landings } from './executor/landings.ts';
import { machinesToGuard } from './executor/machines-to-guard.ts';
import { domainName, poolSecret, secretPrefix } from './executor/names.ts';
import { type HostLease, withoutLease } from './executor/options.ts';
import { AgentPaths } from './executor/paths.ts';
import { LocalVmFolders } from './executor/vm-folders.ts';
import { bootTimeMs } from './guard/boot-time.ts';
import { LeaseKeeper, releaseGuard } from './guard/lease-keeper.ts';
import { GuardFolder } from './guard/notes.ts';
import { composeSeed } from './guest/seed.ts';
import { writeSeedIso } from './guest/seed-iso.ts';
import { createGuestSupervisor } from './guest/supervisor.ts';
import { findAccelerator } from './hypervisor/accelerator.ts';
import { LibvirtDriver } from './hypervisor/libvirt/libvirt-driver.ts';
import { systemClock } from './kit/clock.ts';
import { WeftError } from './kit/errors.ts';
import { exec } from './kit/exec.ts';
import { createLogger, type Logger } from './kit/log.ts';
import { repeat } from './kit/repeat.ts';
import { Arrivals } from './migrations/arrivals.ts';
import { Departures } from './migrations/departures.ts';
import { MigrationKeeper } from './migrations/keeper.ts';
import { libvirtSocket } from './migrations/libvirt-socket.ts';
import { serveMigration } from './migrations/serve.ts';
import { MigrationSockets } from './migrations/sockets.ts';
import { KernelLinks } from './network/host-links.ts';
import { NftHostNetwork } from './network/nft-host-network.ts';
import { collectFacts, hasCpuQuota, readBootId } from './observer/facts.ts';
import { Observer } from './observer/observer.ts';
import {
  COPIES_DISKS,
  fencedAddresses,
  type Hello,
  MIGRATES_LIVE,
  PROTOCOL_VERSION,
  PROVES_STOPS,
} from './protocol/index.ts';
import { dialBytes } from './session/bytes.ts';
import { HttpsLink } from './session/https-link.ts';
import { identify } from './session/identify.ts';
import { type Identity, IdentityFolder } from './session/identity.ts';
import { renewWhenDue } from './session/renewal.ts';
import { Session } from './session/session.ts';
import { serveStream } from './session/streams.ts';
import { AGENT_VERSION } from './version.ts';

const POOLS_EVERY_MS = 5_000;
/** Of a connection to the controller for bytes. */
const DIAL_LIMIT_MS = 20_000;
/** Of the program that boots this host anew; it begins it, and ends. */
const REBOOT_LIMIT_MS = 120_000;

const USAGE = `usage: weft-agent [--config FILE] [--join-file FILE] [--controller HOST:PORT] [--init-pool NAME]

  --config FILE           configuration, default /etc/weft/agent.yaml; it need not exist
  --join-file FILE        file with a join token from "weft host token"; each token is used once, also to join anew
  --controller HOST:PORT  where the controller is now, if it has moved since this host joined
  --init-pool NAME        make the folder of a shared pool (or place for backups, or a pool in Ceph) one, on one of the hosts that share it, and end
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      config: { type: 'string', default: '/etc/weft/agent.yaml' },
      'join-file': { type: 'string' },
      controller: { type: 'string' },
      'init-pool': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const log = createLogger('weft-agent');
  const configuration = await readConfiguration(values.config);
  const paths = new AgentPaths(configuration.stateFolder);
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
  await run({ log, configuration, paths, identities, identity });
}

interface Parts {
  readonly log: Logger;
  readonly configuration: AgentConfiguration;
  readonly paths: AgentPaths;
  readonly identities: IdentityFolder;
  readonly identity: Identity;
}

async function run({ log, configuration, paths, identities, ...joined }: Parts): Promise<void> {
  const clock = systemClock;
  let { identity } = joined;
  const { fleet } = identity;
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
    host: identity.hostName,
    pools: filePools,
    nowMs: bootTimeMs,
    log,
  });
  watch.onSeen(({ pools: seen }) => peers.follow(seen));
  let { pools } = await watch.look();
  const targets = new BackupTargets(configuration.backups, filePools, fleet);
  await targets.prepare();
  let backupTargets = await targets.offers();

  const link = new HttpsLink(() => identity);
  const cache = new FileBlobCache({ folder: paths.blobs, source: link, clock, log });
  const driver = new LibvirtDriver({
    uri: configuration.libvirtUri,
    fleet,
    abilities: { accelerator: accelerator.kind, cpuQuota },
    log,
  });
  const network = new NftHostNetwork();
  const backups = new BackupKeeper({
    fleet,
    host: configuration.name,
    driver,
    targets,
    guests: new FrozenGuests({ driver: driver.backups, note: (vmId) => paths.frozen(vmId), clock, log }),
    clock,
    log,
    onChange: () => observer.changed(),
  });
  const folders = new LocalVmFolders(paths);
  const sharedPools = configuration.pools.filter(({ kind }) => kind !== 'local');
  const guardFolder = new GuardFolder(configuration.guard.folder, bootId);
  const keeper = configuration.guard.enabled
    ? new LeaseKeeper({
        folder: guardFolder,
        bootTimeMs,
        leaseMs: configuration.guard.leaseMs,
        machines: () => machinesToGuard(executor.goal, configuration.guard.watchdog, sharedPools),
        onHeld: () => executor.wake(),
      })
    : null;
  const lease: HostLease | undefined = keeper
    ? {
        sharedPools: new Set(sharedPools.map(({ name }) => name)),
        isHeld: () => keeper.isHeld(),
        takeStopped: (domain) => keeper.takeStopped(domain),
      }
    : undefined;
  const copies = new DiskCopies(disks, configuration.name);
  const landings = new Landings();
  const executor: Executor = new Executor({
    fleet,
    driver,
    disks,
    copies,
    landings,
    cache,
    network,
    guest: createGuestSupervisor({ clock, log, sshLimitMs: configuration.sshLimitMs }),
    link,
    seed: { composeSeed, writeSeedIso },
    paths,
    folders,
    readBackup: (restore, file, signal) => backups.readBackup(restore, file, signal),
    clock,
    log,
    reapAfterMs: configuration.reapAfterMs,
    parallel: configuration.parallel,
    unreadyLimitMs: configuration.unreadyLimitMs,
    boots: configuration.boots ?? bootsAtOnce(accelerator.kind, cpus().length),
    ...(lease ? { lease } : {}),
    onChange: () => observer.changed(),
  });
  const doctor = new Doctor({
    fleet,
    host: configuration.name,
    pools: filePools,
    disks,
    watch,
    driver,
    cache,
    network,
    links: new KernelLinks(),
    paths,
    goal: () => executor.goal,
    busy: () => executor.busyVms(),
    ...(keeper === null ? {} : { guard: () => keeper.state() }),
    settings: configuration.doctor,
    clock,
    log,
    onLooked: () => executor.wake(),
    onChange: () => observer.changed(),
  });
  const sockets = new MigrationSockets();
  await sockets.sweep();
  const dial = (path: string) => dialBytes(identity, path, DIAL_LIMIT_MS);
  const migrations = new MigrationKeeper({
    driver,
    departures: (changed) =>
      new Departures({
        fleet,
        driver,
        sockets,
        filesOf: (vm, domain) => ({
          disk: domain.overlay ?? disks.path(diskKeyOf(vm)),
          seed: paths.seed(vm.id, vm.incarnation),
          console: paths.consoleLog(vm.id),
        }),
        dial: ({ id, incarnation }, channel) => dial(`/agent/v1/migrations/${id}/${incarnation}/${channel}`),
        limitMs: configuration.migration.limitMs,
        bandwidthMiBps: configuration.migration.bandwidthMiBps ?? null,
        clock,
        log,
        onChange: changed,
      }),
    arrivals: (changed) =>
      new Arrivals({
        fleet,
        driver,
        disks,
        copies,
        landings,
        cache,
        folders,
        paths,
        sockets,
        libvirtSocket: () => libvirtSocket(configuration.libvirtUri),
        networkReady: (vm) => executor.readyNetwork(vm),
        fetchSecrets: (vm, signal) => link.fetchSecrets(vm.id, vm.incarnation, signal),
        composeSeed,
        writeSeedIso,
        requireLease: ({ id, pool }) => {
          if (!withoutLease(lease).has(pool)) return;
          throw new WeftError('host-unreachable', `this host holds no lease for pool ${pool} of ${id}`);
        },
        clock,
        log,
        onChange: changed,
      }),
    copies,
    clock,
    log,
    onChange: () => observer.changed(),
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
    send: (report) => session.send(report),
  });
  const hello = (): Hello => ({
    type: 'hello',
    protocol: PROTOCOL_VERSION,
    hostName: identity.hostName,
    bootId,
    agentVersion: AGENT_VERSION,
    capabilities: [
      'console',
      'ssh',
      'console-log',
      'screenshot',
      'doctor',
      'backups',
      PROVES_STOPS,
      MIGRATES_LIVE,
      COPIES_DISKS,
    ],
    facts: { ...facts, notes: [...facts.notes, ...pools.flatMap(({ problem }) => problem ?? [])] },
    offer: {
      faultDomain: configuration.faultDomain,
      labels: configuration.labels,
      cpus: configuration.capacity.cpus,
      cpuRatio: configuration.cpuRatio,
      memoryMiB: configuration.capacity.memoryMiB,
      pools: pools.flatMap(({ name, kind, id, freeMiB, cluster }) =>
        id ? [{ name, kind, id, sizeMiB: freeMiB, ...(cluster === undefined ? {} : { cluster }) }] : [],
      ),
      backups: [...backupTargets],
      fence: configuration.fence,
    },
    fleet,
    epoch: identity.epoch,
    ...(keeper === null ? {} : { guard: keeper.state() }),
  });
  const [rebootProgram = '', ...rebootArguments] = configuration.reboot;
  const hostReboot = new HostReboot({
    bootId,
    log,
    run: () => exec(rebootProgram, rebootArguments, { timeoutMs: REBOOT_LIMIT_MS }),
  });
  const obey = (epoch: number) => {
    if (epoch <= identity.epoch) return;
    identity = { ...identity, epoch };
    void identities.write(identity);
  };
  const session: Session = new Session({
    identity: () => identity,
    hello,
    clock,
    log,
    onWelcome: (welcome) => {
      log.info({ controller: identity.controller, epoch: welcome.epoch }, 'in session');
      if (keeper === null && welcome.leases) releaseGuard(guardFolder);
      if (keeper !== null && !welcome.leases)
        log.error('this controller is too old for a guard: machines on shared pools are not started here');
    },
    beat: () => keeper?.beat() ?? null,
    onLease: (lease) => keeper?.granted(lease),
    onGoal: (goal) => {
      if (goal.epoch < identity.epoch) {
        log.warn({ epoch: goal.epoch }, 'a goal of an older epoch was refused');
        return;
      }
      obey(goal.epoch);
      executor.setGoal(goal);
      hostReboot.follow(goal);
      if (!executor.goal) return;
      backups.follow(executor.goal);
      migrations.follow(executor.goal);
    },
    onOpenStream: (request) => {
      if (request.target.kind === 'migration') {
        const connect = migrations.connect.bind(migrations);
        void serveMigration(request, { dial, connect, log });
        return;
      }
      void serveStream(
        request,
        {
          openConsole: (vmId) => driver.openConsole(domainName(fleet, vmId)),
          address: (vmId) => addressOf(executor, vmId),
          consoleLog: async (vmId, bytes) => (await readConsoleTail(paths.consoleLog(vmId), bytes)) ?? '',
          screenshot: async (vmId, of) =>
            of === 'end'
              ? readFile(paths.picture(vmId))
              : (await driver.takeScreenshot(domainName(fleet, vmId))).data,
        },
        identity,
        log,
      );
    },
    onExamine: (request) => void doctor.lookNow(request),
    onHeartbeat: () => void observer.tell(),
  });
  const stopRenewing = renewWhenDue({
    clock,
    log,
    identity: () => identity,
    renew: (csr) => link.renew(csr),
    onRenewed: async (renewed) => {
      identity = renewed;
      await identities.write(renewed);
    },
  });
  backups.start();
  // Ceph's keys that libvirt still has, of pools that are in this host's configuration no more.
  const secrets = new Set(rbdPoolsOf(configuration).map(({ name }) => poolSecret(fleet, name).name));
  driver
    .forgetKeys(secretPrefix(fleet), secrets)
    .catch((error: unknown) => log.warn({ err: error }, 'secrets could not be looked through'));
  session.start();
  doctor.start();
  // A pool that is mounted late, or goes away, changes what this host offers.
  watch.onSeen(({ pools: now }) => {
    const changed = now.some(
      ({ id, problem }, index) => id !== pools[index]?.id || problem !== pools[index]?.problem,
    );
    if (!changed) return;
    pools = now;
    session.greet();
  });
  const stopWatching = watch.start();
  const stopWatchingBackups = repeat(
    clock,
    POOLS_EVERY_MS,
    async () => {
      const offered = await targets.offers();
      if (offered.map(idOf).join() === backupTargets.map(idOf).join()) return;
      backupTargets = offered;
      session.greet();
    },
    'later',
  );

  const stop = () => {
    stopRenewing();
    stopWatching();
    stopWatchingBackups();
    session.close();
    doctor.close();
    backups.close();
    migrations.close();
    void executor
      .close()
      .then(() => driver.close())
      .finally(() => process.exit(0));
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
}

const filePoolsOf = ({ pools }: AgentConfiguration): readonly PoolConfiguration[] =>
  pools.flatMap((pool) => (pool.kind === 'rbd' ? [] : [pool]));

const rbdPoolsOf = ({ pools }: AgentConfiguration): readonly RbdPoolConfiguration[] =>
  pools.flatMap((pool) => (pool.kind === 'rbd' ? [pool] : []));

const disksOf = (configuration: AgentConfiguration, paths: AgentPaths): PooledDisks =>
  new PooledDisks(
    new LocalDisks(filePoolsOf(configuration), configuration.name),
    new RbdDisks({
      pools: rbdPoolsOf(configuration),
      host: configuration.name,
      scratch: paths.run,
      fenced: fencedAddresses(configuration.fence),
    }),
  );

const idOf = ({ id }: { readonly id: string }) => id;

function addressOf(executor: Executor, vmId: string): string {
  const vm = executor.vm(vmId);
  if (vm) return vm.nic.address;
  throw new WeftError('not-found', `${vmId} is not on this host`);
}

main().catch((thrown: unknown) => {
  const error = WeftError.from(thrown);
  process.stderr.write(`weft-agent: ${error.message}${error.remedy ? `\n  ${error.remedy}` : ''}\n`);
  process.exit(1);
});
