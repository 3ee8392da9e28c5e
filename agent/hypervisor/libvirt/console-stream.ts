import type { Stream } from '@weft/node-libvirt';
import type { ConsoleStream } from '../driver.ts';

/** A domain's serial console as a web stream. */
export function consoleStream(stream: Stream): ConsoleStream {
  return {
    readable: new ReadableStream<Uint8Array>({
      async pull(controller) {
        const bytes = await stream.read().catch(() => null);
        if (bytes === null) controller.close();
        else controller.enqueue(bytes);
      },
      cancel: () => stream.close(),
    }),
    write: (bytes) => stream.write(bytes),
    close: () => stream.close(),
  };
}
