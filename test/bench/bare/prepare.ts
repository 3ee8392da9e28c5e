import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { composeSeed } from '../../../agent/guest/seed.ts';
import { writeSeedIso } from '../../../agent/guest/seed-iso.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { makeSshKeyPair, type SshKeyPair } from '../../../agent/kit/ssh-keys.ts';
import { aVmGoal, FLEET } from '../../support/builders/goal.ts';
import type { BareGuest } from './boot.ts';
import { bareCommandLine } from './command-line.ts';

/** A domain of Weft's that bare guests are made like. */
export interface Pattern {
  readonly argv: readonly string[];
  /** Where the file system of the domain's host is on this machine. */
  readonly root: string;
  /** The layer below the overlays, on this machine. */
  readonly layer: string;
  readonly diskMiB: number;
}

/** Where a bare guest is. */
export interface BarePlace {
  readonly name: string;
  /** Stands already. */
  readonly tap: string;
  readonly mac: string;
  readonly address: string;
  readonly cidr: string;
  readonly gateway: string;
  /** Absent: the guest's own choice. */
  readonly mtu?: number;
}

/** Makes overlay and seed of a guest, in a folder of its own below `parent`. */
export async function prepareBareGuest(
  { argv, root, layer, diskMiB }: Pattern,
  parent: string,
  userKey: SshKeyPair,
  { name, tap, mac, address, cidr, gateway, mtu }: BarePlace,
): Promise<BareGuest> {
  const folder = join(parent, name);
  await mkdir(folder);
  const overlay = join(folder, 'overlay.qcow2');
  const create = ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', layer, overlay, `${diskMiB}M`];
  await exec('qemu-img', create, { timeoutMs: 60_000 });
  const hostKey = makeSshKeyPair('bench');
  const seed = join(folder, 'seed.iso');
  await writeSeedIso(
    seed,
    composeSeed({
      fleet: FLEET,
      vm: aVmGoal({ id: `bench/${name}`, nic: { networkId: 'bench/bare', mac, address } }),
      network: { id: 'bench/bare', number: 1, cidr, gateway, leases: [] },
      secrets: {
        userPrivateKey: userKey.private,
        userPublicKey: userKey.public,
        hostPrivateKey: hostKey.private,
        hostPublicKey: hostKey.public,
      },
      mtu,
    }),
  );
  const arguments_ = bareCommandLine(argv, { name, overlay, seed, mac, tap, folder }, root);
  return { program: argv[0] ?? '', arguments: arguments_, address, hostPublicKey: hostKey.public };
}
