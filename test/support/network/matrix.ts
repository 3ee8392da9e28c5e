import type { WeftClient } from '../../../controller/client/index.ts';
import type { Weft } from '../weft.ts';
import type { Declarations, Place } from './declared.ts';
import { type Outcome, type Probe, probeFrom } from './guest-probes.ts';

export interface PlacedGuest extends Place {
  readonly id: string;
  readonly host: string;
  readonly address: string;
  readonly address6: string;
}

/** All that have a place and both addresses. @throws where one has not. */
export async function guestsOf(api: WeftClient, apps: readonly string[]): Promise<readonly PlacedGuest[]> {
  const views = await Promise.all(apps.map((app) => api.network(app)));
  return views.flatMap(({ app, subnets }) =>
    subnets.flatMap(({ id: subnet, guests }) =>
      guests.map(({ id, host, address, address6 }) => {
        if (host === null || address === '' || address6 === null) throw new Error(`${id} has no place`);
        return { id, app, role: subnet.slice(app.length + 1), host, address, address6 };
      }),
    ),
  );
}

export interface Tried {
  readonly from: PlacedGuest;
  readonly to: PlacedGuest;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly isDeclared: boolean;
  readonly outcome: Outcome;
}

/** Long enough for what is let through on a slow machine; what is not waits for the whole of it, datagrams one after the other. */
const ANSWERS_S = 60;
const SILENCE_S = { tcp: 6, udp: 3 };

export interface Tries {
  readonly from: readonly PlacedGuest[];
  readonly to: readonly PlacedGuest[];
  readonly ports: readonly number[];
  readonly protocol?: 'tcp' | 'udp';
}

/** Every guest tries every other one at each port, by IPv4 and IPv6, from inside, all at the same time. */
export async function tryMatrix(
  weft: Weft,
  declared: Declarations,
  { from, to, ports, protocol = 'tcp' }: Tries,
): Promise<readonly Tried[]> {
  const rows = from.map(async (source): Promise<readonly Tried[]> => {
    const tries = to.flatMap((target) => {
      if (target === source) return [];
      return ports.flatMap((port) => {
        const isDeclared = declared.letThrough(source, target, port, protocol);
        const common = { from: source, to: target, port, protocol, isDeclared };
        return [target.address, target.address6].map((address) => ({ ...common, address }));
      });
    });
    const probes = tries.map(
      ({ address, port, isDeclared }): Probe => ({
        ...{ protocol, address, port, isFirst: isDeclared },
        patienceSeconds: isDeclared ? ANSWERS_S : SILENCE_S[protocol],
      }),
    );
    const outcomes = await probeFrom(weft, source.id, probes);
    return tries.map((each, index) => ({ ...each, outcome: outcomes[index] as Outcome }));
  });
  return (await Promise.all(rows)).flat();
}

/** Those that came to something else than is declared, each in a line. Who is refused was reached. */
export const wrongOf = (all: readonly Tried[]): readonly string[] =>
  all
    .filter(({ isDeclared, outcome, protocol }) =>
      isDeclared
        ? outcome !== (protocol === 'tcp' ? 'connected' : 'refused')
        : outcome !== 'silent' && outcome !== 'no-route',
    )
    .map(
      ({ from, to, protocol, port, address, isDeclared, outcome }) =>
        `${from.id} (${from.host}) → ${to.id} (${to.host}) ${protocol} ${port} at ${address}: ${outcome}, ${isDeclared ? '' : 'not '}declared`,
    );
