import { TINY } from '../golden-lab.ts';

/** Every guest of these models listens on all of them, whatever is declared: what does not connect was dropped on its way. */
export const LISTENED = [5432, 5433, 7000, 8080, 9000];
/** Of those, what nobody declares: it is the port by which `db` is known, not the one at which it is reached. */
export const UNDECLARED = 5432;
/** What every guest's SSH listens on. */
export const SSH = 22;
/** Declared of `api`, for `web`. Nobody listens there: who reaches a guest there is told so. */
export const LOG = 514;

const listening = (ports: readonly number[]) =>
  `for port in ${ports.join(' ')}; do busybox httpd -p $port -h /etc; done; exec busybox httpd -f -p ${UNDECLARED} -h /etc`;
const probed = 'probe: {tcp: true, interval: 1s}';
const guest = (instances: number, ports: readonly number[]) => `
    kind: worker
    image: "tiny:stable"
    size: ${TINY}
    instances: ${instances}
    start: "${listening(ports.filter((port) => port !== UNDECLARED))}"`;

/** Four roles, of which each may be reached in another way: by load balancers at another port than its public one, by one role each, by all and its own. */
const fourRoles = (
  name: string,
  publicPort: number,
  instances: number,
  mesh: number,
  machines = '',
) => `apiVersion: weft/v1
kind: Application
name: ${name}
roles:
  web:${guest(instances, LISTENED)}
    endpoints:
      http: {type: input, port: ${publicPort}, targetPort: 8080, probe: {http: /hostname, interval: 1s, timeout: 2s}}
  api:${guest(instances, LISTENED)}
    endpoints:
      admin: {type: internal, port: 9000, from: [web], ${probed}}
      log: {type: internal, protocol: udp, port: ${LOG}, from: [web]}
  db:${guest(instances, LISTENED)}
    endpoints:
      sql: {type: internal, port: 5433, from: [api], ${probed}}
  mesh:${guest(mesh, LISTENED)}
    mesh: true
    endpoints:
      board: {type: internal, port: 7000, ${probed}}
${machines}`;

/** On a network of their own: one is reached by a role and by the other, which is reached by another role. Nothing but SSH listens there. */
const MACHINES = `machines:
  one:
    image: "tiny:stable"
    size: ${TINY}
    network: back
    endpoints: {shell: {type: internal, port: ${SSH}, from: [web, back]}}
  two:
    image: "tiny:stable"
    size: ${TINY}
    network: back
    endpoints: {shell: {type: internal, port: ${SSH}, from: [db]}}
`;

/** With one guest of the mesh more than a lab has hosts: two of them are neighbours. */
export const NORTH = fourRoles('north', 80, 2, 4, MACHINES);
export const SOUTH = fourRoles('south', 81, 1, 1);

const CROWD_ENDPOINTS = 350;
export const CROWD_FIRST = 20_000;
/** Declared last of all, for `one` alone. */
export const CROWD_LAST = CROWD_FIRST + CROWD_ENDPOINTS - 1;

const crowdRole = (role: string, last: string) => `
  ${role}:${guest(1, [...LISTENED, CROWD_FIRST, CROWD_LAST])}
    endpoints:
${Array.from({ length: CROWD_ENDPOINTS - 1 }, (_, index) => `      p${index}: {type: internal, port: ${CROWD_FIRST + index}}`).join('\n')}
      last: {type: internal, port: ${CROWD_LAST}${last}, ${probed}}`;

/** More than two thousand rules on each host that has a guest of it: each endpoint is for both other roles. */
export const CROWD = `apiVersion: weft/v1
kind: Application
name: crowd
roles:${crowdRole('one', '')}${crowdRole('two', '')}${crowdRole('three', ', from: [one]')}
`;
