import { z } from 'zod';
import type { ApplicationRecord, EventRecord, HostRecord, VmRecord } from '../model/records.ts';
import type { ApiContext } from './context.ts';
import { isAbout } from './event-subject.ts';
import { hostRow, vmRow } from './rows.ts';
import { document } from './schemas.ts';
import type { Api } from './server.ts';
import { openEventStream } from './server-sent-events.ts';

export function eventRoutes(api: Api, { store, fleet }: ApiContext): void {
  api.get(
    '/v1/events',
    {
      schema: {
        description: 'The event log; with Accept: text/event-stream also what is yet to happen.',
        querystring: z.object({
          after: z.coerce.number().int().min(0).default(0),
          subject: z
            .string()
            .min(1)
            .max(253)
            .optional()
            .describe('Only what is about it: an application with its VMs, app/role, a VM, or a host.'),
        }),
        response: { 200: z.object({ events: z.array(document) }) },
      },
    },
    async (request, reply) => {
      const last = Number(request.headers['last-event-id'] ?? Number.NaN);
      const after = Number.isInteger(last) ? last : request.query.after;
      const { subject: asked } = request.query;
      const isAsked = (event: EventRecord) => asked === undefined || isAbout(event.subject, asked);
      const { entries, revision } = await store.list('events/');
      const events = entries
        .map(({ value }) => value as EventRecord)
        .filter((event) => event.sequence > after && isAsked(event));
      if (!request.headers.accept?.includes('text/event-stream'))
        return { events: events.map((event) => ({ ...event })) };
      let stop = () => {};
      const sink = openEventStream(reply, () => stop());
      for (const event of events) sink.send('log', event, String(event.sequence));
      stop = store.watch('events/', revision, (changes) => {
        for (const { value } of changes) {
          const event = value as EventRecord | null;
          if (event !== null && isAsked(event)) sink.send('log', event, String(event.sequence));
        }
      });
      return reply;
    },
  );
  api.get(
    '/v1/changes',
    {
      schema: {
        description:
          'Server-sent events: vm, host and application, as they change; data is the row, or {id, gone: true}.',
      },
    },
    async (_request, reply) => {
      const { entries, revision } = await store.list('');
      let stop = () => {};
      const sink = openEventStream(reply, () => stop());
      const tell = (key: string, value: unknown) => {
        const [kind = '', ...rest] = key.split('/');
        const id = rest.join('/');
        const gone = value === null ? { id, gone: true } : null;
        if (kind === 'vms') sink.send('vm', gone ?? vmRow(value as VmRecord));
        else if (kind === 'hosts') sink.send('host', gone ?? hostRow(value as HostRecord, 0, fleet));
        else if (kind === 'apps')
          sink.send('application', gone ?? { name: id, generation: (value as ApplicationRecord).generation });
      };
      for (const { key, value } of entries) tell(key, value);
      sink.send('synced', { revision });
      stop = store.watch('', revision, (changes) => {
        for (const { key, value } of changes) tell(key, value);
      });
      return reply;
    },
  );
}
