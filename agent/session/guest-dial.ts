import { createConnection, type Socket } from 'node:net';

/** A guest that is there answers within a fraction of it: who has not may have lost what was sent to it. */
const NEXT_AFTER_MS = 1_000;
/** After one that failed at once: there was no way to the guest, whose network may just be made anew. */
const AGAIN_AFTER_MS = 100;

export interface GuestDial {
  readonly host: string;
  readonly port: number;
  /** Over all attempts. */
  readonly limitMs: number;
}

/**
 * Connects to a guest. While its network is made anew there is no way to it for a moment, and the kernel would send what was lost after ever
 * longer times: another attempt begins each second beside those before it, and the first that connects is taken.
 * @throws Error a refusal at once, what else went wrong when the limit is over.
 */
export function dialGuest({ host, port, limitMs }: GuestDial): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const attempts = new Set<Socket>();
    let next: NodeJS.Timeout;
    let last: Error | null = null;
    const end = () => {
      clearTimeout(next);
      clearTimeout(limit);
    };
    const fail = (error: Error) => {
      end();
      for (const each of attempts) each.destroy();
      reject(error);
    };
    const limit = setTimeout(
      () => fail(new Error(`${host} does not answer on port ${port}`, { cause: last })),
      limitMs,
    );
    const later = (ms: number) => {
      clearTimeout(next);
      next = setTimeout(attempt, ms);
    };
    const attempt = () => {
      const socket = createConnection({ host, port, noDelay: true });
      attempts.add(socket);
      later(NEXT_AFTER_MS);
      const onError = (error: NodeJS.ErrnoException) => {
        attempts.delete(socket);
        last = error;
        if (error.code === 'ECONNREFUSED') fail(error);
        else if (attempts.size === 0) later(AGAIN_AFTER_MS);
      };
      socket.once('error', onError);
      socket.once('connect', () => {
        end();
        socket.off('error', onError);
        attempts.delete(socket);
        for (const each of attempts) each.destroy();
        resolve(socket);
      });
    };
    attempt();
  });
}
