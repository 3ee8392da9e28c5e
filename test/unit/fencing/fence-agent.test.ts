import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FenceDevice } from '../../../agent/protocol/index.ts';
import { FenceAgents } from '../../../controller/fencing/fence-agent.ts';
import { refusal } from '../../support/refusal.ts';

const PASSWORD = 'hunter2 & "co"=ü';

let folder: string;
let agents: FenceAgents;
const signal = AbortSignal.timeout(60_000);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-fence-'));
  await mkdir(join(folder, 'secrets'));
  await mkdir(join(folder, 'bin'));
  agents = anAgents();
  await secret('bmc', `${PASSWORD}\n`);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const anAgents = (limitMs = 10_000) =>
  new FenceAgents({
    secretsFolder: join(folder, 'secrets'),
    folders: [join(folder, 'empty'), join(folder, 'bin')],
    limitMs,
  });
const secret = (name: string, content: string, mode = 0o600) =>
  writeFile(join(folder, 'secrets', name), content, { mode });
/** A program that notes its arguments, environment and stdin, and then does what it is told. */
const program = (then: string, name = 'fence_fake') =>
  writeFile(
    join(folder, 'bin', name),
    `#!/bin/bash\ntr '\\0' '\\n' </proc/self/cmdline >${folder}/argv\ntr '\\0' '\\n' </proc/$$/cmdline >>${folder}/argv\n` +
      `tr '\\0' '\\n' </proc/$PPID/cmdline >>${folder}/argv\nenv >${folder}/env\nstdin=$(cat)\necho "$stdin" >${folder}/stdin\n${then}\n`,
    { mode: 0o755 },
  );
const noted = (what: 'argv' | 'env' | 'stdin') => readFile(join(folder, what), 'utf8');
const aDevice = (overrides: Partial<FenceDevice> = {}): FenceDevice => ({
  agent: 'fence_fake',
  options: { ip: '10.0.0.1', username: 'admin' },
  secret: 'bmc',
  ...overrides,
});

describe('what the program gets', () => {
  test('options and password by stdin, the action last; nothing of them in arguments or environment', async () => {
    await program('echo "Success: Powered OFF"');
    expect(await agents.off(aDevice(), signal)).toBe('Success: Powered OFF');
    expect(await noted('stdin')).toBe(`ip=10.0.0.1\nusername=admin\npassword=${PASSWORD}\naction=off\n`);
    const argv = await noted('argv');
    expect(argv).toContain(join(folder, 'bin', 'fence_fake'));
    expect(argv).toContain('/usr/bin/timeout');
    for (const text of [argv, await noted('env')])
      for (const hidden of ['hunter2', 'admin', '10.0.0.1']) expect(text).not.toContain(hidden);
  });

  test('no password where the device names no secret', async () => {
    await program('exit 0');
    expect(await agents.off({ agent: 'fence_fake', options: {} }, signal)).toBe('off');
    expect(await noted('stdin')).toBe('action=off\n');
  });

  test('what stands beside the password overrules what the host says', async () => {
    await secret('bmc', 'pw\n# of rack 3\nip=10.9.9.9\nidentity_file=/root/.ssh/fence\n');
    await program('exit 0');
    await agents.off(aDevice({ options: { ip: '6.6.6.6', plug: 'h1' } }), signal);
    expect(await noted('stdin')).toBe(
      'plug=h1\nip=10.9.9.9\nidentity_file=/root/.ssh/fence\npassword=pw\naction=off\n',
    );
  });

  test('an empty first line is no password, where an option says where the key is', async () => {
    await secret('bmc', '\nidentity_file=/root/.ssh/fence\n');
    await program('echo "Success: Powered OFF"');
    expect(await agents.off(aDevice({ options: { plug: 'h1' } }), signal)).toBe('Success: Powered OFF');
    expect(await noted('stdin')).toBe('plug=h1\nidentity_file=/root/.ssh/fence\naction=off\n');
  });

  test.each([' blank ahead', 'blank behind ', '"in quotes"'])(
    'a password like %j arrives whole',
    async (text) => {
      await secret('bmc', `${text}\n`);
      await program('exit 0');
      await agents.off(aDevice(), signal);
      expect(await noted('stdin')).toContain(`password="${text}"\n`);
    },
  );
});

describe('what the program says', () => {
  test.each([
    [0, { power: 'on', message: 'Status: ON' }],
    [2, { power: 'off', message: 'Status: OFF' }],
  ])('status by exit code %i', async (code, answer) => {
    await program(`echo "Status: ${code === 0 ? 'ON' : 'OFF'}"; echo "a warning" >&2; exit ${code}`);
    expect(await agents.status(aDevice(), signal)).toEqual(answer);
    expect(await noted('stdin')).toContain('action=status\n');
  });

  test.each([1, 2, 3, 255])('off with exit code %i is no proof, whatever it prints', async (code) => {
    await program(`echo "Success: Powered OFF"; exit ${code}`);
    expect((await refusal(agents.off(aDevice(), signal))).message).toContain(`(exit ${code})`);
  });

  test('a program killed by a signal is no proof', async () => {
    await program('kill -9 $$');
    expect((await refusal(agents.off(aDevice(), signal))).code).not.toBe('internal');
  });

  test('an error is one line, and its hint says where to look', async () => {
    await program(
      'echo "2026-01-02 03:04:05,678 ERROR: Failed: Unable to obtain correct plug status or plug is not available" >&2; printf "\\n\\nPlease use -h for usage\\n" >&2; exit 1',
    );
    expect((await refusal(agents.off(aDevice(), signal))).message).toBe(
      'Unable to obtain correct plug status or plug is not available: look at its address, user name, password and plug (exit 1)',
    );
  });

  test('the password is struck out of whatever it prints, in every usual form', async () => {
    const forms = [PASSWORD, encodeURIComponent(PASSWORD), Buffer.from(PASSWORD).toString('base64')];
    for (const form of forms) {
      await writeFile(join(folder, 'said'), `ERROR: login with ${form} failed\u0007\n`);
      await program(`cat ${folder}/said >&2; exit 1`);
      const { message } = await refusal(agents.off(aDevice(), signal));
      expect(message).toBe(
        'ERROR: login with ••• failed: look at its address, user name, password and plug (exit 1)',
      );
      await program(`cat ${folder}/said; exit 0`);
      expect(await agents.off(aDevice(), signal)).toBe('ERROR: login with ••• failed');
    }
  });
});

