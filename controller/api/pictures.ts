import { z } from 'zod';
import { WeftError } from '../../agent/kit/errors.ts';
import { readBytes } from '../../agent/kit/read-text.ts';
import type { VmRecord } from '../model/records.ts';
import type { ApiContext } from './context.ts';
import { vmIdOf, vmParams } from './schemas.ts';
import type { Api } from './server.ts';
import { placedVm } from './vms.ts';

/** A screen of 4,096 by 2,160 is 27 MB. */
const MOST_BYTES = 64 * 1024 * 1024;
const CAPABILITY = 'screenshot';

export const hasScreen = ({ image }: Pick<VmRecord, 'image'>): boolean => image?.boot.method === 'disk';

export function pictureRoutes(api: Api, context: ApiContext): void {
  api.get(
    '/v1/vms/:app/:name/screenshot',
    {
      schema: {
        description:
          'A picture of the guest’s screen, as PPM or PNG: as it is now, or as it was at its last crash or hang (end).',
        params: vmParams,
        querystring: z.object({ of: z.enum(['now', 'end']).default('now') }),
      },
    },
    async ({ params, query }, reply) => {
      const picture = await pictureOf(context, vmIdOf(params), query.of);
      return reply.type(typeOf(picture)).send(picture);
    },
  );
}

async function pictureOf(context: ApiContext, id: string, of: 'now' | 'end'): Promise<Buffer> {
  const vm = await placedVm(context, id);
  if (!hasScreen(vm))
    throw new WeftError('not-supported', `${id} has no screen: its kernel is booted directly`, {
      remedy: `What it says is on its serial console: weft console ${id} --log`,
    });
  if (of === 'end' && !(vm.restarts?.picture && vm.restarts.host === vm.host))
    throw new WeftError('not-found', `host ${vm.host} keeps no picture of an end of ${id}`);
  const link = context.fleet.hosts().find(({ name }) => name === vm.host);
  if (link?.hello && !link.hello.capabilities.includes(CAPABILITY))
    throw new WeftError('not-supported', `the agent of host ${vm.host} is too old to take pictures`);
  const stream = await context.fleet.openStream(vm.host, id, { kind: 'screenshot', of });
  const picture = await readBytes(stream, MOST_BYTES);
  if (picture.length > 0) return picture;
  throw new WeftError('hypervisor-failed', `host ${vm.host} could take no picture of ${id}`, {
    remedy: `Is it running? See: weft why ${id}`,
  });
}

const typeOf = (picture: Buffer) =>
  picture.subarray(0, 2).toString('latin1') === 'P6' ? 'image/x-portable-pixmap' : 'image/png';
