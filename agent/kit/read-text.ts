import { WeftError } from './errors.ts';

/**
 * The text of a stream that a peer sends, held in memory.
 *
 * @param maximumBytes what it may have at most; a peer is not trusted to stop.
 * @throws WeftError `too-large` beyond that.
 */
export async function readText(stream: AsyncIterable<unknown>, maximumBytes: number): Promise<string> {
  return (await readBytes(stream, maximumBytes)).toString('utf8');
}

/** Likewise, of bytes. */
export async function readBytes(stream: AsyncIterable<unknown>, maximumBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maximumBytes) throw new WeftError('too-large', `more than ${maximumBytes} bytes were sent`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
