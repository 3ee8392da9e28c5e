// node door.mjs LISTEN TARGET: each is a path of a unix socket, or [HOST:]PORT. Carries connections from the one to the other.
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';

const [listen = '', target = ''] = process.argv.slice(2);
const addressOf = (text) => {
  if (text.startsWith('/')) return { path: text };
  const [port, host] = text.split(':').reverse();
  return host === undefined ? { port: Number(port) } : { host, port: Number(port) };
};
if (listen.startsWith('/')) rmSync(listen, { force: true });
createServer((near) => {
  const far = connect(addressOf(target));
  for (const socket of [near, far]) {
    socket.on('error', () => undefined);
    socket.on('close', () => {
      near.destroy();
      far.destroy();
    });
    if (socket.setNoDelay) socket.setNoDelay(true);
  }
  near.pipe(far).pipe(near);
}).listen(addressOf(listen));
