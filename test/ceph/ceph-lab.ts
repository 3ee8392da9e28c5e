import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../agent/kit/exec.ts';
import { STORAGE_FENCE } from '../../agent/protocol/index.ts';
import { bridgeName, layoutOf } from '../lab/layout.ts';
import { type GoldenLab, goldenLab } from '../support/golden-lab.ts';
import { CephCluster } from './cluster.ts';

/** Ceph's name of the pool that the hosts offer as `POOL`. */
export const CEPH_POOL = 'vms';
export const POOL = 'ceph';
const USER = 'weft';
const FENCE_USER = 'weft-fence';

export interface CephLab {
  readonly golden: GoldenLab;
  readonly cluster: CephCluster;
  /** Arguments by which a host's own user is named to Ceph's programs. */
  readonly access: readonly string[];
  down(): Promise<void>;
}

/**
 * A lab whose hosts have a pool in a Ceph cluster, and no fence device but the storage fence. The cluster is reached at an address of its
 * own: a host that is cut off from the controller still has its disks.
 */
export async function cephLab(name: string, hosts: number): Promise<CephLab> {
  const folder = join(layoutOf(name).folder, 'ceph');
  const conf = join(folder, 'ceph.conf');
  const keyring = join(folder, `ceph.client.${USER}.keyring`);
  const golden = await goldenLab(name, {
    hosts,
    agentOf: ({ address }) => ({
      pools: [
        { name: 'local', path: '/var/lib/weft/pools/local' },
        { name: POOL, kind: 'rbd', pool: CEPH_POOL, user: USER, conf, keyring },
      ],
      backups: [{ name: 'vault', path: '/var/lib/weft/backups' }],
      // Slow enough to be caught in the middle.
      migration: { bandwidthMiBps: 6 },
      fence: [{ agent: STORAGE_FENCE, options: { addresses: address }, secret: 'ceph' }],
    }),
  });
  let cluster: CephCluster | null = null;
  const down = async () => {
    await cluster?.stop();
    await golden.down();
  };
  try {
    const { number } = await golden.lab.state();
    const address = `10.77.${number}.2`;
    await exec('ip', ['address', 'add', `${address}/24`, 'dev', bridgeName(number)], { timeoutMs: 10_000 });
    cluster = await CephCluster.start(folder, address);
    await cluster.createPool(CEPH_POOL);
    const profile = 'profile rbd';
    const onPool = `${profile} pool=${CEPH_POOL}`;
    await cluster.createUser(USER, ...['mon', profile, 'osd', onPool, 'mgr', onPool]);
    const fenceKeyring = await cluster.createUser(
      FENCE_USER,
      ...['mon', 'allow r, allow command "osd blocklist"'],
    );
    await writeFenceSecret(golden, [`conf=${conf}`, `user=${FENCE_USER}`, `keyring=${fenceKeyring}`]);
    await golden.lab.makePools([POOL]);
    const access = ['--conf', conf, '--id', USER, '--keyring', keyring];
    return { golden, cluster, access, down };
  } catch (error) {
    await down();
    throw error;
  }
}

async function writeFenceSecret({ lab }: GoldenLab, lines: readonly string[]): Promise<void> {
  const secrets = join(lab.layout.controllerState, 'secrets', 'fence');
  await mkdir(secrets, { recursive: true, mode: 0o700 });
  await writeFile(join(secrets, 'ceph'), ['', ...lines, ''].join('\n'), { mode: 0o600 });
}
