import { writeFile } from 'node:fs/promises';
import { WeftError } from '../../../agent/kit/errors.ts';
import type { Command } from '../context.ts';
import { json } from '../output.ts';
import { pictureAs } from '../picture.ts';

export const screenshot: Command = {
  usage: '<id> <file>',
  summary: 'a picture of a VM’s screen, into FILE.png or FILE.ppm',
  options: [['--end', 'as it was when the guest last crashed or hung, not as it is now']],
  async run(context, [id = '', file = ''], options) {
    const kind = /\.(png|ppm)$/i.exec(file)?.[1]?.toLowerCase() as 'png' | 'ppm' | undefined;
    if (kind === undefined) throw new WeftError('usage', `${file} ends neither in .png nor in .ppm`);
    const of = options.end === true ? 'end' : 'now';
    const bytes = pictureAs(kind, await (await context.client()).screenshot(id, of));
    await writeFile(file, bytes);
    context.say(
      `${id}: its screen ${of === 'now' ? 'as it is now' : 'as it was at its last end'} is in ${file}`,
    );
    if (context.json) context.print(json({ id, of, file, sizeBytes: bytes.length }));
    return 0;
  },
};
