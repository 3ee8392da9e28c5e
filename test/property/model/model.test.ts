import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { WeftError } from '../../../agent/kit/errors.ts';
import { resolveService } from '../../../controller/model/index.ts';

const onlyWeftErrors = (source: string) => {
  try {
    resolveService(source, {});
  } catch (error) {
    expect(error).toBeInstanceOf(WeftError);
  }
};

test('any text is either a service or a WeftError', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 400 }), onlyWeftErrors), { numRuns: 500 });
});

const KEYS = [
  'apiVersion',
  'kind',
  'name',
  'roles',
  'machines',
  'package',
  'web',
  'size',
  'image',
  'instances',
  'endpoints',
  'startup',
  'env',
  '__proto__',
  'constructor',
  'toString',
];
const value = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom<unknown>(
      'weft/v1',
      'Application',
      'web',
      'small',
      'tiny:stable',
      null,
      true,
      0,
      -1,
      1e300,
    ),
    fc.string({ maxLength: 12 }),
    fc.array(tie('node'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...KEYS), tie('node'), { maxKeys: 6 }),
  ),
})).node;

test('any document is either a service or a WeftError', () => {
  fc.assert(
    fc.property(value, (document) => onlyWeftErrors(stringify(document))),
    { numRuns: 500 },
  );
});

test('any damage to a good model is either a service or a WeftError with a place in it', () => {
  const good =
    'apiVersion: weft/v1\nkind: Application\nname: a\nroles:\n  web: {kind: worker, image: "t:1", size: small, instances: 1}\n';
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.string({ maxLength: 6 }), (at, text) => {
      const source = good.slice(0, at) + text + good.slice(at + 1);
      onlyWeftErrors(source);
    }),
    { numRuns: 1000 },
  );
});
