import { readText } from '../../agent/kit/read-text.ts';
import type { HostRecord, VmRecord } from '../model/records.ts';
import type { ApiContext } from './context.ts';
import { hasScreen } from './pictures.ts';
import { document, vmIdOf, vmParams } from './schemas.ts';
import type { Api } from './server.ts';
import { requireVm } from './vms.ts';

const TAIL_BYTES = 4_000;
/** An answer without the console is better than none. */
const CONSOLE_LIMIT_MS = 3_000;

/** Everything that is known of one VM, in one answer: what `weft why` shows. */
export function dossierRoutes(api: Api, context: ApiContext): void {
  api.get(
    '/v1/vms/:app/:name/dossier',
    {
      schema: {
        description:
          'One VM’s dossier: its record, its host’s facts, the end of its console as it is now, and which pictures there are.',
        params: vmParams,
        response: { 200: document },
      },
    },
    async ({ params }) => {
      const vm = await requireVm(context, vmIdOf(params));
      const host = vm.host === null ? null : await hostFactsOf(context, vm.host);
      return {
        vm: { ...vm },
        host,
        consoleTail: host?.connected ? await consoleTailOf(context, vm, host.name) : null,
        givenUp: vm.state === 'failed',
        pictures: {
          now: hasScreen(vm) && vm.host !== null,
          end: vm.restarts?.picture === true && vm.restarts.host === vm.host,
        },
      };
    },
  );
}

async function hostFactsOf({ store, fleet }: ApiContext, name: string) {
  const record = (await store.get(`hosts/${name}`))?.value as HostRecord | undefined;
  if (!record) return null;
  const { state, evidence, draining, facts } = record;
  const connected = fleet.hosts().find((host) => host.name === name)?.connected ?? false;
  return { name, state, evidence, draining, connected, facts };
}

async function consoleTailOf(
  { fleet, clock }: ApiContext,
  vm: VmRecord,
  host: string,
): Promise<string | null> {
  const limit = new AbortController();
  const tail = fleet
    .openStream(host, vm.id, { kind: 'console-log', bytes: TAIL_BYTES })
    .then((stream) => {
      limit.signal.addEventListener('abort', () => stream.destroy(), { once: true });
      if (limit.signal.aborted) stream.destroy();
      return readText(stream, 4 * TAIL_BYTES);
    })
    .catch(() => null);
  const timer = clock.after(CONSOLE_LIMIT_MS, () => limit.abort());
  const over = new Promise<null>((resolve) =>
    limit.signal.addEventListener('abort', () => resolve(null), { once: true }),
  );
  const text = await Promise.race([tail, over]);
  timer.cancel();
  return text || null;
}
