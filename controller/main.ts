import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { range6Of } from '../agent/kit/addressing.ts';
import { writeFileAtomic } from '../agent/kit/atomic-file.ts';
import { systemClock } from '../agent/kit/clock.ts';
import { WeftError } from '../agent/kit/errors.ts';
import { createLogger } from '../agent/kit/log.ts';
import { repeat } from '../agent/kit/repeat.ts';
import { FileBlobStore } from '../images/blob-store.ts';
import { DEFAULT_RECIPE_CACHE } from '../images/recipes/build-recipe.ts';
import { createApi } from './api/server.ts';
import { StoreCatalogue } from './catalogue/store-catalogue.ts';
import { CertificateFolder } from './certificates/certificate-folder.ts';
import { HOOK_CLIENT_CONFIG, HOOK_NAME, openHook } from './certificates/hook.ts';
import { Obtainer } from './certificates/obtainer.ts';
import { type ControllerConfiguration, readConfiguration, USAGE } from './configuration.ts';
import { CephBlocklist } from './fencing/ceph-blocklist.ts';
import { DeviceAddresses } from './fencing/device-addresses.ts';
import { FenceAgents } from './fencing/fence-agent.ts';
import { DeviceFencer } from './fencing/fencer.ts';
import { Authority } from './fleet/authority.ts';
import { FileSecretsStore } from './fleet/file-secrets-store.ts';
import { openFleet, raiseEpoch } from './fleet/fleet-record.ts';
import { FleetServer } from './fleet/fleet-server.ts';
import { Leases } from './fleet/leases.ts';
import { RevisionMark } from './fleet/revision-mark.ts';
import { Tokens } from './fleet/tokens.ts';
import { DEFAULT_ZONE, parseZone } from './model/zone.ts';
import { CertificateOperations } from './operations/certificates.ts';
import { ChallengeOperations } from './operations/challenges.ts';
import { createOperations } from './operations/index.ts';
import { ownAddresses } from './own-addresses.ts';
import { ownDomains } from './own-domains.ts';
import { EventLog, Reconciler } from './reconciler/index.ts';
import { SqliteStore } from './store/sqlite/sqlite-store.ts';
import { CONTROLLER_VERSION } from './version.ts';

const JOIN_TOKEN_TTL_MS = 3_600_000;
const COLLECT_EVERY_MS = 3_600_000;
const CLOSED_EVERY_MS = 60_000;

