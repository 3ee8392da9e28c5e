import { mkdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { WeftError } from '../agent/kit/errors.ts';
import { exists } from '../agent/kit/exists.ts';
import { checkHost } from './all-in-one/check-host.ts';
import { wantedGuardFolder } from './all-in-one/guard-folder.ts';
import { KeptUp } from './all-in-one/kept-up.ts';
import { WeftClient } from './client/index.ts';

/**
 * Controller and agent for this very host, as two processes; neither knows of the other but by the network. A third one, the guard, where
 * the host's configuration wants one.
 */
const STATE = '/var/lib/weft';
const AGENT_CONFIGURATION = '/etc/weft/agent.yaml';
const USERS_PORT = 7700;
const AGENTS_PORT = 7701;
const CONTROLLER_LIMIT_MS = 60_000;
const HOST_LIMIT_MS = 120_000;
/** A guard that ends waits up to 10 s for the controller to know. */
const GUARD_STOP_LIMIT_MS = 20_000;

const USAGE = `usage: npm start [-- [--address ADDRESS] [--certificate-hook PROGRAM]]

  --address ADDRESS            where users and other hosts reach this one; default 127.0.0.1, which only this host can
  --certificate-hook PROGRAM   obtains and renews certificates of endpoints, as weft-controller has it; see docs/load-balancer.md

Where ${AGENT_CONFIGURATION} turns the guard on, it is kept up as well; see docs/fencing.md.
`;

const say = (text: string) => process.stderr.write(`weft: ${text}\n`);
const running: KeptUp[] = [];

async function main(): Promise<void> {
  const { address, help, 'certificate-hook': hook } = readArguments();
  if (help) {
    process.stdout.write(USAGE);
    return;
  }
  await checkHost(address, [USERS_PORT, AGENTS_PORT]);
  const token = join(STATE, 'join-token');
  const clientConfig = process.env.WEFT_CONFIG ?? join(homedir(), '.config', 'weft', 'config.yaml');
  await mkdir(STATE, { recursive: true });
  // Written again when the controller listens: that is how its coming up shows.
  await rm(token, { force: true });
  keepUp('controller/main', [
    ...['--listen', `${address}:${USERS_PORT}`, '--agents', `${address}:${AGENTS_PORT}`],
    ...['--write-client-config', clientConfig, '--write-join-token', token],
    // Named from where npm start was called; the controller runs elsewhere.
    ...(hook === undefined ? [] : ['--certificate-hook', resolve(process.env.INIT_CWD ?? '.', hook)]),
  ]);
  if (!(await waitFor(() => exists(token), CONTROLLER_LIMIT_MS)))
    throw new WeftError('timeout', 'the controller did not come up', {
      remedy: 'Its own words above say why.',
    });
  keepUp('agent/main', ['--join-file', token, '--controller', `${address}:${AGENTS_PORT}`]);
  const guardFolder = await wantedGuardFolder(AGENT_CONFIGURATION);
  if (guardFolder !== null)
    keepUp('agent/guard/main', ['--folder', guardFolder], {
      // What ran on while Weft was stopped goes on; a guard that a killed launcher left is followed by this one.
      firstArgs: ['--take-over'],
      // It must keep its promise, and its watchdog fed, without the launcher.
      outlives: true,
      stopLimitMs: GUARD_STOP_LIMIT_MS,
    });
  await tellOfHosts(await WeftClient.fromFile(clientConfig));
  say(`ready. Client configuration: ${clientConfig}. Try: npx weft host ls. Ctrl-C stops Weft, not the VMs.`);
}

function readArguments(): { address: string; help: boolean; 'certificate-hook'?: string | undefined } {
  try {
    return parseArgs({
      options: {
        address: { type: 'string', default: '127.0.0.1' },
        'certificate-hook': { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new WeftError('usage', (error as Error).message, { remedy: 'See: npm start -- --help' });
  }
}

function keepUp(...program: ConstructorParameters<typeof KeptUp>): void {
  const kept = new KeptUp(...program);
  running.unshift(kept);
  kept.start();
}

/** Waits for a host that is up, and says what an operator should know of it: no KVM, for example. */
async function tellOfHosts(client: WeftClient): Promise<void> {
  let hosts: Awaited<ReturnType<WeftClient['listHosts']>> = [];
  const isUp = async () => {
    hosts = (await client.listHosts()).filter((host) => host.state.startsWith('up'));
    return hosts.length > 0;
  };
  if (!(await waitFor(isUp, HOST_LIMIT_MS)))
    throw new WeftError('timeout', 'the agent did not come up', { remedy: 'Its own words above say why.' });
  for (const host of hosts) {
    for (const note of host.notes) say(`${host.name}: ${note}`);
    if (host.accelerator === 'tcg')
      say(
        `${host.name}: its guests are emulated, and slow. For KVM: turn virtualization on in the firmware (nested, in a VM), modprobe kvm_intel or kvm_amd, then reboot or restart Weft.`,
      );
  }
}

async function waitFor(isSo: () => Promise<boolean>, limitMs: number): Promise<boolean> {
  for (const untilMs = Date.now() + limitMs; Date.now() < untilMs; await sleep(100))
    if (await isSo().catch(() => false)) return true;
  return false;
}

/**
 * The guard first, while it can tell the controller that nothing is guarded any more; then the agent, so that what it reports last still
 * reaches the controller. VMs go on running.
 */
async function stop(exitCode: number): Promise<never> {
  for (const program of running) await program.stop();
  if (running.length > 0) say('stopped. VMs that were running go on; npm start takes them up again.');
  process.exit(exitCode);
}
process.once('SIGINT', () => void stop(0)).once('SIGTERM', () => void stop(0));

main().catch((thrown: unknown) => {
  const error = WeftError.from(thrown);
  process.stderr.write(`weft: ${error.message}${error.remedy ? `\n  ${error.remedy}` : ''}\n`);
  void stop(error.code === 'usage' ? 2 : 1);
});
