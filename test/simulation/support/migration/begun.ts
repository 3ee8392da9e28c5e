import type { Duplex } from 'node:stream';
import type { Clock } from '../../../../agent/kit/clock.ts';
import { WeftError } from '../../../../agent/kit/errors.ts';

const BEGUN = 'HTTP/1.1 101';

/** Resolves when the other end has granted a connection that carries bytes. @throws WeftError `host-unreachable` with its words. */
export function whenBegun(near: Duplex, path: string, clock: Clock, limitMs: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const fail = (message: string) => {
      limit.cancel();
      near.destroy();
      reject(new WeftError('host-unreachable', `no connection for ${path}: ${message}`));
    };
    const limit = clock.after(limitMs, () => fail(`silent for ${limitMs} ms`));
    const lost = () => fail('it was lost');
    near.once('close', lost);
    near.once('data', (bytes: Buffer) => {
      near.off('close', lost);
      limit.cancel();
      const answer = String(bytes);
      near.pause();
      const head = answer.indexOf('\r\n\r\n') + 4;
      if (!answer.startsWith(BEGUN)) return fail(answer.slice(head > 4 ? head : 0));
      if (head < answer.length) near.unshift(bytes.subarray(Buffer.byteLength(answer.slice(0, head))));
      resolve(near);
    });
  });
}