async function run(configuration: ControllerConfiguration): Promise<void> {
  const { state, listen, agents } = configuration;
  const log = createLogger('weft-controller');
  const clock = systemClock;
  const zone = configuration.zone === null ? DEFAULT_ZONE : parseZone(configuration.zone, await ownDomains());
  await mkdir(state, { recursive: true, mode: 0o700 });
  await chmod(state, 0o700);
  const pki = join(state, 'pki');
  const store = await SqliteStore.open(join(state, 'weft.db'));
  const { guestRange, publicRanges } = configuration;
  const fenceSecrets = join(state, 'secrets', 'fence');
  const fleetFile = join(pki, 'fleet.json');
  const mark = new RevisionMark(join(pki, 'revision'), log);
  const opened = await openFleet(store, fleetFile, guestRange, publicRanges, mark);
  const devices = new DeviceAddresses(fenceSecrets);
  const closed = async () => {
    const own = ownAddresses([opened.range, range6Of(opened.uuid)]);
    return [...new Set([...(await devices.look()), ...own])].sort();
  };
  const fleetRecord = {
    ...{ ...opened, zone, devices: await closed() },
    ...(configuration.encrypt === 'off' ? {} : { encrypt: configuration.encrypt }),
  };
  const authority = await Authority.open(pki, fleetRecord.uuid, clock.now());
  const names = [...new Set([listen.host, agents.host, 'localhost', '127.0.0.1', hostname()])];
  const tls = await authority.issueServer(names, clock.now());
  const tokens = new Tokens(store);
  const secrets = new FileSecretsStore(join(state, 'secrets'));
  const certificateFiles = new CertificateFolder(join(state, 'secrets', 'certificates'));
  const hook = await openHook(configuration.certificateHook, join(state, 'secrets'));
  const certificates = new CertificateOperations({
    ...{ store, files: certificateFiles, clock, hasHook: hook !== null },
  });
  for (const name of await certificates.recover()) log.info({ name }, 'a certificate that was there is kept');
  const blobs = new FileBlobStore(join(state, 'blobs'));
  const catalogue = new StoreCatalogue({
    store,
    blobs,
    secrets,
    clock,
    workFolder: join(state, 'work'),
    recipeCache: DEFAULT_RECIPE_CACHE,
  });
  await catalogue.recover();
  const leases = new Leases({ store, monotonicMs: () => performance.now() });
  const fleet = new FleetServer({
    fleet: fleetRecord,
    address: `${agents.host}:${agents.port}`,
    authority,
    tls,
    tokens,
    store,
    secrets,
    certificates: certificateFiles,
    blobs,
    leases,
    clock,
    log,
  });
  const fencer = new DeviceFencer({
    store,
    runner: new FenceAgents({ secretsFolder: fenceSecrets }),
    storage: new CephBlocklist(fenceSecrets),
    clock,
    log,
  });
  const operations = createOperations({
    ...{ store, catalogue, fleet, fencer, clock },
    reservedPorts: configuration.reservedPorts,
  });
  const events = new EventLog();
  await events.open(store);
  const reconciler = new Reconciler({
    fleetRecord,
    store,
    fleet,
    catalogue,
    secrets,
    fencer,
    leases,
    events,
    clock,
    log,
    cover: (revision) => mark.cover(revision),
    raiseEpoch: (above) => raiseEpoch(store, fleetFile, above),
    settings: {
      suspectAfterMs: configuration.downAfterMs / 2,
      downAfterMs: configuration.downAfterMs,
      holds: configuration.holds,
      beatGraceMs: configuration.beatGraceMs,
    },
  });
  const api = await createApi(
    {
      fleetRecord: () => reconciler.fleetRecord,
      version: CONTROLLER_VERSION,
      store,
      operations,
      certificates,
      challenges: new ChallengeOperations({ store, clock }),
      catalogue,
      fleet,
      secrets,
      tokens,
      blobs,
      clock,
      log,
    },
    { key: tls.key, cert: tls.certificate },
  );
  const obtainer = hook && new Obtainer({ store, hook, certificates, clock, log });
  const collect = async () => {
    try {
      const gone = await catalogue.collectUploads();
      if (gone.length > 0) log.info({ gone }, 'removed uploads that nothing refers to');
    } catch (error) {
      log.warn({ err: error }, 'could not look for uploads that nothing refers to');
    }
  };
  const stopCollecting = repeat(clock, COLLECT_EVERY_MS, collect, 'now');
  const stopClosing = repeat(
    clock,
    CLOSED_EVERY_MS,
    async () => reconciler.closeDevices(await closed()),
    'later',
  );
  const stop = () => {
    void (async () => {
      stopCollecting();
      stopClosing();
      await Promise.all([reconciler.stop(), obtainer?.close()]);
      await Promise.allSettled([api.close(), fleet.close(), fencer.close(), catalogue.close()]);
      await store.close();
      process.exit(0);
    })();
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);

  // Before hosts come in: what they say is heard from the first frame on.
  await reconciler.start();
  await fleet.listen(agents.port, agents.host);
  await api.listen({ port: listen.port, host: listen.host });
  const token = await keptToken(join(state, 'secrets', 'admin-token'));
  await tokens.addApi(token, 'admin', clock.now());
  const url = `https://${listen.host}:${listen.port}`;
  if (configuration.clientConfig !== null)
    await writeFileAtomic(
      configuration.clientConfig,
      stringify({ controller: url, ca: authority.ca, token }),
      0o600,
    );
  if (obtainer) {
    const file = join(state, 'secrets', HOOK_CLIENT_CONFIG);
    const own = await keptToken(join(state, 'secrets', 'hook-token'));
    await tokens.addApi(own, HOOK_NAME, clock.now());
    await writeFileAtomic(file, stringify({ controller: url, ca: authority.ca, token: own }), 0o600);
    await obtainer.start();
  }
  if (configuration.joinTokenFile !== null)
    await writeFileAtomic(
      configuration.joinTokenFile,
      await fleet.mintJoinToken({ label: 'this host', ttlMs: JOIN_TOKEN_TTL_MS }),
      0o600,
    );
  log.info(
    { api: url, agents: `${agents.host}:${agents.port}`, epoch: fleetRecord.epoch },
    'the controller listens',
  );
}

/** The first user's token, or the hook's, made once: a restart changes nothing for who uses it. */
async function keptToken(file: string): Promise<string> {
  const known = await readFile(file, 'utf8').catch(() => null);
  if (known !== null) return known.trim();
  const token = randomBytes(32).toString('base64url');
  await writeFileAtomic(file, `${token}\n`, 0o600);
  return token;
}

try {
  const configuration = readConfiguration(process.argv.slice(2));
  if (configuration === null) process.stdout.write(USAGE);
  else await run(configuration);
} catch (thrown) {
  const error = WeftError.from(thrown);
  process.stderr.write(`weft-controller: ${error.message}${error.remedy ? `\n  ${error.remedy}` : ''}\n`);
  process.exit(error.code === 'usage' ? 2 : 1);
}
