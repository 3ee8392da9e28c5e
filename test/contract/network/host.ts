import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { PlacedAddresses } from '../../../agent/edge/placed-addresses.ts';
import { GuestAddressing } from '../../../agent/ipv6/guest-addressing.ts';
import { systemClock } from '../../../agent/kit/clock.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { type ConnectionTable, kernelTable } from '../../../agent/network/connection-table.ts';
import { GuestConnections } from '../../../agent/network/guest-connections.ts';
import { KeptPart } from '../../../agent/network/kept-part.ts';
import { watchKernel } from '../../../agent/network/kernel-monitor.ts';
import { KernelTunnel, type TunnelSettings } from '../../../agent/network/kernel-tunnel.ts';
import { observeLinks } from '../../../agent/network/links-observed.ts';
import { NftHostNetwork } from '../../../agent/network/nft-host-network.ts';
import type { RouterPart } from '../../../agent/network/router-part.ts';
import { TunnelAbility } from '../../../agent/network/tunnel-ability.ts';
import type { RuleQuestion } from '../../../agent/protocol/index.ts';
import { UnderlayWatch } from '../../../agent/wiring/underlay.ts';

/** A host's network room alone, in its own namespace: goals come as lines, and each is answered when its rules and links are there. */
const guarded: readonly string[] = JSON.parse(process.argv[2] ?? '[]');
/** Absent: it encrypts nothing. */
const settings: TunnelSettings | null = JSON.parse(process.argv[3] ?? 'null');
/** Where its radvd has its files. Absent: nobody tells guests of IPv6. */
const advertisements = process.argv[5];
const log = { info: () => undefined, warn: (fields: unknown) => console.error(fields) } as never;
/** Absent: as the kernel's table is. */
const limits: { readonly perSecond: number | 'off'; readonly max: number } | null = JSON.parse(
  process.argv[4] ?? 'null',
);
const tunnel = settings && new KernelTunnel(settings, log);
/** Where it keeps what is wanted, once it is told. */
let kept: KeptPart | null = null;
/** What it waits for before it writes that down: as a disk that hangs. */
let disk = Promise.resolve();
let release: () => void = () => undefined;
const addressing =
  advertisements === undefined
    ? null
    : new GuestAddressing({
        // Whoever puts a file of this name there takes radvd away from the host.
        ...{ folder: advertisements, isInstalled: async () => !existsSync(`${advertisements}.gone`) },
        ...{ clock: systemClock, log, onChange: () => undefined },
      });
const network = new NftHostNetwork({
  log,
  kept: {
    get fleet() {
      return kept?.fleet ?? '0000';
    },
    found: async () => kept?.found() ?? null,
    keep: async (part) => {
      await disk;
      await kept?.keep(part);
    },
  },
  guarded: async () => guarded,
  ...(tunnel === null ? {} : { tunnel }),
  ...(addressing === null ? {} : { addressing }),
  ...(limits === null
    ? {}
    : { guestConnections: new GuestConnections({ ...limits, log, table: tableOf(limits.max) }) }),
});

/** The kernel's own, which is as large as it is said to be: how large is the whole machine's to say. */
function tableOf(max: number): ConnectionTable {
  const fill = async () => {
    const found = await kernelTable.fill();
    return found && { ...found, max };
  };
  return { ...kernelTable, fill };
}

type Request = { readonly id: number } & (
  | { readonly do: 'apply'; readonly part: RouterPart }
  | { readonly do: 'nft'; readonly text: string }
  | { readonly do: 'keep'; readonly fleet: string; readonly file: string }
  | { readonly do: 'disk'; readonly hangs: boolean }
  | { readonly do: 'heal' }
  | { readonly do: 'problem' }
  | { readonly do: 'ability'; readonly fleet: string }
  | { readonly do: 'counters'; readonly fleet: string; readonly question: RuleQuestion }
  | { readonly do: 'connections' }
  | { readonly do: 'watch' }
  | { readonly do: 'look' }
  | {
      readonly do: 'underlay';
      readonly fleet: string;
      readonly file: string;
      readonly controller: string;
      /** Of the servers of an edge host. */
      readonly edge: string;
    }
);

let underlay: UnderlayWatch | null = null;

/** Where others reach this host, as another look says. */
async function lookAtUnderlay({ fleet, file, controller, edge }: Request & { readonly do: 'underlay' }) {
  if (underlay) await underlay.look();
  else {
    underlay = new UnderlayWatch({
      ...{ fleet, file, address: null, devices: [], controller: () => controller },
      shared: () => new PlacedAddresses(edge).addresses(),
      ...{ clock: systemClock, log: { warn: console.error } as never },
    });
    await underlay.start();
  }
  return underlay.latest;
}

async function work(request: Request): Promise<unknown> {
  switch (request.do) {
    case 'apply': {
      const fromMs = performance.now();
      await network.apply(request.part);
      const rulesMs = performance.now() - fromMs;
      await network.refresh();
      return { rulesMs, linksMs: performance.now() - fromMs };
    }
    case 'nft': {
      const fromMs = performance.now();
      await exec('nft', ['-f', '-'], { input: request.text, timeoutMs: 30_000 });
      return performance.now() - fromMs;
    }
    case 'counters':
      return network.counters(request.fleet, request.question);
    case 'ability':
      return settings && new TunnelAbility(request.fleet, settings, () => tunnel?.problem ?? null).look();
    case 'connections':
      return { hasChanged: await network.lookAtConnections(), seen: network.connections };
    case 'keep':
      kept = new KeptPart({ fleet: request.fleet, file: request.file, bootId: 'this boot', log });
      return true;
    case 'disk':
      release();
      if (request.hangs)
        disk = new Promise((resolve) => {
          release = resolve;
        });
      return true;
    case 'problem':
      return addressing?.problem ?? null;
    case 'look':
      return observeLinks([]);
    case 'heal':
      return network.heal();
    case 'underlay':
      return lookAtUnderlay(request);
    case 'watch':
      network.watch(systemClock, (listener) => watchKernel(systemClock, listener));
      return true;
  }
}

const say = (document: unknown) => process.stdout.write(`${JSON.stringify(document)}\n`);
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const request = JSON.parse(line) as Request;
    work(request).then(
      (answer) => say({ id: request.id, answer }),
      (error: unknown) => say({ id: request.id, error: String(error) }),
    );
  })
  .on('close', () => process.exit(0));
say({ id: 0, answer: true });
