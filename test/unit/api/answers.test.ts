import { expect, test } from 'vitest';
import type { z } from 'zod';
import type { certificateRow } from '../../../controller/api/certificate-answers.ts';
import type { networkAnswer, whyAnswer } from '../../../controller/api/network-answers.ts';
import { openApiDocument } from '../../../controller/api/openapi.ts';
import type { CertificateRow } from '../../../controller/certificates/rows.ts';
import type { NetworkView } from '../../../controller/network/view.ts';
import type { WhyAnswer } from '../../../controller/network/why.ts';

type KeysOf<Some> = Some extends unknown ? keyof Some : never;

/** Keys of what is given that its description lacks: they would not go out. */
type Undescribed<Given, Described> = Given extends readonly (infer One)[]
  ? Described extends readonly (infer Other)[]
    ? Undescribed<One, Other>
    : never
  : Given extends object
    ? {
        [Key in keyof Given]-?: Key extends KeysOf<Described>
          ? Undescribed<
              NonNullable<Given[Key]>,
              Key extends keyof Described ? NonNullable<Described[Key]> : never
            >
          : Key;
      }[keyof Given]
    : never;

/** The types are the test: what an answer gains is described as well, or this file is refused. */
const ALL_DESCRIBED: readonly [
  [Undescribed<NetworkView, z.output<typeof networkAnswer>>] extends [never] ? true : never,
  [Undescribed<WhyAnswer, z.output<typeof whyAnswer>>] extends [never] ? true : never,
  [Undescribed<CertificateRow, z.output<typeof certificateRow>>] extends [never] ? true : never,
] = [true, true, true];

interface Described {
  readonly properties?: object;
  readonly items?: Described;
}

test.each([
  ['/v1/applications/{app}/network', 'get', ['subnets', 'flows', 'published', 'encryption']],
  ['/v1/network/why', 'get', ['allowed', 'rule', 'reason', 'counters']],
  ['/v1/certificates', 'get', ['name', 'kept', 'renewalMs', 'attempt']],
  ['/v1/certificates/{name}', 'put', ['name', 'kept', 'renewalMs', 'attempt']],
  ['/v1/challenges/{token}', 'delete', ['removed']],
])('%s (%s) has its answer described', async (path, method, keys) => {
  const { paths } = (await openApiDocument()) as {
    paths: Record<
      string,
      Record<string, { responses: Record<string, { content: Record<string, { schema: Described }> }> }>
    >;
  };
  const schema = paths[path]?.[method]?.responses['200']?.content['application/json']?.schema;
  expect(Object.keys((schema?.items ?? schema)?.properties ?? {})).toEqual(expect.arrayContaining(keys));
  expect(ALL_DESCRIBED).not.toContain(false);
});
