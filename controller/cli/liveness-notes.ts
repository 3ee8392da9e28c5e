import type { HostRow } from '../client/index.ts';
import { moment, seconds } from './output.ts';

/** Why a host is not up, and what is done about it. */
export function livenessNotes(row: HostRow, nowMs: number): readonly string[] {
  const { state, evidence, fencing, proof, heldOffUntilMs, fenceDevices, guard, name } = row;
  const hasProvingGuard = guard?.watchdog?.armed === true && guard.watchdog.dependable;
  const isUnproven = /^down/.test(state) && proof === null;
  const times = fencing?.attempts === 1 ? 'once' : `${fencing?.attempts} times`;
  return [
    ...(/^(up|draining|maintenance)/.test(state) ? [] : [`${state}: ${evidence}`]),
    ...(proof ? [`proven dead at ${moment(proof.atMs)}: ${proof.detail}`] : []),
    ...(isUnproven && fencing?.isShutOut
      ? [`not proven dead, but its disks are safe: ${fencing.message}`]
      : []),
    ...(isUnproven && fencing && !fencing.isShutOut
      ? [`fencing was tried ${times}, and failed: ${fencing.message}`]
      : []),
    ...(isUnproven && hasProvingGuard ? ['its lease and its watchdog prove it dead in a while'] : []),
    ...(isUnproven && fenceDevices === 0 && !hasProvingGuard
      ? [
          `it has no fence device: bring it back, or make sure that it is off and sign: weft host confirm-dead ${name}`,
        ]
      : []),
    ...(heldOffUntilMs !== null && heldOffUntilMs > nowMs
      ? [`it went down again and again: takes nothing new for another ${seconds(heldOffUntilMs - nowMs)}`]
      : []),
  ];
}
