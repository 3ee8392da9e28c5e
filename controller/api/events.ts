import { z } from 'zod';
import type { ApplicationRecord, EventRecord, HostRecord, VmRecord } from '../model/records.ts';
import type { ApiContext } from './context.ts';
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
        querystring: z.object({ after: z.coerce.number().int().min(0).default(0) }),
        response: { 200: z.object({ events: z.array(document) }) },
      },
    },
    async (request, reply) => {
      const last = Number(request.headers['last-event-id'] ?? Number.NaN);
      const after = Number.isInteger(last) ? last : request.query.after;
      const { entries, revision } = await store.list('events/');
      const events = entries
        .map(({ value }) => value as EventRecord)
        .filter((event) => event.sequence > after);
      if (!request.headers.accept?.includes('text/event-stream'))
        return { events: events.map((event) => ({ ...event })) };
      let stop = () => {};
      const sink = openEventStream(reply, () => stop());
      for (const event of events) sink.send('log', event, String(event.sequence));
      stop = store.watch('events/', revision, (changes) => {
        for (const { value } of changes)
          if (value !== null) sink.send('log', value, String((value as EventRecord).sequence));
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
