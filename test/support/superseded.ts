import { hexOf4 } from '../../agent/network/names.ts';
import type { Lab } from '../lab/lab.ts';
import { TINY } from './golden-lab.ts';
import { waitFor } from './wait-for.ts';
import type { PsRow, Weft } from './weft.ts';

/** Where receivers write down all that they are told, and where nobody listens. */
const PORT = 9_001;
const LOG = 514;
const HEARD = '/run/heard';

/** Senders are served to the world, where they say who they are, and may speak to receivers. */
export const POST = `
apiVersion: weft/v1
kind: Application
name: post
roles:
  sender:
    kind: worker
    image: "tiny:stable"
    size: ${TINY}
    instances: 2
    start: "mkdir -p /run/www; echo $WEFT_INSTANCE.$WEFT_INCARNATION >/run/www/who; exec busybox httpd -f -p 8080 -h /run/www"
    endpoints:
      http: {type: input, port: 80, targetPort: 8080, probe: {http: /who, interval: 1s, timeout: 5s}}
  receiver:
    kind: worker
    image: "tiny:stable"
    size: ${TINY}
    instances: 2
    start: "exec busybox nc -ll -p ${PORT} -e sh -c 'cat >>${HEARD}'"
    endpoints:
      text: {type: internal, port: ${PORT}, from: [sender]}
      log: {type: internal, protocol: udp, port: ${LOG}, from: [sender]}
`;

/** By its incarnation: as it says itself. */
export const nameOf = ({ id, incarnation }: PsRow): string => `${id}.${incarnation}`;

const WAYS = ['stream', 'knock'] as const;

/** What an incarnation goes on saying to receivers, whatever becomes of it: by connections that stay open (`stream`), and by new ones (`knock`). */
export class Speaker {
  readonly #weft: Weft;
  readonly #name: string;
  readonly #receivers: readonly PsRow[];

  private constructor(weft: Weft, name: string, receivers: readonly PsRow[]) {
    this.#weft = weft;
    this.#name = name;
    this.#receivers = receivers;
  }

  /** Ends with all receivers having heard it in both ways. */
  static async start(weft: Weft, row: PsRow, receivers: readonly PsRow[]): Promise<Speaker> {
    const speaker = new Speaker(weft, nameOf(row), receivers);
    const say = (way: (typeof WAYS)[number]) => `echo ${speaker.#name} ${way}`;
    const loops = receivers.flatMap(({ address }) => [
      `while :; do while ${say('stream')}; do sleep 1; done | nc ${address} ${PORT}; sleep 1; done`,
      `while :; do ${say('knock')} | nc -w 3 ${address} ${PORT}; sleep 1; done`,
    ]);
    const started = loops.map((loop) => `(setsid sh -c '${loop}' </dev/null >/dev/null 2>&1 &)`);
    await weft.inside(row.id, started.join('; '));
    await waitFor(
      `${speaker.#name} to be heard`,
      () => speaker.heard(),
      (counts) => counts.flat().every((count) => count > 1),
      60_000,
    );
    return speaker;
  }

  /** Of each receiver, how often it has been told in either way. */
  heard(): Promise<readonly (readonly number[])[]> {
    const counts = WAYS.map((way) => `grep -c "^${this.#name} ${way}" ${HEARD}`).join('; ');
    return Promise.all(
      this.#receivers.map(async ({ id }) =>
        (await this.#weft.inside(id, `${counts}; true`)).split('\n').map(Number),
      ),
    );
  }
}

/** Goes on sending datagrams to receivers, each to the port behind the one that is named; an answer is needed for none. */
export async function sendDatagrams(weft: Weft, { id }: PsRow, receivers: readonly PsRow[]): Promise<void> {
  const loops = receivers.map(
    ({ address }) => `while :; do traceroute -n -f 9 -m 9 -q 1 -w 1 -p ${LOG - 1} ${address}; sleep 1; done`,
  );
  await weft.inside(
    id,
    loops.map((loop) => `(setsid sh -c '${loop}' </dev/null >/dev/null 2>&1 &)`).join('; '),
  );
}

export interface Datagrams {
  /** They have come to the receiver's host. */
  readonly arrived: number;
  /** They were given to the receiver. */
  readonly delivered: number;
}

const TABLE = 'datagrams';

/** Counts from now on those to a receiver from one address: before any rule of ours, and behind all of them. One watch a host at a time. */
export class DatagramWatch {
  readonly #lab: Lab;
  readonly #host: string;

  private constructor(lab: Lab, host: string) {
    this.#lab = lab;
    this.#host = host;
  }

  static async start(lab: Lab, from: PsRow, to: PsRow): Promise<DatagramWatch> {
    const host = String(to.host);
    const { stdout } = await lab.exec(host, ['ip', '-o', 'link', 'show']);
    const deviceOf = (name: string) => {
      const found = new RegExp(`: (${name})[:@]`).exec(stdout)?.[1];
      if (found === undefined) throw new Error(`${host} has no ${name}`);
      return found;
    };
    const tables = [
      ['netdev', `ingress device ${deviceOf('wx[0-9a-f]{4}')}`, ''],
      ['bridge', 'postrouting', `oifname ${deviceOf(`wt[0-9a-f]{4}-${hexOf4(String(to.address))}`)}`],
    ].map(([family, hook, where]) =>
      [
        `table ${family} ${TABLE} {`,
        'counter counted { }',
        'chain look {',
        `type filter hook ${hook} priority ${family === 'netdev' ? -300 : 300}; policy accept;`,
        `${where} ip saddr ${from.address} ip daddr ${to.address} udp dport ${LOG} counter name counted`,
        '}',
        '}',
      ].join('\n'),
    );
    await lab.exec(host, ['nft', '-f', '-'], { input: `${tables.join('\n')}\n` });
    return new DatagramWatch(lab, host);
  }

  async counts(): Promise<Datagrams> {
    const [arrived = 0, delivered = 0] = await Promise.all(
      ['netdev', 'bridge'].map(async (family) => {
        const listed = await this.#lab.exec(this.#host, ['nft', 'list', 'counter', family, TABLE, 'counted']);
        return Number(/packets (\d+)/.exec(listed.stdout)?.[1]);
      }),
    );
    return { arrived, delivered };
  }

  async end(): Promise<void> {
    for (const family of ['netdev', 'bridge'])
      await this.#lab.exec(this.#host, ['nft', 'delete', 'table', family, TABLE]);
  }
}
