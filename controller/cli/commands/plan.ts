import type { Command } from '../context.ts';
import { loadModel, withFile } from '../model-file.ts';
import { json, paint, table } from '../output.ts';

export const plan: Command = {
  usage: '',
  summary: 'what apply would do, and where each new VM would go; changes nothing',
  options: [['-f, --file <file>', 'the model']],
  async run(context, _args, options) {
    const client = await context.client();
    const model = await withFile(options, () => loadModel(client, options));
    const preview = await withFile(options, () => client.plan(model.app, model.source, model.packages));
    if (context.json) {
      context.print(json(preview));
      return 0;
    }
    context.print(
      table(
        ['action', 'id', 'host', 'reason'],
        preview.steps.map((step) => [step.action, step.id, step.host, step.reason]),
      ),
    );
    for (const { id, explanation } of preview.refusals)
      for (const host of explanation.hosts)
        context.print(`${paint('red', 'no room')} ${id} on ${host.host}: ${host.reasons.join(', ')}\n`);
    return 0;
  },
};
