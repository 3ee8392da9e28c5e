import { setTimeout as sleep } from 'node:timers/promises';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { BackupRow, WeftClient } from '../../client/index.ts';
import type { Command, Context } from '../context.ts';
import { json, printRows } from '../output.ts';
import { parseTimeout, waitUntil } from '../wait.ts';

const LOOK_AGAIN_MS = 500;

const TO = [
  '--to <target>',
  'a backup target or pool of its host; default: the schedule’s, or the host’s first',
] as const;
const WAIT = [
  ['--wait', 'until it is done'],
  ['--timeout <duration>', 'how long to wait', '1h'],
] as const;

export const machineBackup: Command = {
  usage: '<app/machine>',
  summary: 'back a machine up while it runs',
  options: [TO, ...WAIT],
  async run(context, [id = ''], options) {
    const timeoutMs = parseTimeout(options.timeout);
    const client = await context.client();
    const { backup } = await client.backupMachine(
      id,
      typeof options.to === 'string' ? options.to : undefined,
    );
    const row = options.wait
      ? await until(context, client, backup, timeoutMs, isMade)
      : await client.getBackup(backup);
    if (!options.wait) context.say(`${backup}: is being made. Follow it with: weft machine backups ${id}`);
    context.print(context.json ? json(row) : `${backup}\n`);
    return 0;
  },
};

export const machineSnapshot: Command = {
  usage: '<app/machine>',
  summary: 'back a machine up into its own pool',
  options: WAIT,
  async run(context, [id = ''], options) {
    const { pool } = await (await context.client()).getVm(id);
    return machineBackup.run(context, [id], { ...options, to: pool });
  },
};

export const machineBackups: Command = {
  usage: '[app/machine]',
  summary: 'backups, of all machines or of one (or of an application)',
  async run(context, [of]) {
    const [app, machine] = of?.split('/') ?? [];
    const rows = await (await context.client()).listBackups(app, machine);
    printRows(
      context,
      rows,
      ['backup', 'state', 'target', 'host', 'size', 'consistency', 'image', 'made'],
      (row) => [
        row.backup,
        stateOf(row),
        row.target,
        row.host,
        row.made ? `${Math.ceil(row.made.sizeBytes / 2 ** 20)} MiB` : null,
        row.made?.consistency ?? null,
        row.image,
        row.reason,
      ],
    );
    for (const { backup, failure } of rows) if (failure) context.say(`${backup}: ${failure.message}`);
    return 0;
  },
};

export const machineRestore: Command = {
  usage: '<backup>',
  summary: 'restore a backup as a new machine, or in place',
  options: [
    ['--as <machine>', 'name of the new machine, in the same application or as application/machine'],
    ['--in-place', 'the machine begins anew with it: what it has now is lost'],
    ...WAIT,
  ],
  async run(context, [backup = ''], options) {
    const timeoutMs = parseTimeout(options.timeout);
    if ((typeof options.as === 'string') === (options.inPlace === true))
      throw new WeftError('usage', 'say where: --as NAME for a new machine, or --in-place', {
        remedy: `weft machine restore ${backup || 'BACKUP'} --as NAME`,
      });
    const client = await context.client();
    const [app = ''] = backup.split('/');
    const as =
      typeof options.as === 'string'
        ? options.as.includes('/')
          ? options.as
          : `${app}/${options.as}`
        : undefined;
    const before = as === undefined ? await client.getVm(backup.slice(0, backup.lastIndexOf('/'))) : null;
    const asked = await client.restoreBackup(backup, as);
    context.say(`${backup}: is read and verified before anything is made of it`);
    // A damaged one is refused while the user looks on: it takes as long as reading it.
    await until(context, client, backup, timeoutMs, isAccepted(asked.request));
    if (!options.wait) context.say(`${asked.as}: is being made from it. Follow it with: weft ps`);
    else
      await waitUntil(
        context,
        client,
        asked.as.split('/')[0] ?? '',
        {
          what: `${asked.as} ready`,
          isReached: (vms) => {
            const vm = vms.get(asked.as);
            return vm?.state === 'ready' && vm.incarnation > (before?.incarnation ?? 0);
          },
        },
        timeoutMs,
      );
    if (context.json) context.print(json({ machine: asked.as, backup }));
    return 0;
  },
};

export const machineBackupRm: Command = {
  usage: '<backup>',
  summary: 'remove a backup',
  async run(context, [backup = '']) {
    await (await context.client()).removeBackup(backup);
    context.say(`${backup}: its files are being removed`);
    if (context.json) context.print(json({ removed: backup }));
    return 0;
  },
};

const stateOf = ({ state, percent, restore }: BackupRow): string =>
  restore?.state === 'verifying'
    ? `${state}, being read for ${restore.as}`
    : percent === null
      ? state
      : `${state}, ${percent} %`;

/** @returns true when it is as wanted. @throws WeftError when it will never be. */
type IsAsWanted = (row: BackupRow) => boolean;

const isMade: IsAsWanted = ({ state, failure, backup }) => {
  if (state === 'failed') throw errorOf(failure, `${backup} could not be made`);
  return state === 'done';
};

const isAccepted =
  (request: string): IsAsWanted =>
  ({ restore, backup }) => {
    if (restore?.request !== request)
      throw new WeftError('conflict', `${backup} was restored by somebody else meanwhile`);
    if (restore.state === 'refused') throw errorOf(restore.failure, `${backup} was refused`);
    return restore.state === 'accepted';
  };

function errorOf(failure: BackupRow['failure'], otherwise: string): WeftError {
  if (!failure) return new WeftError('internal', otherwise);
  return WeftError.fromDocument({ ...failure, code: failure.code as 'internal' });
}

/** A controller that goes away is waited for: it forgets nothing. */
async function until(
  context: Context,
  client: WeftClient,
  backup: string,
  timeoutMs: number,
  isAsWanted: IsAsWanted,
): Promise<BackupRow> {
  const endMs = Date.now() + timeoutMs;
  let told = '';
  for (;;) {
    const row = await client.getBackup(backup).catch((error: unknown) => {
      if (WeftError.from(error).code !== 'host-unreachable') throw error;
      return null;
    });
    if (row && isAsWanted(row)) return row;
    const now = row ? stateOf(row) : told;
    if (now !== told) context.say(`${backup}: ${now}`);
    told = now;
    if (Date.now() > endMs)
      throw new WeftError('timeout', `${backup} was not done in time; it is still being worked on`, {
        remedy: 'See: weft machine backups',
      });
    await sleep(LOOK_AGAIN_MS);
  }
}
