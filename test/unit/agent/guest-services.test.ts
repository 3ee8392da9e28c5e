import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { composeServices } from '../../../agent/guest/services.ts';
import type { Workload } from '../../../agent/protocol/index.ts';
import { aVmGoal } from '../../support/builders/goal.ts';

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
