import { Command as Commander, CommanderError } from 'commander';
import { ERROR_CODES, WeftError } from '../../agent/kit/errors.ts';
import { COMMANDS } from './commands.ts';
import type { Context } from './context.ts';
import { json } from './output.ts';
import { CLI_VERSION } from './version.ts';

const USAGE_EXIT = 2;
const GROUPS: Readonly<Record<string, string>> = {
  image: 'golden images: ls, inspect, import, build, rm',
  net: 'the network of an application: APP, why A B:PORT, trace A B:PORT',
  certificate: 'certificates of endpoints: ls, put, renew, rm, challenge',
  challenge: 'what ACME servers are answered by HTTP-01: ls, put, rm',
  machine: 'machines: backup, snapshot, backups, restore, backup-rm',
  host: 'hypervisor hosts: ls, doctor, token, drain, undrain, roll, fence-test, confirm-dead, rm',
};

/** A reader that has had enough (`weft ps | head`) ends the command quietly. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
});

interface Problem {
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly message: string;
  readonly fix: string | null;
}

/** What, where and why, and what to do next. Problems of a file are listed as compilers list them. */
function textOf(error: WeftError): string {
  const problems = (error.details?.problems ?? []) as Problem[];
  const remedy = error.remedy ? `  ${error.remedy}\n` : '';
  if (problems.length === 0) return `weft: ${error.message}\n${remedy}`;
  const file = typeof error.details?.file === 'string' ? error.details.file : 'model';
  const lines = problems.map(
    ({ line, column, path, message, fix }) =>
      `${file}:${line}:${column}: ${path ? `${path}: ` : ''}${message}\n${fix ? `  ${fix}\n` : ''}`,
  );
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  return `weft: ${count} in ${file}; nothing was changed\n${lines.join('')}`;
}

/** Whether the answer has begun: an error is then no document of its own on stdout any more. */
let hasAnswered = false;

function failed(thrown: unknown, asJson: boolean): number {
  const error = WeftError.from(thrown);
  if (asJson) {
    const document = json({ error: error.toDocument() });
    process.stderr.write(document);
    if (!hasAnswered) process.stdout.write(document);
  } else process.stderr.write(textOf(error));
  return ERROR_CODES[error.code].exit;
}

async function main(argv: readonly string[]): Promise<number> {
  const program = new Commander('weft')
    .description('Runs the right number of real VMs across your hypervisor hosts.')
    .exitOverride()
    .enablePositionalOptions()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'weft: ')) })
    .showHelpAfterError('  See: weft --help')
    .version(CLI_VERSION)
    .option('--json', 'one JSON document on stdout');
  let code = 0;
  let asJson = argv.includes('--json') && !argv.slice(0, argv.indexOf('--json')).includes('--');
  const groups = new Map<string, Commander>();
  for (const [path, command] of COMMANDS) {
    const words = path.split(' ');
    const leaf = words.pop() ?? path;
    let parent = program;
    for (const word of words) {
      const group =
        groups.get(word) ??
        parent
          .command(word)
          .description(GROUPS[word] ?? word)
          .showHelpAfterError(`  See: weft ${words.slice(0, words.indexOf(word) + 1).join(' ')} --help`)
          .exitOverride();
      groups.set(word, group);
      parent = group;
    }
    const made = parent
      .command(`${leaf} ${command.usage}`.trim(), { isDefault: command.isDefault === true })
      .description(command.summary)
      // What is too much for a group's default is one of its commands, misspelt: said below.
      .allowExcessArguments(command.isDefault === true)
      .exitOverride();
    made.showHelpAfterError(`  Usage: weft ${path} ${made.usage()}\n  See: weft ${path} --help`);
    made.option('--json', 'one JSON document on stdout');
    if (command.passThrough) made.passThroughOptions();
    for (const [flags, summary, value] of command.options ?? []) made.option(flags, summary, value);
    made.action(async (...received: unknown[]) => {
      const options = made.optsWithGlobals();
      asJson = options.json === true;
      if (made.args.length > made.registeredArguments.length && command.isDefault) throw misspelt(made);
      const args = (received.slice(0, -2) as (string | string[] | undefined)[])
        .flat()
        .filter((arg) => arg !== undefined);
      code = (await command.run(contextOf(asJson), args, options)) ?? 0;
    });
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      // Commander has said it on stderr already.
      const message = error.message.replace(/^error: /, '');
      if (asJson) process.stdout.write(json({ error: { code: 'usage', message } }));
      return USAGE_EXIT;
    }
    return failed(error, asJson);
  }
}

/** A group's default command was given more than it takes: its first argument is none, but the name of a command that there is not. */
function misspelt({ args: [word], parent: group }: Commander): WeftError {
  const names = group?.commands.map((each) => each.name()).join(', ');
  const path = [group?.parent?.name(), group?.name()].filter((name) => name && name !== 'weft').join(' ');
  return new WeftError('usage', `unknown command '${word}' of weft ${path}`, {
    remedy: `It has ${names}. See: weft ${path} --help`,
  });
}

function contextOf(asJson: boolean): Context {
  const say = (text: string) => process.stderr.write(`${text}\n`);
  return {
    json: asJson,
    client: async () => {
      const { WeftClient } = await import('../client/index.ts');
      return WeftClient.fromFile(undefined, {
        // A person who looks on; who reads it as a program does waits as long as it likes.
        onSlow: (controller) => {
          if (process.stderr.isTTY) say(`weft: waiting for the controller at ${controller} to answer`);
        },
      });
    },
    print(text) {
      hasAnswered = true;
      process.stdout.write(text);
    },
    say,
  };
}

// Ends at once, also with a connection still kept alive; what was written is flushed first.
const exitCode = await main(process.argv.slice(2));
process.stdout.write('', () => process.exit(exitCode));
