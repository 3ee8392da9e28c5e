import { isIP } from 'node:net';
import type { Weft } from '../weft.ts';

/** `refused`: it was reached, and nothing listens there. `silent`: nobody has answered in time. */
export type Outcome = 'connected' | 'refused' | 'no-route' | 'silent';

export interface Probe {
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
  readonly patienceSeconds: number;
  /** It is to be reached: it is tried before all that is not. */
  readonly isFirst: boolean;
}

/** More hops than there can be, so that a datagram's answer is that of its target. */
const HOPS = 9;
const LIMIT_MS = 240_000;
const END = '--';

/**
 * Tries, with what every busybox has, what stdin says, one a line: first what is waited for, all at once, then all else, so that what is to connect has the
 * guests to itself. A netcat that has connected runs a program, which leaves a file. A datagram to where nobody listens comes back as an ICMP error, which
 * traceroute shows; it sends its first one to the port behind the one that it is given, and takes every such error for its own: one after the other.
 */
const SCRIPT = `
d=$(mktemp -d) && cd $d || exit 1
while read -r first n protocol address port seconds; do
  [ $first = 0 ] && [ ! -f half ] && { wait; touch half; }
  case $protocol-$address in
    tcp-*) nc -w $seconds $address $port -e touch $d/$n.connected </dev/null >$n 2>&1 & ;;
    udp-*:*) traceroute6 -n -f ${HOPS} -m ${HOPS} -q 1 -w $seconds -p $((port - 1)) $address </dev/null >$n 2>&1 ;;
    udp-*) traceroute -n -f ${HOPS} -m ${HOPS} -q 1 -w $seconds -p $((port - 1)) $address </dev/null >$n 2>&1 ;;
  esac
done
wait
ls
echo ${END}
grep -H . *
cd / && rm -r $d
exit 0
`;

/** What connections come to that are tried from inside a guest, in their order. @throws where one was not tried. */
export async function probeFrom(
  weft: Weft,
  id: string,
  probes: readonly Probe[],
): Promise<readonly Outcome[]> {
  const asked = probes.map(({ protocol, address, port, patienceSeconds, isFirst }, index) => {
    if (isIP(address) === 0) throw new TypeError(`${address} is no address`);
    return `${isFirst ? 1 : 0} ${index} ${protocol} ${address} ${port} ${patienceSeconds}\n`;
  });
  const input = asked.sort().reverse();
  const answer = await weft.ok(['ssh', id, '--', SCRIPT], { input: input.join(''), timeoutMs: LIMIT_MS });
  const lines = answer.split('\n');
  const end = lines.indexOf(END);
  const files = new Set(lines.slice(0, end));
  const texts = new Map<string, string>();
  for (const line of lines.slice(end + 1)) {
    const at = line.indexOf(':');
    const name = line.slice(0, at);
    texts.set(name, `${texts.get(name) ?? ''}${line.slice(at + 1)}\n`);
  }
  return probes.map((probe, index) => {
    const text = texts.get(String(index)) ?? '';
    const outcome = files.has(`${index}.connected`) ? 'connected' : outcomeOf(probe, text);
    if (outcome !== null) return outcome;
    throw new Error(`${id} has not tried ${probe.address} port ${probe.port}: ${text || 'no word of it'}`);
  });
}

function outcomeOf({ protocol, address }: Probe, text: string): Outcome | null {
  if (protocol === 'tcp') {
    if (/refused/i.test(text)) return 'refused';
    if (/unreachable|no route/i.test(text)) return 'no-route';
    return /timed out/i.test(text) ? 'silent' : null;
  }
  const hop = new RegExp(`^ *${HOPS} +(.*)$`, 'm').exec(text)?.[1];
  if (hop === undefined) return /unreachable|no route/i.test(text) ? 'no-route' : null;
  if (hop.startsWith('*')) return 'silent';
  return hop.split(' ')[0] === address && !hop.includes('!') ? 'refused' : 'no-route';
}

/**
 * Runs a script in a guest that may be out of reach meanwhile.
 * @returns a question to be asked again and again: what it has printed, or null as long as it runs or the guest does not answer.
 */
export async function runUnreached(
  weft: Weft,
  id: string,
  script: string,
): Promise<() => Promise<string | null>> {
  const file = `/run/unreached-${Math.random().toString(36).slice(2)}`;
  const started = `cat >${file}.sh; setsid sh -c 'sh ${file}.sh >${file}.new 2>&1; mv ${file}.new ${file}' </dev/null >/dev/null 2>&1 &`;
  // Whoever has started it is answered before it begins.
  await weft.ok(['ssh', id, '--', started], { input: `sleep 1\n${script}` });
  return async () => {
    const { exitCode, stdout } = await weft.run(['ssh', id, '--', `cat ${file}`]);
    return exitCode === 0 ? stdout : null;
  };
}
