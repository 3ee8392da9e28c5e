import { exec } from '../../agent/kit/exec.ts';
import { exists } from '../../agent/kit/exists.ts';
import { buildBox } from '../../images/recipes/host-box/build-box.ts';
import { REPOSITORY } from '../lab/layout.ts';
import { close, runVitest } from '../support/stage.ts';
import { vagrant } from './machines.ts';

/**
 * `npm run test:vagrant`: packages, box, machines, the tests, and the machines' end. Needs vagrant, vagrant-libvirt, sshd and a
 * libvirtd at qemu:///system. WEFT_BOX takes another box than our own; WEFT_KEEP=1 lets the machines stand.
 */
const OWN_BOX = 'weft-host';
const say = (line: string) => process.stderr.write(`vagrant: ${line}\n`);

async function main(): Promise<number> {
  await exec(process.execPath, ['--import', 'tsx', 'controller/packaging/deb/main.ts'], {
    cwd: REPOSITORY,
    timeoutMs: 900_000,
    onLine: say,
  });
  if (process.env.WEFT_BOX === undefined) await addOwnBox();
  process.env.WEFT_DRIVER ??= (await exists('/dev/kvm')) ? 'kvm' : 'qemu';
  try {
    await vagrant(['up', '--provider', 'libvirt'], say);
    return close([await runVitest('vagrant', ['vagrant'])]);
  } finally {
    if (process.env.WEFT_KEEP === undefined) await vagrant(['destroy', '--force'], say);
  }
}

async function addOwnBox(): Promise<void> {
  process.env.WEFT_BOX = OWN_BOX;
  const box = await buildBox({ cacheFolder: '/var/cache/weft/host-box', onLine: say });
  await vagrant(['box', 'add', '--force', '--provider', 'libvirt', '--name', OWN_BOX, box], say);
}

process.exit(await main());
