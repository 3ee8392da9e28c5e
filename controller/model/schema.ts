import { z } from 'zod';
import { prefixProblem } from '../../agent/kit/addressing.ts';
import { NAME_PATTERN } from '../../agent/kit/names.ts';
import { parseBackupRef } from './backup-ids.ts';
import { isDnsName } from './dns-names.ts';
import { parseDurationMs, parseMebibytes } from './units.ts';

/** What a user may write. Shapes only; what needs more than one place to judge is in `checks.ts`. */

export const MAXIMUM_INSTANCES = 10_000;

const name = z.string().regex(NAME_PATTERN, {
  error: 'must be a DNS label: lower-case letters, digits and dashes, a letter first, at most 40',
});
const duration = z
  .string()
  .refine((text) => parseDurationMs(text) !== null, {
    error: 'must be a duration such as 500ms, 5s, 10m or 1h',
  })
  .meta({ description: 'A duration: 500ms, 5s, 10m, 1h', pattern: '^\\d+(\\.\\d+)?(ms|s|m|h)$' });
const amount = z
  .string()
  .refine((text) => parseMebibytes(text) !== null, { error: 'must be an amount such as 768MiB or 4GiB' })
  .meta({ description: 'An amount: 768MiB, 4GiB', pattern: '^\\d+(\\.\\d+)?(MiB|GiB|TiB)$' });
const PORT = { error: 'must be a port: a whole number from 1 to 65535' };
const port = z.number().int(PORT).min(1, PORT).max(65_535, PORT);
const relativePath = z
  .string()
  .min(1)
  .max(4096)
  .refine((path) => !path.startsWith('/') && !path.split('/').includes('..') && !path.includes('\0'), {
    error: 'must be a relative path that stays inside its folder',
  });
const image = z
  .string()
  .regex(/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?(:[A-Za-z0-9][A-Za-z0-9._+-]{0,63}|@sha256:[0-9a-f]{64})$/, {
    error: 'must be name:version, name:channel or name@sha256:…',
  })
  .meta({ description: 'name:version, name:channel or name@sha256:…' });
/** POSIX names; values go into the guest through files, whatever they hold, except NUL, which no environment can. */
const env = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, { error: 'must be a name of an environment variable' }),
  z
    .string()
    .max(32_768)
    .refine((value) => !value.includes('\0'), { error: 'must not contain a NUL character' }),
);

const size = z.union([
  z.string().meta({ description: 'extra-small, small, medium, large, extra-large' }),
  z.strictObject({
    cpus: z.number().int().min(1).max(256),
    memory: amount,
    disk: amount.optional(),
    cpuQuota: z.number().int().min(1).max(100).optional(),
  }),
]);

const command = z
  .string()
  .min(1)
  .max(16_384)
  .refine((text) => !text.includes('\0'), { error: 'must not contain a NUL character' });

const probe = z
  .strictObject({
    http: z.string().startsWith('/', { error: 'must begin with /' }).max(1024).optional(),
    tcp: z.literal(true).optional(),
    exec: command.optional(),
    interval: duration.optional(),
    timeout: duration.optional(),
  })
  .refine(
    (value) => [value.http, value.tcp, value.exec].filter((check) => check !== undefined).length === 1,
    {
      error: 'needs exactly one of http, tcp and exec',
    },
  );

const certificateWithNames = z.strictObject({
  name,
  names: z
    .array(
      z
        .string()
        .refine(isDnsName, { error: 'must be a DNS name in lower case: shop.example.org, *.example.org' }),
    )
    .min(1)
    .max(100),
});
const certificate = z.union([name, certificateWithNames], {
  error: 'must be the name of a certificate (a DNS label, at most 40 characters), or {name, names}',
});

const endpoint = z.strictObject({
  type: z.enum(['input', 'internal', 'instance']),
  protocol: z.enum(['tcp', 'http', 'udp']).optional(),
  port,
  targetPort: port.optional(),
  probe: probe.optional(),
  from: z
    .array(name)
    .min(1, {
      error: 'names nobody: leave it out to let in all of the application, or name roles and networks',
    })
    .max(100)
    .optional(),
  certificate: certificate.optional(),
  proxyProtocol: z.boolean().optional(),
  drain: duration.optional(),
});

