/** Prints the demo's own lines, apart from what its commands print. */
export class Story {
  readonly #startedMs = Date.now();
  readonly #chapters: { title: string; ms: number }[] = [];

  async chapter<T>(title: string, tell: () => Promise<T>): Promise<T> {
    this.say(`\n━━ ${title}`);
    const startedMs = Date.now();
    const result = await tell();
    this.#chapters.push({ title, ms: Date.now() - startedMs });
    return result;
  }

  say(line: string): void {
    process.stdout.write(`${line}\n`);
  }

  /** The command as a person would type it, before it runs. */
  command(args: readonly string[]): void {
    this.say(`\n$ weft ${args.join(' ')}`);
  }

  close(): void {
    this.say('\n━━ What took how long');
    for (const { title, ms } of this.#chapters)
      this.say(`  ${title.padEnd(64)} ${(ms / 1000).toFixed(1).padStart(7)} s`);
    this.say(`  ${'in all'.padEnd(64)} ${((Date.now() - this.#startedMs) / 1000).toFixed(1).padStart(7)} s`);
  }
}
