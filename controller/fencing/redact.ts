import type { FenceSecret } from './secret-file.ts';

const MAXIMUM_CHARACTERS = 300;
const STAMP = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ (ERROR|WARNING): (Failed: )?/;

/** The telling line of what a fence agent printed: errors first, then its last words. Without the secret, in whatever form it is likely to stand. */
export function redact(output: string, secret: FenceSecret | null): string {
  const clean = secret
    ? formsOf(secret).reduce((text, form) => text.replaceAll(form, '•••'), output)
    : output;
  const lines = clean
    .split('\n')
    .map((line) => line.replace(/\p{Cc}/gu, ' ').trim())
    .filter(
      (line) => line !== '' && !line.startsWith('Please use ') && !line.includes('Ignoring unknown option'),
    );
  const line = lines.find((each) => / ERROR: /.test(each)) ?? lines.at(-1) ?? '';
  return line.replace(STAMP, '').slice(0, MAXIMUM_CHARACTERS);
}

/** The longest first, so that none leaves a rest of another. */
function formsOf({ password, options }: FenceSecret): readonly string[] {
  const hidden = [
    password,
    ...Object.entries(options).flatMap(([key, value]) => (isSecret(key) ? [value] : [])),
  ];
  return hidden
    .filter((text) => text !== '')
    .flatMap((text) => [
      text,
      encodeURIComponent(text),
      JSON.stringify(text).slice(1, -1),
      Buffer.from(text).toString('base64'),
    ])
    .sort((one, other) => other.length - one.length);
}

const isSecret = (option: string) => /pass|key|token|secret|community/.test(option);
