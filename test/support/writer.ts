import type { ChildProcess } from 'node:child_process';
import type { Weft } from './weft.ts';

/** Numbers that a guest says it has written and flushed to /root/log, one after another, until its machine dies. */
export class Writer {
  readonly #child: ChildProcess;
  #said = '';

  constructor(weft: Weft, vmId: string) {
    const write =
      'i=0; while :; do i=$((i+1)); echo $i | dd of=/root/log oflag=append conv=notrunc,fsync 2>/dev/null && echo $i; done';
    this.#child = weft.start(['ssh', vmId, '--', write]);
    this.#child.stdout?.on('data', (data: Buffer) => {
      this.#said += data.toString();
    });
  }

  /** The last number that was acknowledged. */
  get acknowledged(): number {
    return Number(this.#said.split('\n').at(-2) ?? 0);
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}
