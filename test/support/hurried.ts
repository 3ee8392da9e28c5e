import { setTimeout as sleep } from 'node:timers/promises';
import type { GoldenLab } from './golden-lab.ts';

const LOOK_EVERY_MS = 200;
const UNLIMITED_MIBPS = '100000';

/**
 * Takes the agent's limit off a live migration once it has begun: of a move in whose middle nothing is to happen.
 * @param from the host that gives; it has no other guest. @param moved ends with the move, which may go through without having been seen.
 */
export async function hurried<T>(
  { lab }: Pick<GoldenLab, 'lab'>,
  from: string,
  moved: Promise<T>,
): Promise<T> {
  let isOver = false;
  const watched = moved.finally(() => {
    isOver = true;
  });
  watched.catch(() => undefined);
  const virsh = (...command: string[]) =>
    lab.exec(from, ['virsh', '--connect', 'qemu:///system', ...command], { okExitCodes: [0, 1] });
  const takeLimitOff = async () => {
    const [name = ''] = (await virsh('list', '--name')).stdout.split('\n');
    if (!(await virsh('domjobinfo', name)).stdout.includes('Outgoing migration')) return false;
    return (await virsh('migrate-setspeed', name, UNLIMITED_MIBPS)).exitCode === 0;
  };
  while (!isOver && !(await takeLimitOff())) await sleep(LOOK_EVERY_MS);
  return watched;
}
