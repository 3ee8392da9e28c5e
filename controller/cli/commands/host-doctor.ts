import { setTimeout as sleep } from 'node:timers/promises';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { DoctorReport, FindingReport } from '../../../agent/protocol/index.ts';
import type { WeftClient } from '../../client/index.ts';
import type { Command } from '../context.ts';
import { json, paint, seconds } from '../output.ts';
import { parseTimeout } from '../wait.ts';

const ASK_EVERY_MS = 200;
const COLOURS = { error: 'red', warning: 'yellow', note: 'dim' } as const;

export const hostDoctor: Command = {
  usage: '<host>',
  summary: 'what is not as it should be on a host, and with --repair set it right',
  options: [
    ['--repair', 'repair at once what can be repaired; errors and disks never are'],
    ['--digests', 'read the layers below disks again and compare their digests; takes its time'],
    ['--timeout <duration>', 'how long to wait for the answer', '2m'],
  ],
  async run(context, [host = ''], options) {
    const timeoutMs = parseTimeout(options.timeout);
    const client = await context.client();
    const { requestId } = await client.examineHost(host, {
      repair: options.repair === true,
      digests: options.digests === true,
    });
    const doctor = await answerTo(client, host, requestId, timeoutMs);
    if (doctor.problem !== undefined)
      throw new WeftError('hypervisor-failed', `the doctor of ${host} could not look: ${doctor.problem}`, {
        remedy: 'Look at libvirtd and the agent’s log on that host.',
      });
    if (context.json) context.print(json(doctor));
    else context.print(textOf(host, doctor));
    return doctor.findings.some(({ severity }) => severity === 'error') ? 1 : 0;
  },
};

async function answerTo(
  client: WeftClient,
  host: string,
  requestId: string,
  timeoutMs: number,
): Promise<DoctorReport> {
  for (const untilMs = Date.now() + timeoutMs; ; await sleep(ASK_EVERY_MS)) {
    const { doctor, connected } = await client.hostDoctor(host);
    if (doctor?.answered.includes(requestId)) return doctor;
    if (!connected)
      throw new WeftError('host-unreachable', `${host} has gone while its doctor was asked`, {
        remedy: 'See "weft host ls".',
      });
    if (Date.now() > untilMs)
      throw new WeftError('timeout', `the doctor of ${host} did not answer within ${seconds(timeoutMs)}`, {
        remedy: 'It goes on looking; ask again, with a longer --timeout.',
      });
  }
}

function textOf(host: string, { count, findings, atMs }: DoctorReport): string {
  if (count === 0) return `${host}: everything is as it should be\n`;
  const more = count > findings.length ? [`… and ${count - findings.length} more`] : [];
  return `${[...findings.map((finding) => linesOf(finding, atMs)), ...more].join('\n')}\n`;
}

function linesOf(finding: FindingReport, nowMs: number): string {
  const { kind, subject, severity, message, remedy, repair, sinceMs } = finding;
  const since = `seen for ${seconds(Math.max(0, nowMs - sinceMs))}`;
  return [
    `${paint(COLOURS[severity], severity.padEnd(7))} ${kind}: ${subject}`,
    `        ${message}`,
    ...(repair === undefined
      ? []
      : [`        in time, or now with --repair, the doctor ${repair} (${since})`]),
    ...(remedy === undefined ? [] : [`        ${remedy}`]),
  ].join('\n');
}
