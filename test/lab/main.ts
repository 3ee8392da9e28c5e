import { spawn } from 'node:child_process';
import { Command, CommanderError } from 'commander';
import { ERROR_CODES, WeftError } from '../../agent/kit/errors.ts';
import { enterHost } from './host.ts';
import { Lab } from './lab.ts';
import { controllerAddress, layoutOf } from './layout.ts';
import { isAlive } from './processes.ts';
import { listLabs, readLabState } from './state.ts';

const say = (line: string) => process.stderr.write(`${line}\n`);
const print = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
};

const program = new Command('lab')
  .description(
    'Several real hypervisor hosts on this machine: namespaces, each with its own libvirtd and agent.',
  )
  .exitOverride()
  .enablePositionalOptions()
  .showSuggestionAfterError();

const withName = (command: Command) => command.option('--name <name>', 'which lab', 'lab');

/** From the 200th address of the lab's subnet on. */
const MAXIMUM_PUBLIC = 50;

interface UpArguments {
  readonly name: string;
  readonly hosts: string;
  readonly bare?: boolean;
  readonly json?: boolean;
  readonly public: string;
  readonly ipv6?: boolean;
  readonly bmc?: boolean;
  readonly shared?: readonly string[];
}

const countOf = (option: string, text: string, from: number, to: number): number => {
  const count = Number(text);
  if (!Number.isInteger(count) || count < from || count > to)
    throw new WeftError('usage', `${option} ${text} is no number from ${from} to ${to}`);
  return count;
};

withName(
  program
    .command('up [controller-options...]')
    .description('bring a lab up: a controller and joined hosts; behind --, options of the controller'),
)
  .option('--hosts <n>', 'how many hosts', '3')
  .option('--bare', 'hosts with libvirtd alone: no controller, no agents')
  .option('--public <n>', 'addresses that the controller may give to applications', '0')
  .option('--ipv6', 'IPv6 beside IPv4 on the network of the hosts')
  .option('--bmc', 'each host has a BMC, and the controller may power it off')
  .option('--shared <pool...>', 'names of pools that all hosts mount')
  .option('--json', 'print the status as JSON')
  .action(async (controller: string[], options: UpArguments) => {
    const hosts = countOf('--hosts', options.hosts, 1, 50);
    const publicAddresses = countOf('--public', options.public, 0, MAXIMUM_PUBLIC);
    const interrupted = (signal: NodeJS.Signals) => {
      say(`lab: ${signal}, taking it down`);
      void new Lab(options.name).down().finally(() => process.exit(1));
    };
    process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
    const lab = await Lab.up({
      ...{ name: options.name, hosts, say, controller, publicAddresses },
      bare: options.bare === true,
      ipv6: options.ipv6 === true,
      bmc: options.bmc === true,
      shared: options.shared ?? [],
    });
    lab.keep();
    if (options.json) print(await statusOf(options.name));
    else
      say(
        `lab ${options.name}: up. export WEFT_CONFIG=${lab.layout.clientConfig} and use it: npx weft host ls`,
      );
  });

withName(program.command('status').description('what is up'))
  .option('--json', 'print as JSON')
  .action(async (options: { name: string; json?: boolean }) => {
    const status = await statusOf(options.name);
    if (options.json) return print(status);
    say(
      `lab ${status.name}: controller ${status.controller ? status.controllerUrl : 'none'}; WEFT_CONFIG=${status.config}`,
    );
    for (const host of status.hosts) say(`  ${host.name}  ${host.address}  ${host.power}`);
  });

program
  .command('ls')
  .description('all labs on this machine')
  .action(async () => {
    print(await listLabs());
  });

withName(
  program
    .command('exec <host> [command...]')
    .description('run a command inside a host: exec HOST -- COMMAND…; without one, a shell'),
).action(async (host: string, command: string[], options: { name: string }) => {
  const wanted = command.length > 0 ? command : ['bash'];
  const [file, ...args] = [...enterHost(await new Lab(options.name).host(host)), ...wanted];
  const child = spawn(String(file), args, { stdio: 'inherit' });
  process.exitCode = await new Promise<number>((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
});

withName(
  program.command('power-off <host>').description('pull the plug: kill every process of the host'),
).action((host: string, options: { name: string }) => new Lab(options.name).powerOff(host));
withName(program.command('power-on <host>').description('start it again on the same disk')).action(
  (host: string, options: { name: string }) => new Lab(options.name).powerOn(host),
);
withName(program.command('cut <host>').description('cut the host off the network'))
  .option('--from <other>', 'only what it hears from this host, or from `controller`')
  .action((host: string, options: { name: string; from?: string }) =>
    new Lab(options.name).cut(host, options.from ?? null),
  );
withName(program.command('mend <host>').description('undo cut and pause')).action(
  (host: string, options: { name: string }) => new Lab(options.name).mend(host),
);
withName(program.command('pause <host>').description('stop every process of the host (SIGSTOP)')).action(
  (host: string, options: { name: string }) => new Lab(options.name).pause(host),
);
withName(program.command('down').description('take the lab down and leave nothing behind')).action(
  (options: { name: string }) => new Lab(options.name).down(),
);

async function statusOf(name: string) {
  const layout = layoutOf(name);
  const state = await readLabState(layout);
  if (!state)
    throw new WeftError('not-found', `there is no lab "${name}"`, {
      remedy: 'Bring it up: npm run lab -- up',
    });
  return {
    name,
    config: layout.clientConfig,
    controllerUrl: `https://${controllerAddress(state.number)}:7700`,
    controller: state.controller !== null && isAlive(state.controller),
    hosts: state.hosts.map((host) => ({
      name: host.name,
      address: host.address,
      power: host.power && isAlive(host.power.init) ? ('on' as const) : ('off' as const),
    })),
  };
}

try {
  await program.parseAsync();
} catch (thrown) {
  if (thrown instanceof CommanderError) process.exit(thrown.exitCode === 0 ? 0 : 2);
  const error = WeftError.from(thrown);
  say(`lab: ${error.message}`);
  if (error.remedy) say(`  ${error.remedy}`);
  process.exit(ERROR_CODES[error.code].exit);
}
