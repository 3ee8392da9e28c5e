import { apply } from './commands/apply.ts';
import {
  machineBackup,
  machineBackupRm,
  machineBackups,
  machineRestore,
  machineSnapshot,
} from './commands/backups.ts';
import { certificateLs, certificatePut, certificateRenew, certificateRm } from './commands/certificates.ts';
import { challengeLs, challengePut, challengeRm } from './commands/challenges.ts';
import { consoleCommand } from './commands/console.ts';
import { deleteCommand } from './commands/delete.ts';
import { events } from './commands/events.ts';
import { hostConfirmDead, hostFenceTest } from './commands/fencing.ts';
import { hostDoctor } from './commands/host-doctor.ts';
import { hostDrain, hostUndrain } from './commands/host-drain.ts';
import { hostRoll } from './commands/host-roll.ts';
import { hostLs, hostRm, hostToken } from './commands/hosts.ts';
import { imageBuild, imageImport, imageInspect, imageLs, imageRm } from './commands/images.ts';
import { ls, ps } from './commands/lists.ts';
import { logs } from './commands/logs.ts';
import { netShow, netTrace, netWhy } from './commands/net.ts';
import { plan } from './commands/plan.ts';
import { scale } from './commands/scale.ts';
import { screenshot } from './commands/screenshot.ts';
import { ssh } from './commands/ssh.ts';
import { timeline } from './commands/timeline.ts';
import { move, reboot, reimage } from './commands/vm-actions.ts';
import { why } from './commands/why.ts';
import type { Command } from './context.ts';

/** Every command, in the order of the help. */
export const COMMANDS: readonly (readonly [path: string, command: Command])[] = [
  ['apply', apply],
  ['plan', plan],
  ['ls', ls],
  ['ps', ps],
  ['scale', scale],
  ['delete', deleteCommand],
  ['reboot', reboot],
  ['reimage', reimage],
  ['move', move],
  ['ssh', ssh],
  ['console', consoleCommand],
  ['screenshot', screenshot],
  ['logs', logs],
  ['timeline', timeline],
  ['why', why],
  ['events', events],
  ['net show', netShow],
  ['net why', netWhy],
  ['net trace', netTrace],
  ['certificate ls', certificateLs],
  ['certificate put', certificatePut],
  ['certificate renew', certificateRenew],
  ['certificate rm', certificateRm],
  ['certificate challenge ls', challengeLs],
  ['certificate challenge put', challengePut],
  ['certificate challenge rm', challengeRm],
  ['machine backup', machineBackup],
  ['machine snapshot', machineSnapshot],
  ['machine backups', machineBackups],
  ['machine restore', machineRestore],
  ['machine backup-rm', machineBackupRm],
  ['image ls', imageLs],
  ['image inspect', imageInspect],
  ['image import', imageImport],
  ['image build', imageBuild],
  ['image rm', imageRm],
  ['host ls', hostLs],
  ['host doctor', hostDoctor],
  ['host token', hostToken],
  ['host drain', hostDrain],
  ['host undrain', hostUndrain],
  ['host roll', hostRoll],
  ['host fence-test', hostFenceTest],
  ['host confirm-dead', hostConfirmDead],
  ['host rm', hostRm],
];