describe('time', () => {
  test('a program that does not end is ended, and so is what it has started', async () => {
    await program(`sleep 300 & echo $! >${folder}/child; trap '' TERM; wait; wait`);
    const startedMs = performance.now();
    const error = await refusal(anAgents(500).off(aDevice(), signal));
    expect(error.code).toBe('timeout');
    expect(error.message).toBe('it did not end within 0.5 s');
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    const child = (await readFile(join(folder, 'child'), 'utf8')).trim();
    const stat = await readFile(`/proc/${child}/stat`, 'utf8').catch(() => ') Z');
    expect(stat.slice(stat.lastIndexOf(')'))).toMatch(/^\) Z/);
  });

  test('an attempt is ended when it is not wanted any more', async () => {
    await program('sleep 300');
    const startedMs = performance.now();
    await refusal(agents.off(aDevice(), AbortSignal.timeout(300)));
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});

describe('refused before anything is run', () => {
  test('a program that is not installed, with the package that has it', async () => {
    const error = await refusal(agents.off(aDevice({ agent: 'fence_absent' }), signal));
    expect(error.message).toBe("fence_absent is not installed on the controller's machine");
    expect(error.remedy).toContain('apt-get install fence-agents');
  });

  test.each(['../bin/fence_fake', 'sh', 'fence_', 'fence_A'])(
    '%s is no name of a fence agent',
    async (agent) => {
      expect((await refusal(agents.off(aDevice({ agent }), signal))).message).toContain(
        'no name of a fence agent',
      );
    },
  );

  test.each([0o644, 0o640, 0o604, 0o660])('a secret that others can read (mode %o)', async (mode) => {
    await program('exit 0');
    await chmod(join(folder, 'secrets', 'bmc'), mode);
    const error = await refusal(agents.off(aDevice(), signal));
    expect(error.message).toBe('fence secret bmc can be read or written by others');
    expect(error.remedy).toContain('chmod 600');
    await expect(noted('stdin')).rejects.toThrow('ENOENT');
  });

  test('a secret that is not there, is empty, is a link, or has a line that is none', async () => {
    await program('exit 0');
    const messageOf = async (name: string) =>
      (await refusal(agents.off(aDevice({ secret: name }), signal))).message;
    expect(await messageOf('absent')).toBe('fence secret absent cannot be read: ENOENT');
    await secret('empty', '\n');
    expect(await messageOf('empty')).toBe('fence secret empty has no password on its first line');
    await symlink('bmc', join(folder, 'secrets', 'link'));
    expect(await messageOf('link')).toBe('fence secret link cannot be read: ELOOP');
    await secret('odd', 'pw\nhunter2\n');
    expect(await messageOf('odd')).toBe('line 2 of fence secret odd is no key=value');
    expect(await messageOf('../bmc')).toContain('no name of a fence secret');
    await expect(noted('stdin')).rejects.toThrow('ENOENT');
  });

  test.each([
    ...['password_script', 'password-script', 'passwd_script', 'snmp_priv_passwd_script', 'ipmitool_path'],
    ...[
      'sudo_path',
      'use_sudo',
      'debug',
      'debug_file',
      'debug-file',
      'identity_file',
      'ssh_options',
      'action',
    ],
    ...[
      'password',
      'passwd',
      'missing_as_off',
      'missing-as-off',
      'verbose',
      'kubeconfig',
      'openrc',
      'port_as_ip',
    ],
    ...['logfile', 'token_file', 'proxy', 'exec'],
  ])('option %s, which is the controller’s own', async (name) => {
    await program('exit 0');
    const error = await refusal(agents.off(aDevice({ options: { [name]: '1' } }), signal));
    expect(error.message).toBe(`option ${name} of fence_fake is not taken from a host`);
    await expect(noted('stdin')).rejects.toThrow('ENOENT');
  });

  test.each(['fence_dummy', 'fence_ack_manual', 'fence_heuristics_ping'])(
    '%s, which cuts nothing',
    async (agent) => {
      await program('exit 0', agent);
      expect((await refusal(agents.off(aDevice({ agent }), signal))).message).toContain('proves nothing');
      await expect(noted('stdin')).rejects.toThrow('ENOENT');
    },
  );

  test('but what devices commonly need is taken', async () => {
    await program('exit 0');
    const options = {
      ...{ ip: '10.0.0.1', ipport: '623', lanplus: '1', cipher: '3', power_wait: '0', ssl_insecure: '1' },
      ...{ plug: 'h1', ssh: '1', api_path: '/api', redfish_uri: '/redfish/v1', systems_uri: '/x' },
    };
    await agents.off(aDevice({ options }), signal);
    for (const [name, value] of Object.entries(options))
      expect(await noted('stdin')).toContain(`${name}=${value}\n`);
  });
});
