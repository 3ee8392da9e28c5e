import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { prefixMeant, prefixProblem } from '../agent/kit/addressing.ts';
import { WeftError } from '../agent/kit/errors.ts';
import { parsePublicRange } from './model/public-ranges.ts';
import { defaultReservedPorts, type PortRanges, parsePortRanges } from './model/reserved-ports.ts';

const ENCRYPT = ['off', 'prefer', 'require'] as const;

export interface ControllerConfiguration {
  readonly state: string;
  readonly listen: Address;
  readonly agents: Address;
  readonly clientConfig: string | null;
  readonly joinTokenFile: string | null;
  /** A host that is not heard from for so long is down, milliseconds; suspect after half of it. */
  readonly downAfterMs: number;
  /** Healing holds still while more than a third of the hosts, and at least two, are silent at once. */
  readonly holds: boolean;
  /** What a host has left in a shared pool has so long to be found by the others, milliseconds; else they have two storages. */
  readonly beatGraceMs: number;
  /** IPv4 addresses of all guests and routers, in CIDR form; null: what the fleet has, or the default. */
  readonly guestRange: string | null;
  /** Domain of all names; null: the usual one. Judged by `parseZone`. */
  readonly zone: string | null;
  /** Whether what goes between hosts is encrypted. */
  readonly encrypt: (typeof ENCRYPT)[number];
  /** Addresses that applications and public machines are reached at, as `192.0.2.200-192.0.2.219/24`. */
  readonly publicRanges: readonly string[];
  /** Program that obtains certificates of endpoints; an absolute path. Null: somebody puts them there. */
  readonly certificateHook: string | null;
  /** Ports of edge hosts that no application may have. */
  readonly reservedPorts: PortRanges;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export const USAGE = `usage: weft-controller [options]

  --state DIR                  store, keys and blobs; default /var/lib/weft/controller
  --listen HOST:PORT           the users' API; default 127.0.0.1:7700
  --agents HOST:PORT           where hosts connect; default 127.0.0.1:7701
  --write-client-config FILE   writes a client configuration (mode 0600) once it listens
  --write-join-token FILE      writes a join token for one host (mode 0600) once it listens
  --down-after SECONDS         a host that is silent for so long is down, suspect after half of it; 3 to 600, default 4
  --hold-healing on|off        heal nothing while more than a third of the hosts, and at least two, are silent; default on
  --beat-grace SECONDS         hosts that have not found each other's file in a shared pool by then have two storages; 15 to
                               3600, default 75: more where mounts keep names for longer than a minute (actimeo)
  --guest-range CIDR           addresses of all guests, /8 to /20, of which each role has a /22; default 10.128.0.0/10. It can be
                               changed as long as no application has a network
  --zone DOMAIN                where applications, instances and machines have their names; default weft.internal
  --encrypt off|prefer|require what guests send from host to host is encrypted by WireGuard: not at all, between hosts that both can, or
                               else it does not go; default off. Guests' MTU is 60 bytes less with it (80 over IPv6)
  --public RANGE[,RANGE…]      addresses of the hosts' own network that are given to applications with input endpoints, and to
                               machines that are public, with the prefix of their link: 192.0.2.200-192.0.2.219/24; default
                               none, and edge hosts' own are used. With a range of IPv6 beside one of IPv4
                               (2001:db8::200-2001:db8::2ff/64) each gets one of both
  --certificate-hook PROGRAM   obtains and renews certificates of endpoints that say for which names, as PROGRAM NAME DNS-NAME…;
                               default none
  --reserved-ports LIST        ports that edge hosts need for themselves and no application may publish, as 22,7700-7709, or none;
                               default 22,53,7702-7709,16509,16514 and those of --listen and --agents
`;

/** @returns null when only the usage was asked for. @throws WeftError `usage`. */
export function readConfiguration(args: readonly string[]): ControllerConfiguration | null {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        state: { type: 'string', default: '/var/lib/weft/controller' },
        listen: { type: 'string', default: '127.0.0.1:7700' },
        agents: { type: 'string', default: '127.0.0.1:7701' },
        'write-client-config': { type: 'string' },
        'write-join-token': { type: 'string' },
        'down-after': { type: 'string', default: '4' },
        'hold-healing': { type: 'string', default: 'on' },
        'beat-grace': { type: 'string', default: '75' },
        'guest-range': { type: 'string' },
        zone: { type: 'string' },
        encrypt: { type: 'string', default: 'off' },
        public: { type: 'string', multiple: true, default: [] },
        'certificate-hook': { type: 'string' },
        'reserved-ports': { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return null;
    const listen = parseAddress(values.listen);
    const agents = parseAddress(values.agents);
    return {
      ...{ state: values.state, listen, agents },
      clientConfig: values['write-client-config'] ?? null,
      joinTokenFile: values['write-join-token'] ?? null,
      // Hosts send a heartbeat each second: less than three of them is no silence.
      downAfterMs: parseSeconds('--down-after', values['down-after'], 3, 600),
      holds: parseSwitch('--hold-healing', values['hold-healing']),
      // Hosts look every ten seconds.
      beatGraceMs: parseSeconds('--beat-grace', values['beat-grace'], 15, 3_600),
      guestRange: values['guest-range'] === undefined ? null : parseGuestRange(values['guest-range']),
      zone: values.zone ?? null,
      encrypt: parseEncrypt(values.encrypt),
      publicRanges: parsePublicRanges(values.public),
      certificateHook: values['certificate-hook'] === undefined ? null : resolve(values['certificate-hook']),
      reservedPorts:
        parseReserved(values['reserved-ports']) ?? defaultReservedPorts([listen.port, agents.port]),
    };
  } catch (error) {
    throw new WeftError('usage', (error as Error).message, { remedy: 'See --help.' });
  }
}

function parseSeconds(option: string, text: string, least: number, most: number): number {
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds < least || seconds > most)
    throw new Error(`${option} ${text} is no number of seconds from ${least} to ${most}`);
  return Math.round(seconds * 1000);
}

