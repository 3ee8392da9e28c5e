import { WeftError } from '../../../agent/kit/errors.ts';
import { buildBox } from './build-box.ts';

/** `npm run host-box`: prints the path of the box, which `vagrant box add --name weft-host PATH` takes. */
const CACHE = '/var/cache/weft/host-box';

try {
  const say = (line: string) => process.stderr.write(`host-box: ${line}\n`);
  process.stdout.write(`${await buildBox({ cacheFolder: CACHE, onLine: say })}\n`);
} catch (thrown) {
  const error = WeftError.from(thrown);
  process.stderr.write(`host-box: ${error.message}${error.remedy ? `\n  ${error.remedy}` : ''}\n`);
  process.exit(1);
}
