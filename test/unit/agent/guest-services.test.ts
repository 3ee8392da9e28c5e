import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GUEST_PROGRAMS } from '../../../agent/guest/guest-scripts.ts';
import { composeServices } from '../../../agent/guest/services.ts';
import type { Workload } from '../../../agent/protocol/index.ts';
import { aVmGoal } from '../../support/builders/goal.ts';
import { waitFor } from '../../support/wait-for.ts';

type Site = NonNullable<Workload['site']>;

function script(site: Site, webServer: 'nginx' | 'busybox-httpd' = 'nginx'): string {
  const goal = aVmGoal();
  return composeServices(
    { ...goal, image: { ...goal.image, webServer }, workload: { ...goal.workload, site } },
    { systemd: true },
  );
}

/** What a guest's shell makes of it. @param six whether its kernel has IPv6. */
function configurationOf(site: Site, six: boolean): string {
  const folder = mkdtempSync(join(tmpdir(), 'weft-site-'));
  try {
    const text = script(site)
      .replaceAll('/etc/nginx', folder)
      .replaceAll('/conf.d/', '/')
      .replaceAll('/proc/net/if_inet6', six ? '/proc/self' : '/nowhere');
    execFileSync('sh', ['-s'], { input: `nginx() { :; }\n${text}` });
    expect(existsSync(join(folder, 'weft.conf'))).toBe(true);
    return readFileSync(join(folder, 'weft.conf'), 'utf8');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a site listens by IPv6 as well, where the guest has it', () => {
  expect(configurationOf({ root: 'public', port: 80 }, true)).toBe(`server {
  listen 80 default_server;
  listen [::]:80 default_server ipv6only=on;
  root "/var/lib/weft/app/public";
  location / { try_files $uri $uri/ =404; }
}
`);
  expect(configurationOf({ root: 'public', port: 80 }, false)).not.toContain('[::]');
});

test('a site whose endpoint has the PROXY protocol takes it, and knows by it who asks', () => {
  const text = configurationOf({ proxyPort: 3000, port: 8080, proxyProtocol: true }, true);
  expect(text).toContain('  listen 8080 default_server proxy_protocol;\n');
  expect(text).toContain('  listen [::]:8080 default_server proxy_protocol ipv6only=on;\n');
  expect(text).toContain('  real_ip_header proxy_protocol;\n');
});

test('a web server that knows no PROXY protocol refuses it', () => {
  const site = { root: 'public', port: 80, proxyProtocol: true };
  expect(() => script(site, 'busybox-httpd')).toThrow(/knows no PROXY protocol/);
});

describe('a role’s process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-service-'));
  const there = (text: string) => text.replaceAll('/var/lib/weft', folder);
  const dir = join(folder, 'services/role');
  /** Two numbers: of what keeps it, and its own. */
  const pids = () =>
    waitFor(
      'it to run',
      async () =>
        ['pid', 'own'].map((name) =>
          existsSync(join(dir, name)) ? readFileSync(join(dir, name), 'utf8').trim() : '',
        ),
      (found) => found.every((pid) => pid !== '' && existsSync(`/proc/${pid}`)),
      20_000,
      20,
    );
  const start = (command: string) => {
    const goal = aVmGoal();
    const workload = { ...goal.workload, start: command };
    execFileSync('sh', ['-s'], {
      input: there(composeServices({ ...goal, workload }, { systemd: false })),
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    return pids();
  };
  /** Ended: whether somebody has asked how is not its doing. */
  const isGone = (pid: string) =>
    waitFor(
      `${pid} to end`,
      () => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z'),
      (stat) => stat.includes(') Z'),
      20_000,
      20,
    );
  beforeAll(() => {
    for (const name of ['bin', 'app', 'services']) mkdirSync(join(folder, name));
    writeFileSync(join(folder, 'env'), '');
    for (const [name, text] of Object.entries(GUEST_PROGRAMS))
      writeFileSync(join(folder, 'bin', name), there(text), { mode: 0o755 });
  });
  afterAll(async () => {
    const [keeper] = await pids();
    process.kill(-Number(keeper), 'SIGKILL');
    rmSync(folder, { recursive: true });
  });
  const COMMAND = `echo $$ >${dir}/own; exec sleep 600`;

  test('runs on where it is started as it was before, and is another one where that differs', async () => {
    const first = await start(COMMAND);
    expect(await start(COMMAND)).toEqual(first);
    rmSync(join(dir, 'own'));
    const second = await start(`${COMMAND} # other`);
    expect(second[0]).not.toBe(first[0]);
    for (const pid of first) await isGone(pid);
  });

  test('is started where nobody keeps it any more, and no other process is taken for who did', async () => {
    const [keeper] = await pids();
    process.kill(-Number(keeper), 'SIGKILL');
    await isGone(String(keeper));
    const other = spawn('sleep', ['600'], { detached: true });
    try {
      writeFileSync(join(dir, 'pid'), `${other.pid}\n`);
      rmSync(join(dir, 'own'));
      const [another] = await start(`${COMMAND} # other`);
      expect(another).not.toBe(String(other.pid));
      expect(other.exitCode ?? other.signalCode).toBe(null);
    } finally {
      other.kill('SIGKILL');
    }
  });
});
