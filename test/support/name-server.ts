import { createSocket, type Socket } from 'node:dgram';

const HEADER_BYTES = 12;
const TYPE_A = 1;

/** A name server on loopback by which every name has one address of IPv4, and nothing else. */
export class NameServer {
  readonly address: string;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.address = `127.0.0.1:${socket.address().port}`;
  }

  static async start(address: string): Promise<NameServer> {
    const socket = createSocket('udp4');
    socket.on('message', (question, from) => {
      const answer = answerTo(question, address);
      if (answer) socket.send(answer, from.port, from.address);
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, '127.0.0.1', resolve);
    });
    return new NameServer(socket);
  }

  stop(): void {
    this.#socket.close();
  }
}

/** RFC 1035, 4.1: a header, the question as it came, and one answer that points to its name. */
function answerTo(question: Buffer, address: string): Buffer | null {
  let end = HEADER_BYTES;
  while (end < question.length && question[end] !== 0) end += 1 + (question[end] ?? 0);
  const type = end + 2 < question.length ? question.readUInt16BE(end + 1) : 0;
  if (type === 0) return null;
  const asked = question.subarray(HEADER_BYTES, end + 5);
  const isA = type === TYPE_A;
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(question.readUInt16BE(0), 0);
  // An answer, of one who knows.
  header.writeUInt16BE(0x8580, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(isA ? 1 : 0, 6);
  if (!isA) return Buffer.concat([header, asked]);
  const answer = Buffer.from([
    0xc0,
    HEADER_BYTES,
    0,
    TYPE_A,
    0,
    1,
    0,
    0,
    0,
    1,
    0,
    4,
    ...address.split('.').map(Number),
  ]);
  return Buffer.concat([header, asked, answer]);
}
