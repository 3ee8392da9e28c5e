import { WeftError } from '../kit/errors.ts';

export const noScreen = (name: string): WeftError =>
  new WeftError('not-supported', `domain ${name} has no screen`, {
    remedy: 'A guest that boots a kernel directly has a serial console alone: weft console ID --log.',
  });