/** A /20 has room for three subnets and the routers'. */
function parseGuestRange(text: string): string {
  const problem = text.includes(':') ? 'must be IPv4' : prefixProblem(text);
  const meant = text.includes(':') ? null : prefixMeant(text);
  if (problem !== null)
    throw new Error(`--guest-range ${text}: ${problem}${meant === null ? '' : `: write ${meant}`}`);
  const length = Number(text.split('/')[1]);
  if (length > 20)
    throw new Error(`--guest-range ${text} is too small: each role needs a /22 of it, so /20 is the least`);
  if (length < 8) throw new Error(`--guest-range ${text} is too large: /8 is the most`);
  return text;
}

function parsePublicRanges(options: readonly string[]): readonly string[] {
  const texts = options.flatMap((each) => each.split(','));
  const families = texts.map((text) => {
    const range = parsePublicRange(text);
    if (range) return range.family;
    throw new Error(
      `--public ${text} is no range of one link, such as 192.0.2.200-192.0.2.219/24 or 2001:db8::200-2001:db8::2ff/64`,
    );
  });
  if (families.includes(6) && !families.includes(4))
    throw new Error(`--public ${texts.join(',')} is of IPv6 alone: those go along with addresses of IPv4`);
  return texts;
}

function parseReserved(text: string | undefined): PortRanges | null {
  if (text === undefined) return null;
  const ranges = parsePortRanges(text);
  if (ranges === null)
    throw new Error(`--reserved-ports ${text} is neither none nor a list such as 22,7700-7709`);
  return ranges;
}

function parseSwitch(option: string, text: string): boolean {
  if (text !== 'on' && text !== 'off') throw new Error(`${option} ${text} is neither on nor off`);
  return text === 'on';
}

function parseEncrypt(text: string): ControllerConfiguration['encrypt'] {
  const found = ENCRYPT.find((each) => each === text);
  if (found === undefined) throw new Error(`--encrypt ${text} is not off, prefer or require`);
  return found;
}

function parseAddress(text: string): Address {
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  if (host === undefined) throw new Error(`${text} is no HOST:PORT`);
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}
