import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { SshSession } from '../../../agent/guest/ssh-session.ts';

/** A connection whose server refuses a command for a moment, and that has ended when it is asked again. */
class EndingConnection extends EventEmitter {
  asked = 0;

  exec(_command: string, callback: (error: Error) => void): void {
    this.asked++;
    // As ssh2 does it.
    if (this.asked > 1) throw new Error('Not connected');
    setImmediate(() => callback(new Error('Unable to exec')));
  }
}

const Session = SshSession as unknown as new (client: EventEmitter, user: string) => SshSession;

test('a guest that never answers a command runs out of time', async () => {
  const silent = Object.assign(new EventEmitter(), { exec: () => undefined });
  const session = new Session(silent, 'root');
  await expect(session.run('true', { timeoutMs: 20 })).rejects.toMatchObject({
    code: 'timeout',
    message: 'the guest did not finish within 20 ms',
  });
});

test('a connection that ends while a refused command waits to be asked again is a lost guest, and no more', async () => {
  const connection = new EndingConnection();
  const session = new Session(connection, 'root');
  await expect(session.run('true')).rejects.toMatchObject({ code: 'guest-unreachable' });
  expect(connection.asked).toBe(2);
});
