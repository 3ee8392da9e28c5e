import { WeftError } from '../../agent/kit/errors.ts';
import type { Probe } from '../../agent/protocol/index.ts';
import { checkDocument } from './checks.ts';
import { modelError, parseModel } from './parse.ts';
import type {
  ApplicationDocument,
  BackupDocument,
  EndpointDocument,
  ProbeDocument,
  RoleDocument,
  SizeDocument,
} from './schema.ts';
import type {
  BackupSchedule,
  Endpoint,
  Machine,
  PackageRef,
  Role,
  Service,
  Size,
  StartupTask,
} from './service.ts';
import { SIZES, type SizeTable } from './sizes.ts';
import { parseDurationMs, parseMebibytes } from './units.ts';

const DEFAULT_TASK_TIMEOUT_MS = 3_600_000;
const DEFAULT_UPDATE_DOMAINS = 5;
const DEFAULT_DISK_MIB = 10 * 1024;
const DEFAULT_POOL = 'local';
const DEFAULT_PROBE = { intervalMs: 5_000, timeoutMs: 2_000 };

function parseChecked(source: string, sizes: SizeTable): ApplicationDocument {
  const { document, map } = parseModel(source);
  const problems = checkDocument(document, map, sizes);
  if (problems.length > 0) throw modelError(problems);
  return document;
}

/** Name of the application and paths of the packages that a model names, as written in it. @throws WeftError `invalid-model`. */
export function outlineModel(
  source: string,
  sizes: SizeTable = SIZES,
): { readonly name: string; readonly packages: readonly string[] } {
  const document = parseChecked(source, sizes);
  const paths = [document.package, ...Object.values(document.roles ?? {}).map((role) => role.package)];
  return { name: document.name, packages: [...new Set(paths.filter((path) => path !== undefined))] };
}

/**
 * A user's YAML as a service: defaults filled in, sizes looked up, durations in ms. Pure.
 * @param packages path as written in the model → what was uploaded for it.
 * @throws WeftError `invalid-model` with all problems, their lines and fixes.
 */
export function resolveService(
  source: string,
  packages: Readonly<Record<string, PackageRef>>,
  sizes: SizeTable = SIZES,
): Service {
  const document = parseChecked(source, sizes);
  const packageOf = (path: string | undefined): PackageRef | null => {
    if (path === undefined) return null;
    const found = Object.hasOwn(packages, path) ? packages[path] : undefined;
    if (found) return found;
    throw new WeftError('invalid-model', `the model names package ${path}, but it was not uploaded`, {
      remedy: 'Apply with the weft command, which uploads packages beside the model.',
    });
  };
  return {
    name: document.name,
    package: packageOf(document.package),
    roles: mapValues(document.roles ?? {}, (role) => resolveRole(role, sizes, packageOf)),
    machines: mapValues(
      document.machines ?? {},
      (machine): Machine => ({
        image: machine.image,
        size: resolveSize(machine.size, sizes),
        pool: machine.pool ?? DEFAULT_POOL,
        ...(machine.backup ? { backup: resolveSchedule(machine.backup) } : {}),
        ...(machine.from === undefined ? {} : { from: machine.from }),
        ...(machine.network === undefined ? {} : { network: machine.network }),
        ...(machine.endpoints ? { endpoints: mapValues(machine.endpoints, resolveEndpoint) } : {}),
        ...(machine.public === true ? { public: true } : {}),
        ...resolveOutbound(machine),
      }),
    ),
  };
}

const resolveSchedule = ({ every, keep, to }: BackupDocument): BackupSchedule => ({
  everyMs: durationOr(every, 0),
  keep,
  to,
});

function resolveRole(
  role: RoleDocument,
  sizes: SizeTable,
  packageOf: (path: string | undefined) => PackageRef | null,
): Role {
  return {
    kind: role.kind,
    image: role.image,
    size: resolveSize(role.size, sizes),
    instances: role.instances,
    updateDomains: role.updateDomains ?? Math.min(DEFAULT_UPDATE_DOMAINS, Math.max(1, role.instances)),
    site: role.site ? { root: role.site.root ?? null, proxyPort: role.site.proxy ?? null } : null,
    start: role.start ?? null,
    env: role.env ?? {},
    startup: (role.startup ?? []).map(
      (task): StartupTask => ({
        run: task.run,
        kind: task.kind ?? 'simple',
        timeoutMs: durationOr(task.timeout, DEFAULT_TASK_TIMEOUT_MS),
        retries: task.retries ?? 0,
      }),
    ),
    endpoints: mapValues(role.endpoints ?? {}, resolveEndpoint),
    ...(role.mesh === true ? { mesh: true } : {}),
    ...resolveOutbound(role),
    package: packageOf(role.package),
    pool: role.pool ?? null,
  };
}

/** All of the world is what is not said of anybody. */
const resolveOutbound = ({ outbound }: Pick<RoleDocument, 'outbound'>): Pick<Role, 'outbound'> =>
  outbound === undefined || outbound === true ? {} : { outbound };

/** What was not known of endpoints at first is there only where it is declared: what is stored stays as it was. */
const resolveEndpoint = (endpoint: EndpointDocument): Endpoint => ({
  type: endpoint.type,
  protocol: endpoint.protocol ?? (endpoint.probe?.http === undefined ? 'tcp' : 'http'),
  port: endpoint.port,
  targetPort: endpoint.targetPort ?? endpoint.port,
  from: endpoint.from ?? [],
  ...(endpoint.probe ? { probe: resolveProbe(endpoint.probe) } : {}),
  ...resolveCertificate(endpoint.certificate),
  ...(endpoint.proxyProtocol === true ? { proxyProtocol: true } : {}),
  ...(endpoint.drain === undefined ? {} : { drainMs: durationOr(endpoint.drain, 0) }),
});

function resolveCertificate(
  certificate: EndpointDocument['certificate'],
): Pick<Endpoint, 'certificate' | 'certificateNames'> {
  if (certificate === undefined) return {};
  if (typeof certificate === 'string') return { certificate };
  return { certificate: certificate.name, certificateNames: [...new Set(certificate.names)] };
}

function resolveProbe(probe: ProbeDocument): Probe {
  const times = {
    intervalMs: durationOr(probe.interval, DEFAULT_PROBE.intervalMs),
    timeoutMs: durationOr(probe.timeout, DEFAULT_PROBE.timeoutMs),
  };
  if (probe.http !== undefined) return { check: { type: 'http', path: probe.http }, ...times };
  if (probe.exec !== undefined) return { check: { type: 'exec', command: probe.exec }, ...times };
  return { check: { type: 'tcp' }, ...times };
}

function resolveSize(size: SizeDocument, sizes: SizeTable): Size {
  if (typeof size === 'string') {
    const known = sizes[size];
    if (!known) throw new WeftError('invalid-model', `unknown size ${size}`);
    return { name: size, ...known };
  }
  return {
    name: 'custom',
    cpus: size.cpus,
    memoryMiB: Math.max(32, parseMebibytes(size.memory) ?? 0),
    diskMiB: Math.max(1, size.disk === undefined ? DEFAULT_DISK_MIB : (parseMebibytes(size.disk) ?? 0)),
    cpuQuotaPercent: size.cpuQuota ?? null,
  };
}

const durationOr = (text: string | undefined, otherwise: number): number =>
  (text === undefined ? null : parseDurationMs(text)) ?? otherwise;

const mapValues = <A, B>(record: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
