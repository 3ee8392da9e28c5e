import { WeftError } from '../kit/errors.ts';
import type { VmGoal, Workload } from '../protocol/index.ts';
import type { Contact } from './contact.ts';
import { APP, WEFT } from './guest-scripts.ts';
import { quote } from './quote.ts';
import type { SshSession } from './ssh-session.ts';
import { printable } from './startup.ts';

const LIMIT_MS = 60_000;

/** Sets up the web server and the role's process, as one script. Empty: there is nothing to run. */
export function composeServices(vm: VmGoal, facts: Pick<Contact, 'systemd'>): string {
  const { site, start } = vm.workload;
  const parts: string[] = [];
  if (site) parts.push(siteOf(vm, site, facts.systemd));
  if (start !== null) parts.push(service('role', start, facts.systemd));
  return parts.length === 0 ? '' : `set -e\numask 022\n${parts.join('')}`;
}

/**
 * Its command is a file of its own: nothing of it is part of a script or a unit. What runs as it is to, in this boot, runs on: an agent that
 * starts anew finds its guests at work.
 */
function service(name: string, command: string, systemd: boolean): string {
  const dir = `${WEFT}/services/${name}`;
  const unit = `[Unit]
Description=Weft ${name}
[Service]
ExecStart=${WEFT}/bin/keep-up ${name}
KillMode=control-group
Restart=always
[Install]
WantedBy=multi-user.target
`;
  const text = quote(`${command}\n`);
  const [isRunning, run] = systemd
    ? [
        `systemctl is-active --quiet weft-${name}.service`,
        `printf %s ${quote(unit)} >/run/systemd/system/weft-${name}.service
systemctl daemon-reload
systemctl restart --no-block weft-${name}.service
`,
      ]
    : [`${WEFT}/bin/is-kept ${name}`, `setsid ${WEFT}/bin/keep-up ${name} </dev/null >/dev/null 2>&1 &\n`];
  return `mkdir -p ${dir}
if ${isRunning} && printf %s ${text} | cmp -s - ${dir}/command; then
:
else
rm -f ${dir}/starts
printf %s ${text} >${dir}/command
${run}fi
`;
}

function siteOf(vm: VmGoal, site: NonNullable<Workload['site']>, systemd: boolean): string {
  const root = site.root === undefined ? null : `${APP}/${site.root}`;
  switch (vm.image.webServer) {
    case 'nginx':
      return nginx(root, site);
    case 'busybox-httpd':
      if (site.proxyPort !== undefined || root === null)
        throw new WeftError('task-failed', `image ${vm.image.name} has busybox httpd, which cannot proxy`, {
          remedy: 'Use an image with nginx, such as debian, or leave proxy out.',
        });
      if (site.proxyProtocol)
        throw new WeftError(
          'task-failed',
          `image ${vm.image.name} has busybox httpd, which knows no PROXY protocol`,
          { remedy: 'Use an image with nginx, such as debian, or leave proxyProtocol out.' },
        );
      return service('site', `exec busybox httpd -f -p ${site.port} -h ${quote(root)}`, systemd);
    case 'none':
      throw new WeftError('task-failed', `image ${vm.image.name} has no web server for a site`, {
        remedy: 'Use an image with nginx, or start a server of your own.',
      });
  }
}

/** A string of nginx's configuration. */
const nginxString = (text: string) => `"${text.replace(/[\\"$]/g, '\\$&')}"`;

function nginx(root: string | null, site: NonNullable<Workload['site']>): string {
  const proxy = site.proxyPort === undefined ? null : `proxy_pass http://127.0.0.1:${site.proxyPort};`;
  const location =
    proxy === null
      ? 'location / { try_files $uri $uri/ =404; }'
      : root === null
        ? `location / { ${proxy} }`
        : `location / { try_files $uri @role; }\n  location @role { ${proxy} }`;
  const flags = site.proxyProtocol ? 'default_server proxy_protocol' : 'default_server';
  // Only load balancers reach the port, and its host, which speaks for itself.
  const client = site.proxyProtocol
    ? '  set_real_ip_from 0.0.0.0/0;\n  set_real_ip_from ::/0;\n  real_ip_header proxy_protocol;\n'
    : '';
  const head = `server {\n  listen ${site.port} ${flags};\n`;
  const listen6 = `  listen [::]:${site.port} ${flags} ipv6only=on;\n`;
  const rest = `${client}  ${root === null ? '' : `root ${nginxString(root)};`}
  ${location}
}
`;
  return `site=/etc/nginx/conf.d/weft.conf
printf %s ${quote(head)} >$site
[ ! -e /proc/net/if_inet6 ] || printf %s ${quote(listen6)} >>$site
printf %s ${quote(rest)} >>$site
rm -f /etc/nginx/sites-enabled/default
nginx -t -q
nginx -s reload 2>/dev/null || nginx
`;
}

/** @throws WeftError `task-failed`. */
export async function startServices(session: SshSession, vm: VmGoal, facts: Contact): Promise<void> {
  const { exitCode, stderr, stdout } = await session.run('sh -s', {
    input: composeServices(vm, facts),
    timeoutMs: LIMIT_MS,
  });
  if (exitCode !== 0)
    throw new WeftError(
      'task-failed',
      `the role could not be started (exit ${exitCode}): ${printable(`${stderr}${stdout}`).slice(-1000)}`,
    );
}

/** The end of the role's own output, and how often it was started. */
export async function readService(session: SshSession): Promise<{ output: string; starts: number }> {
  const dir = `${WEFT}/services/role`;
  const { stdout } = await session.run(`wc -l <${dir}/starts; tail -c 60000 ${dir}/log 2>/dev/null`, {
    timeoutMs: LIMIT_MS,
  });
  const [first = '0', ...rest] = stdout.split('\n');
  return { starts: Number.parseInt(first, 10) || 0, output: printable(rest.join('\n')) };
}
