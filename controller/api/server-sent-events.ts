import type { FastifyReply } from 'fastify';

const KEEP_ALIVE_MS = 15_000;

export interface EventSink {
  send(event: string, data: unknown, id?: string): void;
  end(): void;
}

/** Turns a reply into a stream of server-sent events (WHATWG HTML, 9.2). @param onClose the reader has gone. */
export function openEventStream(reply: FastifyReply, onClose: () => void): EventSink {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  raw.write(':\n\n');
  const timer = setInterval(() => raw.write(':\n\n'), KEEP_ALIVE_MS);
  raw.on('close', () => {
    clearInterval(timer);
    onClose();
  });
  return {
    send: (event, data, id) => {
      raw.write(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    },
    end: () => {
      raw.end();
    },
  };
}
