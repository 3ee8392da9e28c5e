import { expect } from 'vitest';
import type { Weft } from './weft.ts';

/** Goes on whatever becomes of the session that began it. `/run` is memory: a guest that was booted anew has nothing there. */
const WRITER =
  'i=0; while :; do i=$((i+1)); echo $i | dd of=/root/log oflag=append conv=notrunc,fsync 2>/dev/null && echo $i >/run/acked.new && mv /run/acked.new /run/acked; done';
/** Memory that takes its time to be sent. */
const FILL =
  'mkdir -p /run/big && mount -t tmpfs -o size=72m big /run/big && dd if=/dev/urandom of=/run/big/a bs=64k count=700 2>/dev/null';

/** Numbers that a guest has written and flushed to /root/log, one after another, for as long as it is the same boot. */
export class GuestWriter {
  readonly #weft: Weft;
  readonly #id: string;

  constructor(weft: Weft, id: string) {
    this.#weft = weft;
    this.#id = id;
  }

  inside(command: string): Promise<string> {
    return this.#weft.inside(this.#id, command);
  }

  /** Begins a log of its own. One writer at a time. */
  async start(): Promise<void> {
    await this.inside(
      `rm -f /run/acked; : >/root/log; sync; (setsid sh -c '${WRITER}' </dev/null >/dev/null 2>&1 &)`,
    );
  }

  /** The last number of which the guest itself knows that it is on the disk. */
  async acknowledged(): Promise<number> {
    return Number((await this.inside('cat /run/acked || echo 0')) || 0);
  }

  /** Every number up to this one is in the log, in order. */
  async expectWritten(upTo: number): Promise<void> {
    const broken = await this.inside(
      `head -n ${upTo} /root/log | awk '$1 != NR {print NR; exit}'; [ $(wc -l </root/log) -ge ${upTo} ] || echo short`,
    );
    expect(broken).toBe('');
  }

  /** Gives the guest memory that is sent for some ten seconds more at 4 MiB/s. */
  async fill(): Promise<void> {
    await this.inside(`grep -q " /run/big " /proc/mounts || { ${FILL}; }`);
  }

  async empty(): Promise<void> {
    await this.inside('umount /run/big');
  }
}
