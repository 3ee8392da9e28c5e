/** What is wrong with a value, as zod tells it, in a model or in what came by the API. */
export interface Issue {
  readonly code?: string | undefined;
  readonly message: string;
  /** Of `invalid_type`. */
  readonly expected?: unknown;
  /** Of what a limit is. */
  readonly origin?: unknown;
  readonly maximum?: unknown;
  readonly minimum?: unknown;
  /** Of `invalid_value`. */
  readonly values?: readonly unknown[] | undefined;
}

const KINDS: Readonly<Record<string, string>> = {
  ...{ string: 'a text', number: 'a number', int: 'a whole number', boolean: 'true or false' },
  ...{ array: 'a list', object: 'a mapping of keys to values', record: 'a mapping of keys to values' },
  ...{ null: 'empty', nan: 'no number at all', date: 'a date' },
};
const kindOf = (type: unknown) => KINDS[String(type).toLowerCase()] ?? String(type);

/** One half of a sentence whose other half is the value's path. What a schema says in its own words is said so, but for limits of numbers. */
export function issueText(issue: Issue): string {
  const { code, message, expected, origin, values = [] } = issue;
  const received = /^Invalid input: expected .*, received (\w+)$/.exec(message)?.[1];
  if (received === 'undefined') return `is missing (${String(expected)})`;
  if (code === 'invalid_type' && received !== undefined)
    return `must be ${kindOf(expected)}, not ${kindOf(received)}`;
  if (code === 'invalid_value' && values.length > 0 && message.startsWith('Invalid '))
    return `must be ${values.length === 1 ? '' : 'one of '}${values.join(', ')}`;
  const isNumber = origin === 'number' || origin === 'int';
  if (isNumber || /^Too (big|small)/.test(message)) return limitText(issue) ?? message;
  return message.replace(/^Invalid (input|option|string|key): /, '');
}

function limitText({ code, origin, maximum, minimum }: Issue): string | null {
  const limit = code === 'too_big' ? maximum : code === 'too_small' ? minimum : undefined;
  if (limit === undefined) return null;
  const of = origin === 'string' ? ' characters long' : origin === 'array' ? ' entries long' : '';
  if (of !== '' && code === 'too_small' && Number(limit) === 1) return 'must not be empty';
  return `must be at ${code === 'too_big' ? 'most' : 'least'} ${limit}${of}`;
}
