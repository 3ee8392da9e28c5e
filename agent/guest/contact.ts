import { WeftError } from '../kit/errors.ts';
import type { VmGoal } from '../protocol/index.ts';
import { APP, GUEST_PROGRAMS, WEFT } from './guest-scripts.ts';
import { exportLines, quote } from './quote.ts';
import type { SshSession } from './ssh-session.ts';

/** What a guest tells at first contact. */
export interface Contact {
  readonly bootId: string;
  readonly systemd: boolean;
  readonly sftp: boolean;
  /** Digest of the package that is unpacked; null: none. */
  readonly delivered: string | null;
}

const LIMIT_MS = 60_000;

/** `WEFT_*`, for tasks and the role's process; the role's own variables come after and may not hide these. */
export function identityVariables(vm: VmGoal): Record<string, string> {
  const peers = Object.entries(vm.peers).map(([endpoint, addresses]) => [
    `WEFT_PEERS_${endpoint.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`,
    addresses.join(','),
  ]);
  return {
    ...vm.workload.env,
    WEFT_APP: vm.app,
    WEFT_ROLE: vm.role ?? '',
    WEFT_INDEX: vm.index === null ? '' : String(vm.index),
    WEFT_INSTANCE: vm.id,
    WEFT_INCARNATION: String(vm.incarnation),
    WEFT_ADDRESS: vm.nic.address,
    ...Object.fromEntries(peers),
  };
}

/** Everything that is put into the guest before anything runs there, as one script: one round trip, whatever it holds. */
export function composeContact(vm: VmGoal, fleet: string): string {
  const instance = {
    id: vm.id,
    application: vm.app,
    role: vm.role,
    index: vm.index,
    kind: vm.kind,
    incarnation: vm.incarnation,
    fleet,
    address: vm.nic.address,
    peers: vm.peers,
  };
  const busy = vm.workload.startup.length > 0 || vm.workload.start !== null || vm.workload.site !== null;
  const programs = busy
    ? Object.entries(GUEST_PROGRAMS).map(
        ([name, text]) => `printf %s ${quote(text)} >${WEFT}/bin/${name}\nchmod 755 ${WEFT}/bin/${name}\n`,
      )
    : [];
  return [
    `umask 022\nmkdir -p /etc/weft ${WEFT}/bin ${WEFT}/services ${WEFT}/runs ${APP}\n`,
    `printf %s ${quote(`${JSON.stringify(instance, null, 1)}\n`)} >/etc/weft/instance.json\n`,
    `printf %s ${quote(exportLines(identityVariables(vm)))} >${WEFT}/env\n`,
    ...programs,
    'read -r boot </proc/sys/kernel/random/boot_id\necho "boot=$boot"\n',
    '[ -d /run/systemd/system ] && echo systemd=1\n',
    '[ -x /usr/lib/openssh/sftp-server ] || [ -x /usr/libexec/sftp-server ] && echo sftp=1\n',
    `[ -f ${WEFT}/package ] && read -r package <${WEFT}/package && echo "package=$package"\n`,
    'exit 0\n',
  ].join('');
}

/** @throws WeftError `task-failed` when the guest cannot take the files: a full or read-only disk. */
export async function makeContact(session: SshSession, vm: VmGoal, fleet: string): Promise<Contact> {
  const { exitCode, stdout, stderr } = await session.run('sh -s', {
    input: composeContact(vm, fleet),
    timeoutMs: LIMIT_MS,
  });
  const told = new Map(
    stdout.split('\n').map((line): [string, string] => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  const bootId = told.get('boot') ?? '';
  if (exitCode !== 0 || !/^[0-9a-f-]{36}$/.test(bootId))
    throw new WeftError(
      'task-failed',
      `the guest could not be prepared (exit ${exitCode}): ${stderr.slice(-500)}`,
      {
        remedy:
          vm.image.sshUser === 'root'
            ? `Is its disk full or read-only? Look with: weft ssh ${vm.id}`
            : `May ${vm.image.sshUser} run sudo without a password, and is its disk writable? Look with: weft ssh ${vm.id}`,
      },
    );
  return {
    bootId,
    systemd: told.has('systemd'),
    sftp: told.has('sftp'),
    delivered: told.get('package') ?? null,
  };
}
