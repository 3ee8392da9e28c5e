import type { Domain, Stream } from '../../src/index.ts';
import { until } from './wait.ts';

/** A guest's serial console with a shell on it. */
export class GuestConsole {
  readonly stream: Stream;
  text = '';
  /** Resolves, or rejects, when the stream ends. */
  readonly ended: Promise<void>;

  static async open(domain: Domain): Promise<GuestConsole> {
    return new GuestConsole(await domain.openConsole());
  }

  private constructor(stream: Stream) {
    this.stream = stream;
    this.ended = stream.forEach((bytes) => {
      this.text += bytes;
    });
    this.ended.catch(() => undefined);
  }

  /** What the guest says from now on, once it matches. */
  async says(pattern: RegExp, limitMs = 60_000): Promise<RegExpExecArray> {
    return until(`the console to say ${pattern}`, () => pattern.exec(this.text) ?? undefined, limitMs);
  }

  /** Runs a line in the guest's shell and gives what it prints. */
  async run(line: string): Promise<string> {
    const mark = Math.random().toString(36).slice(2);
    // Spelt apart, so that a terminal's echo of the line is no answer.
    await this.stream.write(`echo "begin""-${mark}"; ${line}; echo "end""-${mark}"\n`);
    const [, output = ''] = await this.says(new RegExp(`begin-${mark}([\\s\\S]*)end-${mark}`));
    this.text = '';
    return output.trim();
  }
}
