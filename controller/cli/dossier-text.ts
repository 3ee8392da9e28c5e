import type { Step, TaskResult } from '../../agent/protocol/index.ts';
import type { Dossier, ProofRow, VmDetail } from '../client/index.ts';
import { lastMoveText } from './move-wait.ts';
import { moment, paint, paintState, seconds } from './output.ts';
import { timelineTable } from './timeline-table.ts';

const TASK_LINES = 15;
/** A panic of a kernel, with its registers and its trace, is about 40. */
const CONSOLE_LINES = 60;

/** A dossier as a person reads it: what it is and why, then whatever there is to say of it, each under its own heading. */
export function dossierText(dossier: Dossier): string {
  const { vm } = dossier;
  // Of a VM that is well, and always was, nobody wants to see where its time went.
  const troubled = dossier.givenUp || vm.failure !== null || vm.failures > 0 || vm.restarts !== null;
  const working = vm.state !== 'ready' && vm.steps.some(isOpen);
  return [
    head(dossier),
    placementOf(vm),
    section('restarts', restartsOf(vm)),
    troubled || working ? section('timeline', timelineTable(vm.steps)) : '',
    ...vm.tasks.filter(hasFailed).map((task) => section(taskTitle(task), tail(task.output, TASK_LINES))),
    troubled ? consoleOf(dossier) : '',
    section('screen', screenOf(dossier, troubled)),
    section('host', hostOf(dossier)),
  ].join('');
}

const isOpen = (step: Step) => step.status === 'running' || step.status === 'failed';
const hasFailed = (task: TaskResult) => task.status === 'failed' || task.status === 'timed-out';

function head({ vm, givenUp }: Dossier): string {
  const { id, incarnation, state, host, stateSinceMs, failure, retryAtMs, proof, successor, stay } = vm;
  const lines = [
    `${id}, incarnation ${incarnation}: ${paintState(state)}${host ? ` on ${host}` : ''}, since ${moment(stateSinceMs)}`,
  ];
  if (proof) lines.push(`  ${whyHere(proof)}: ${proof.detail}, at ${moment(proof.atMs)}`);
  if (successor)
    lines.push(
      `  incarnation ${successor.incarnation} is to follow it on ${successor.host}: ${successor.state}${progressOf(successor)}`,
    );
  if (vm.moveTo && vm.moveWait)
    lines.push(`  its move waits, until ${moment(vm.moveWait.untilMs)} at most: ${vm.moveWait.reason}`);
  if (vm.lastMove) lines.push(`  ${lastMoveText(vm.lastMove)}, at ${moment(vm.lastMove.atMs)}`);
  if (stay) lines.push(`  it could not leave yet: ${stay.message} (tried ${stay.failures} times)`);
  if (failure) lines.push(`  ${paint('red', failure.code)}: ${failure.message}`);
  if (failure?.remedy) lines.push(`  ${failure.remedy}`);
  const failed = Object.entries(vm.failedOn).map(([name, count]) => `${count}× on ${name}`);
  if (failed.length > 0) lines.push(`  it failed ${failed.join(', ')} since it last was ready for a minute`);
  if (givenUp)
    lines.push(
      `  it is not tried again by itself; when its cause is gone: weft reimage ${id}, or weft move ${id}`,
    );
  if (retryAtMs !== null) lines.push(`  tried again at ${moment(retryAtMs)}`);
  return `${lines.join('\n')}\n`;
}

const progressOf = ({ live }: NonNullable<VmDetail['successor']>): string =>
  live?.percent === undefined ? '' : `, ${live.percent} % of its disk is there`;

const whyHere = ({ kind, host }: ProofRow) =>
  kind === 'agent' ? `moved here from ${host}` : `restarted here because ${host} was proven dead`;

function placementOf({ placement }: VmDetail): string {
  return (placement?.hosts ?? [])
    .map(({ host, accepted, reasons }) => {
      const verdict = host === placement?.chosen ? 'chosen' : accepted ? 'possible' : 'refused';
      return `  ${host}: ${verdict} – ${reasons.join(', ')}\n`;
    })
    .join('');
}

function restartsOf({ restarts }: VmDetail): string {
  if (restarts === null) return '';
  const { count, recent, host, incarnation } = restarts;
  const earlier = count > recent.length ? `, the last ${recent.length} of them` : '';
  const lines = recent.map(({ atMs, cause, message }) => `${moment(atMs)}  ${cause.padEnd(9)}  ${message}`);
  return [`${count} on ${host} as incarnation ${incarnation}${earlier}`, ...lines].join('\n');
}

const taskTitle = ({ name, status, exitCode, ms, attempts }: TaskResult) =>
  `task ${name}: ${status}${exitCode === null ? '' : `, exit code ${exitCode}`}, ${seconds(ms)}, try ${attempts}`;

/** What it said before it failed; what it says now where that is something else. */
function consoleOf({ vm, consoleTail }: Dossier): string {
  const then = vm.failure?.consoleTail ?? vm.restarts?.consoleTail ?? null;
  const now = consoleTail !== null && tail(consoleTail, 1) !== tail(then ?? '', 1) ? consoleTail : null;
  return [
    section('end of the console, when it went wrong', tail(then ?? '', CONSOLE_LINES)),
    section('end of the console, now', tail(now ?? '', CONSOLE_LINES)),
  ].join('');
}

function screenOf({ vm, pictures }: Dossier, troubled: boolean): string {
  const lines = [
    ...(pictures.end ? [`as it was at its last end: weft screenshot ${vm.id} FILE.png --end`] : []),
    ...(pictures.now && troubled ? [`as it is now: weft screenshot ${vm.id} FILE.png`] : []),
  ];
  if (lines.length > 0) return lines.join('\n');
  return troubled && vm.host !== null && !pictures.now
    ? 'none: its kernel is booted directly, and its console is all there is'
    : '';
}

function hostOf({ host }: Dossier): string {
  if (host === null) return '';
  const { name, state, draining, evidence, connected, facts } = host;
  const lines = [
    `${name}: ${paintState(state)}${draining ? ', draining' : ''}${connected ? '' : ', not connected'}${evidence ? ` – ${evidence}` : ''}`,
  ];
  if (facts) {
    lines.push(`${facts.accelerator.kind}: ${facts.accelerator.reason}`);
    lines.push(
      `${facts.os}, kernel ${facts.kernel}, libvirt ${facts.libvirtVersion}, QEMU ${facts.qemuVersion}`,
    );
    lines.push(...facts.notes);
  }
  return lines.join('\n');
}

const tail = (text: string, lines: number) => text.trimEnd().split('\n').slice(-lines).join('\n');

const section = (title: string, text: string) =>
  text.trim() === ''
    ? ''
    : `${paint('dim', `── ${title}`)}\n${text
        .trimEnd()
        .split('\n')
        .map((line) => `  ${line}\n`)
        .join('')}`;
