import { z } from 'zod';
import { WeftError } from '../../agent/kit/errors.ts';
import type { ApiContext } from './context.ts';
import { document } from './schemas.ts';
import type { Api } from './server.ts';
import { openEventStream } from './server-sent-events.ts';

export function jobRoutes(api: Api, { catalogue }: ApiContext): void {
  api.get(
    '/v1/jobs/:id',
    {
      schema: {
        description: 'A job; with Accept: text/event-stream its lines as they come, then done or failed.',
        params: z.object({ id: z.string().max(64) }),
        response: { 200: document },
      },
    },
    async (request, reply) => {
      const job = catalogue.jobs.get(request.params.id);
      if (!job) throw new WeftError('not-found', `there is no job ${request.params.id}`);
      if (!request.headers.accept?.includes('text/event-stream')) return { ...job };
      let stop = () => {};
      const sink = openEventStream(reply, () => stop());
      stop = catalogue.jobs.follow(
        job.id,
        (line) => sink.send('line', line),
        (end) => {
          sink.send(end.state, { result: end.result, error: end.error });
          sink.end();
        },
      );
      return reply;
    },
  );
}