const prefix = z
  .string()
  .max(64)
  .superRefine((text, context) => {
    const problem = prefixProblem(text);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  })
  .meta({ description: 'A network: 10.1.0.0/16, 2001:db8::/32' });

const outbound = z.union([z.boolean(), z.array(prefix).max(256)]);

const startupTask = z.strictObject({
  run: command,
  kind: z.enum(['simple', 'foreground', 'background']).optional(),
  timeout: duration.optional(),
  retries: z.number().int().min(0).max(100).optional(),
});

const role = z.strictObject({
  kind: z.enum(['worker', 'web', 'vm']),
  image,
  size,
  instances: z.number().int().min(0).max(MAXIMUM_INSTANCES),
  updateDomains: z.number().int().min(1).max(100).optional(),
  site: z
    .strictObject({ root: relativePath.optional(), proxy: port.optional() })
    .refine((value) => value.root !== undefined || value.proxy !== undefined, {
      error: 'needs root, proxy or both',
    })
    .optional(),
  start: command.optional(),
  env: env.optional(),
  startup: z.array(startupTask).max(100).optional(),
  endpoints: z.record(name, endpoint).optional(),
  mesh: z.boolean().optional(),
  outbound: outbound.optional(),
  package: relativePath.optional(),
  pool: name.optional(),
});

const backup = z.strictObject({
  every: duration,
  keep: z.number().int().min(1).max(1_000),
  to: name,
});

const machine = z.strictObject({
  image,
  size,
  pool: name.optional(),
  backup: backup.optional(),
  from: z
    .string()
    .refine((text) => parseBackupRef(text) !== null, {
      error: 'must be application/machine/backup, as weft machine backups lists it',
    })
    .meta({ description: 'The backup that its disk begins as: crm/db/20260102t030405' })
    .optional(),
  network: name.optional(),
  endpoints: z.record(name, endpoint).optional(),
  public: z.boolean().optional(),
  outbound: outbound.optional(),
});

export const applicationDocument = z.strictObject({
  apiVersion: z.literal('weft/v1'),
  kind: z.literal('Application'),
  name,
  package: relativePath.optional(),
  roles: z.record(name, role).optional(),
  machines: z.record(name, machine).optional(),
});
export type ApplicationDocument = z.infer<typeof applicationDocument>;
export type RoleDocument = z.infer<typeof role>;
export type EndpointDocument = z.infer<typeof endpoint>;
export type BackupDocument = z.infer<typeof backup>;
export type SizeDocument = z.infer<typeof size>;
export type ProbeDocument = z.infer<typeof probe>;

/** Keys allowed below a path of the document; for "did you mean". */
export function keysAt(path: readonly PropertyKey[]): readonly string[] {
  const [first, , third, , fifth] = path;
  if (path.length === 0) return Object.keys(applicationDocument.shape);
  if (first === 'machines' && path.length === 2) return Object.keys(machine.shape);
  if (first === 'machines' && third === 'backup') return Object.keys(backup.shape);
  if (third === 'endpoints' && path.length === 4) return Object.keys(endpoint.shape);
  if (third === 'endpoints' && fifth === 'certificate') return Object.keys(certificateWithNames.shape);
  if (third === 'endpoints' && fifth === 'probe') return ['http', 'tcp', 'exec', 'interval', 'timeout'];
  if (first !== 'roles') return third === 'size' ? ['cpus', 'memory', 'disk', 'cpuQuota'] : [];
  if (path.length === 2) return Object.keys(role.shape);
  if (third === 'size') return ['cpus', 'memory', 'disk', 'cpuQuota'];
  if (third === 'site') return ['root', 'proxy'];
  return third === 'startup' && path.length === 4 ? Object.keys(startupTask.shape) : [];
}
