import { z } from 'zod';
import { WeftError } from '../../agent/kit/errors.ts';
import type { VmRecord } from '../model/records.ts';
import type { ApiContext } from './context.ts';
import { howToMove, moveModeOf } from './move-mode.ts';
import { vmRow } from './rows.ts';
import { document, name, nothing, vmIdOf, vmParams } from './schemas.ts';
import type { Api } from './server.ts';

export async function requireVm(context: Pick<ApiContext, 'store'>, id: string): Promise<VmRecord> {
  const entry = await context.store.get(`vms/${id}`);
  if (entry) return entry.value as VmRecord;
  throw new WeftError('not-found', `there is no VM ${id}`, { remedy: 'See: weft ps' });
}

export async function placedVm(context: ApiContext, id: string): Promise<VmRecord & { host: string }> {
  const vm = await requireVm(context, id);
  if (vm.host !== null) return { ...vm, host: vm.host };
  throw new WeftError('not-found', `${id} is not placed on a host (${vm.state})`, {
    remedy: `See: weft why ${id}`,
  });
}

export function vmRoutes(api: Api, context: ApiContext): void {
  const { operations, store } = context;
  api.get(
    '/v1/vms',
    {
      schema: {
        description: 'All VMs, or those of one application: the rows of weft ps.',
        querystring: z.object({ app: name.optional() }),
        response: { 200: z.array(document) },
      },
    },
    async ({ query }) => {
      const { entries } = await store.list(query.app === undefined ? 'vms/' : `vms/${query.app}/`);
      return entries.map(({ value }) => vmRow(value as VmRecord));
    },
  );
  api.get(
    '/v1/vms/:app/:name',
    { schema: { description: 'One VM: its whole record.', params: vmParams, response: { 200: document } } },
    async ({ params }) => ({ ...(await requireVm(context, vmIdOf(params))) }),
  );
  const action = (verb: 'reboot' | 'reimage', description: string) =>
    api.post(
      `/v1/vms/:app/:name/${verb}`,
      { schema: { description, params: vmParams, response: { 200: nothing } } },
      async ({ params }) => {
        await operations[verb](vmIdOf(params));
        return {};
      },
    );
  action('reboot', 'Reboots the guest; its overlay stays.');
  action('reimage', 'Makes an instance anew on the same host: its overlay is discarded.');
  api.post(
    '/v1/vms/:app/:name/move',
    {
      schema: {
        description:
          'Makes an instance anew on another host, and removes it here when it is ready there. A machine on a shared pool goes there while it runs, or stopped where that cannot be; one on a local pool while it runs, where its disk may be copied along.',
        params: vmParams,
        body: z.object({ to: name.optional(), ...howToMove }),
        response: { 200: nothing },
      },
    },
    async ({ params, body }) => {
      await operations.move(vmIdOf(params), body.to ?? null, {
        mode: moveModeOf(body),
        copies: body.copyStorage === true,
      });
      return {};
    },
  );
  api.delete(
    '/v1/vms/:app/:name/move',
    {
      schema: {
        description: 'Ends a move that was asked for, as far as it is not done: the VM stays where it is.',
        params: vmParams,
        response: { 200: nothing },
      },
    },
    async ({ params }) => {
      await operations.abortMove(vmIdOf(params));
      return {};
    },
  );
  api.delete(
    '/v1/vms/:app/:name',
    {
      schema: {
        description: 'Deletes a machine and its disk.',
        params: vmParams,
        response: { 200: nothing },
      },
    },
    async ({ params }) => {
      await operations.deleteMachine(vmIdOf(params));
      return {};
    },
  );
}
