import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { WeftError } from '../../agent/kit/errors.ts';
import type { BlobStore } from '../../images/contract.ts';

/** Answers with a blob, or with the rest of it from where the request's Range begins (RFC 9110, one range, `bytes=N-`). */
export async function sendBlob(
  blobs: BlobStore,
  digest: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const blob = await blobs.stat(digest);
  if (!blob) throw new WeftError('not-found', `the controller has no blob ${digest}`);
  const start = startOf(request.headers.range, blob.sizeBytes);
  const headers = {
    'content-type': 'application/octet-stream',
    'content-length': blob.sizeBytes - start,
    'accept-ranges': 'bytes',
  };
  if (start === 0) response.writeHead(200, headers);
  else
    response.writeHead(206, {
      ...headers,
      'content-range': `bytes ${start}-${blob.sizeBytes - 1}/${blob.sizeBytes}`,
    });
  await pipeline(blobs.open(digest, { start }), response);
}

function startOf(range: string | undefined, sizeBytes: number): number {
  if (range === undefined) return 0;
  const start = Number(/^bytes=(\d{1,15})-$/.exec(range)?.[1] ?? Number.NaN);
  if (Number.isNaN(start) || start >= sizeBytes)
    throw new WeftError('bad-request', `range ${range} is not in a blob of ${sizeBytes} bytes`);
  return start;
}
