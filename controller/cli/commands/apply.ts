import type { WeftClient } from '../../client/index.ts';
import type { Command, Context } from '../context.ts';
import { loadModel, withFile } from '../model-file.ts';
import { json } from '../output.ts';
import { parseTimeout, waitUntil } from '../wait.ts';

export const apply: Command = {
  usage: '',
  summary: 'create or change an application',
  options: [
    ['-f, --file <file>', 'the model'],
    ['--wait', 'until every instance and machine is ready'],
    ['--timeout <duration>', 'how long to wait', '10m'],
  ],
  async run(context, _args, options) {
    const timeoutMs = parseTimeout(options.timeout);
    const client = await context.client();
    const startedAtMs = Date.now();
    const model = await withFile(options, () => loadModel(client, options));
    const result = await withFile(options, () => client.apply(model.app, model.source, model.packages));
    context.say(`${model.app}: generation ${result.generation}${result.changed ? '' : ', nothing changed'}`);
    if (options.wait) {
      const wanted = (await client.plan(model.app, model.source, model.packages)).steps.filter(
        (step) => step.action !== 'remove',
      );
      await waitUntil(
        context,
        client,
        model.app,
        {
          what: `${model.app} ready`,
          isReached: async (vms) =>
            wanted.every(({ id }) => vms.get(id)?.state === 'ready') &&
            [...vms.values()].every((vm) => vm.state === 'ready') &&
            (await isSettled(client, model)),
        },
        timeoutMs,
      );
      await tellUnserved(context, client, model.app);
      const vms = await (await context.client()).listVms(model.app);
      if (context.json) context.print(json({ app: model.app, ...result, vms }));
      else
        context.print(
          `${model.app} is ready: ${vms.length} VMs in ${((Date.now() - startedAtMs) / 1000).toFixed(1)} s\n`,
        );
      return 0;
    }
    if (context.json) context.print(json({ app: model.app, ...result }));
    return 0;
  },
};

/** It is ready, and the world does not reach all of it: nothing waits for what may be missing for ever, such as a certificate. */
export async function tellUnserved(
  context: Pick<Context, 'say'>,
  client: Pick<WeftClient, 'getApplication'>,
  app: string,
): Promise<void> {
  const { endpoints } = await client.getApplication(app);
  for (const { id, state, reason } of endpoints)
    if (state === 'failed') context.say(`${id} is not served: ${reason ?? 'see weft ps --endpoints'}`);
}

/** Nothing is left to be replaced: every VM is made from the definition that was applied. */
async function isSettled(
  client: Awaited<ReturnType<Parameters<Command['run']>[0]['client']>>,
  model: { app: string; source: string; packages: Readonly<Record<string, string>> },
): Promise<boolean> {
  const { steps } = await client.plan(model.app, model.source, model.packages);
  return steps.every((step) => step.action === 'keep');
}
