import fc from 'fast-check';
import { z } from 'zod';

/** A value of a schema, and the same as a newer peer would send it: with fields that this build does not know. */
export interface FramePair {
  readonly now: unknown;
  readonly newer: unknown;
}

type JsonSchema = z.core.JSONSchema.BaseSchema;

const both = (arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<FramePair> =>
  arbitrary.map((value) => ({ now: value, newer: value }));
const FUTURE = 'aFieldOfTheFuture';

/** Values that a schema takes, made from its own description: no schema is forgotten when it changes. */
export function arbitraryOf(schema: z.ZodType): fc.Arbitrary<FramePair> {
  return fromJsonSchema(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'throw', reused: 'inline' }));
}

/** Reading a pattern takes far longer than making texts by it, and few patterns are at most places. */
function matching(pattern: string): fc.Arbitrary<string> {
  const made = madeBy.get(pattern) ?? fc.stringMatching(new RegExp(pattern));
  madeBy.set(pattern, made);
  return made;
}
const madeBy = new Map<string, fc.Arbitrary<string>>();

function fromJsonSchema(schema: JsonSchema): fc.Arbitrary<FramePair> {
  const branches = schema.anyOf ?? schema.oneOf;
  if (branches) return fc.oneof(...branches.map((branch) => fromJsonSchema(branch as JsonSchema)));
  if (schema.const !== undefined) return fc.constant({ now: schema.const, newer: schema.const });
  if (schema.enum) return both(fc.constantFrom<unknown>(...schema.enum));
  const { type } = schema as { type?: string | readonly string[] };
  if (Array.isArray(type))
    return fc.oneof(...type.map((each) => fromJsonSchema({ ...schema, type: each } as JsonSchema)));
  switch (type) {
    case 'object':
      return schema.properties ? anObject(schema, schema.properties) : aRecord(schema);
    case 'array':
      return anArray(schema);
    case 'string':
      return both(aString(schema));
    case 'integer':
    case 'number':
      return both(aNumber(schema));
    case 'boolean':
      return both(fc.boolean());
    case 'null':
      return fc.constant({ now: null, newer: null });
    default:
      throw new Error(`no values are made of ${JSON.stringify(schema)}`);
  }
}

function anObject(
  schema: JsonSchema,
  properties: NonNullable<JsonSchema['properties']>,
): fc.Arbitrary<FramePair> {
  const required = new Set(schema.required);
  const entries = Object.entries(properties).map(([key, inner]) => {
    const value = fromJsonSchema(inner as JsonSchema);
    return (required.has(key) ? value : fc.option(value, { nil: null })).map((pair) => [key, pair] as const);
  });
  return fc.tuple(fc.jsonValue({ maxDepth: 2 }), ...entries).map(([unknown, ...pairs]) => {
    const present = pairs.flatMap(([key, pair]) => (pair === null ? [] : [[key, pair] as const]));
    const pick = (which: keyof FramePair) =>
      Object.fromEntries(present.map(([key, pair]) => [key, pair[which]]));
    return { now: pick('now'), newer: { [FUTURE]: unknown, ...pick('newer') } };
  });
}

function aRecord(schema: JsonSchema): fc.Arbitrary<FramePair> {
  const value = fromJsonSchema(schema.additionalProperties as JsonSchema);
  const names = schema.propertyNames as JsonSchema | undefined;
  const key = names?.pattern === undefined ? fc.string({ maxLength: 8 }) : aString(names);
  return fc.dictionary(key, value, { maxKeys: 3, noNullPrototype: true }).map((record) => {
    const pick = (which: keyof FramePair) =>
      Object.fromEntries(Object.entries(record).map(([key, pair]) => [key, pair[which]]));
    return { now: pick('now'), newer: pick('newer') };
  });
}

function anArray(schema: JsonSchema): fc.Arbitrary<FramePair> {
  const minLength = schema.minItems ?? 0;
  return fc
    .array(fromJsonSchema(schema.items as JsonSchema), {
      minLength,
      maxLength: Math.min(minLength + 2, schema.maxItems ?? Number.POSITIVE_INFINITY),
    })
    .map((pairs) => ({ now: pairs.map((pair) => pair.now), newer: pairs.map((pair) => pair.newer) }));
}

function aString(schema: JsonSchema): fc.Arbitrary<string> {
  const { pattern, maxLength } = schema;
  if (pattern !== undefined) return matching(pattern).filter((text) => text.length <= (maxLength ?? 4_096));
  return fc.string({ unit: 'binary', maxLength: Math.min(maxLength ?? 24, 24) });
}

function aNumber(schema: JsonSchema): fc.Arbitrary<number> {
  const min =
    schema.minimum ?? (schema.exclusiveMinimum === undefined ? -1_000 : Number(schema.exclusiveMinimum) + 1);
  const max = Math.min(schema.maximum ?? Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  return schema.type === 'integer'
    ? fc.integer({ min, max })
    : // JSON has no negative zero.
      fc.double({ min, max, noNaN: true }).map((value) => (value === 0 ? 0 : value));
}
