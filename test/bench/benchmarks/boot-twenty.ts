import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packFolder } from '../../support/package.ts';
import { bootBareGuests } from '../bare/guests.ts';
import type { Benchmark, Measurement } from '../contract.ts';
import { BenchFleet } from '../fleet.ts';
import { pairedRatio } from '../statistics.ts';

const DISK_MIB = 256;
const SIZE = `{cpus: 1, memory: 128MiB, disk: ${DISK_MIB}MiB}`;
const COUNT = 20;
const ROUNDS = 3;
const PACKAGE = './fleet.tar.gz';

const model = (web: number, worker: number) => `
apiVersion: weft/v1
kind: Application
name: fleet
package: ${PACKAGE}
roles:
  web:
    kind: web
    image: tiny:stable
    size: ${SIZE}
    instances: ${web}
    site: {root: public}
    endpoints:
      http: {type: input, port: 80, targetPort: 8080, probe: {http: /, interval: 5s, timeout: 2s}}
  worker: {kind: worker, image: "tiny:stable", size: ${SIZE}, instances: ${worker}}
`;

/** Six web and fourteen worker instances at once on three hosts: on a small machine, what Weft itself costs while its guests boot. */
export const bootTwenty: Benchmark = {
  name: 'boot-twenty',
  about:
    'twenty tiny instances on three hosts, apply to all ready, against twenty bare QEMUs; memory of controller and agents',
  async run({ rounds, say }) {
    const folder = await mkdtemp(join(tmpdir(), 'weft-bench-package-'));
    const fleet = await BenchFleet.up('bench-twenty', 3, say);
    try {
      await fleet.build('tiny', say);
      const packages = { [PACKAGE]: await upload(fleet, folder) };
      // One on each host: every host has the image then.
      await fleet.timeToReady('fleet', model(3, 3), 6, packages);
      const pattern = await fleet.patternOf('fleet/worker-0', DISK_MIB);
      await fleet.remove('fleet');
      const bare: number[] = [];
      const weft: number[] = [];
      const controllers: number[] = [];
      const agents: number[] = [];
      for (let round = 0; round < (rounds ?? ROUNDS); round++) {
        bare.push(Math.max(...(await bootBareGuests(pattern, COUNT))));
        weft.push(await fleet.timeToReady('fleet', model(6, 14), COUNT, packages));
        const resident = await fleet.residentMiB();
        controllers.push(resident.controller);
        agents.push(...resident.agents);
        say(
          `twenty ${round + 1}: bare ${bare.at(-1)?.toFixed(0)} ms, weft ${weft.at(-1)?.toFixed(0)} ms; controller ${resident.controller} MiB, agents ${resident.agents.join(', ')} MiB`,
        );
        await fleet.remove('fleet');
      }
      const boot: Measurement = {
        benchmark: 'boot-twenty',
        unit: '× bare QEMU',
        value: pairedRatio(weft, bare),
        target: { limit: 1.2, better: 'lower' },
        readings: { 'bare ms': bare, 'weft ms': weft },
        note: 'bare: twenty QEMUs started at once, to the last one’s first SSH command; Weft: from the API call to the change that says the last one ready, six with a package, a web server and a probe',
      };
      return [boot, memory('controller', controllers, 200), memory('agent', agents, 120)];
    } finally {
      await fleet.down();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function upload(fleet: BenchFleet, folder: string): Promise<string> {
  const source = join(folder, 'source');
  await mkdir(join(source, 'web/public'), { recursive: true });
  await writeFile(join(source, 'web/public/index.html'), '<h1>ready</h1>\n');
  const file = join(folder, 'fleet.tar.gz');
  await packFolder(source, file);
  return (await fleet.api.uploadPackage(createReadStream(file))).digest;
}

const memory = (who: string, readings: readonly number[], limit: number): Measurement => ({
  benchmark: `memory of the ${who}`,
  unit: 'MiB resident',
  value: Math.max(...readings),
  target: { limit, better: 'lower' },
  readings: { MiB: readings },
  note: 'VmRSS with twenty VMs ready, the greatest reading',
});
