import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildPrograms, program as programOf } from '../lab/build.ts';
import { REPOSITORY } from '../lab/layout.ts';
import { freePort } from './free-port.ts';
import { waitFor } from './wait-for.ts';
import { BUILT_COMMAND, Weft } from './weft.ts';

/** A real controller without hosts, on loopback, and the real command line beside it. */
export class LoneController {
  readonly folder: string;
  readonly weft: Weft;
  readonly #process: ChildProcess;

  private constructor(folder: string, process: ChildProcess) {
    this.folder = folder;
    this.weft = new Weft(join(folder, 'config.yaml'), BUILT_COMMAND);
    this.#process = process;
  }

  static async start(): Promise<LoneController> {
    await buildPrograms();
    const folder = await mkdtemp(join(tmpdir(), 'weft-lone-'));
    const [listen, agents] = [await freePort(), await freePort()];
    const [file = '', ...program] = programOf('controller/main');
    const child = spawn(
      file,
      [
        ...[...program, '--state', join(folder, 'state')],
        ...['--listen', `127.0.0.1:${listen}`, '--agents', `127.0.0.1:${agents}`],
        ...['--write-client-config', join(folder, 'config.yaml')],
      ],
      { cwd: REPOSITORY, stdio: 'ignore' },
    );
    const controller = new LoneController(folder, child);
    const isUp = async () => (await readdir(folder)).includes('config.yaml');
    await waitFor('the controller to listen', isUp, (up) => up, 60_000, 50);
    return controller;
  }

  /** Writes a file into the scratch folder and gives its path. */
  async write(name: string, content: string | Uint8Array): Promise<string> {
    const file = join(this.folder, name);
    await writeFile(file, content);
    return file;
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGKILL');
    await new Promise((resolve) =>
      this.#process.exitCode === null ? this.#process.once('exit', resolve) : resolve(null),
    );
    await rm(this.folder, { recursive: true, force: true });
  }
}
