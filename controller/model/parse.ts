import { type Document, type ErrorCode, isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { WeftError } from '../../agent/kit/errors.ts';
import { issueText } from './issue-text.ts';
import { type ApplicationDocument, applicationDocument, keysAt } from './schema.ts';
import { nearest } from './suggest.ts';

/** One thing wrong with a model, and where. Lines and columns count from 1. */
export interface ModelProblem {
  readonly line: number;
  readonly column: number;
  /** Dotted, for example `roles.web.endpoints.http.port`. */
  readonly path: string;
  readonly message: string;
  readonly fix: string | null;
}

export const MAXIMUM_MODEL_BYTES = 1 << 20;
const MAXIMUM_ALIASES = 100;
const MAXIMUM_PROBLEMS = 50;

const NO_YAML = 'The file is no YAML from here on, or from shortly before.';
/** Where the parser speaks to programmers, or of what came of a mistake. */
const YAML_PROBLEMS: Partial<Record<ErrorCode, Pick<ModelProblem, 'message' | 'fix'>>> = {
  MULTIPLE_DOCS: {
    message: 'a second document begins here, and a file is one application',
    fix: 'Put it in a file of its own.',
  },
  TAB_AS_INDENT: { message: 'a tab indents this line', fix: 'Indent with spaces.' },
  DUPLICATE_KEY: { message: 'this key is here a second time', fix: 'Leave one of the two out.' },
};

/** The text's places, for problems found after parsing. */
export interface SourceMap {
  locate(path: readonly PropertyKey[], of: 'key' | 'value'): Pick<ModelProblem, 'line' | 'column'>;
}

/** @throws WeftError `invalid-model` with `details.problems: ModelProblem[]`, all of them at once. */
export function parseModel(source: string): { document: ApplicationDocument; map: SourceMap } {
  if (Buffer.byteLength(source) > MAXIMUM_MODEL_BYTES)
    throw new WeftError('invalid-model', `a model may be at most ${MAXIMUM_MODEL_BYTES} bytes long`);
  const lines = new LineCounter();
  const yaml = parseDocument(source, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  if (yaml.errors.length > 0)
    throw modelError(
      yaml.errors.map((error) => ({
        ...at(error.pos[0]),
        path: '',
        ...(YAML_PROBLEMS[error.code] ?? { message: error.message, fix: NO_YAML }),
      })),
    );
  const map: SourceMap = { locate: (path, of) => at(offsetOf(yaml, path, of)) };
  const parsed = applicationDocument.safeParse(toData(yaml), { reportInput: true });
  if (!parsed.success)
    throw modelError(withoutEchoes(parsed.error.issues.flatMap((issue) => problemsOf(issue, map))));
  return { document: parsed.data, map };
}

export function modelError(problems: readonly ModelProblem[]): WeftError {
  const sorted = [...problems].sort((one, other) => one.line - other.line || one.column - other.column);
  const [first] = sorted;
  const more = sorted.length > 1 ? ` (and ${sorted.length - 1} more)` : '';
  const where = first ? `line ${first.line}, column ${first.column}: ` : '';
  const path = first?.path ? `${first.path}: ` : '';
  return new WeftError('invalid-model', `${where}${path}${first?.message ?? 'the model is wrong'}${more}`, {
    ...(first?.fix ? { remedy: first.fix } : {}),
    details: { problems: sorted.slice(0, MAXIMUM_PROBLEMS) },
  });
}

/** A misspelt key is one problem: that the one it means is missing goes without saying. */
function withoutEchoes(problems: readonly ModelProblem[]): readonly ModelProblem[] {
  const meant = new Set(
    problems.map(
      ({ path, fix }) => `${parentOf(path)} ${/^Did you mean (.*)\?$/.exec(fix ?? '')?.[1]} is missing`,
    ),
  );
  return problems.filter(
    ({ path, message }) => ![...meant].some((echo) => `${parentOf(path)} ${message}`.startsWith(`${echo} (`)),
  );
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('.')));

export const pathText = (path: readonly PropertyKey[]): string => path.map(String).join('.');

/** A bomb of aliases fails here instead of filling memory. */
function toData(yaml: Document.Parsed): unknown {
  try {
    return yaml.toJS({ maxAliasCount: MAXIMUM_ALIASES });
  } catch (error) {
    throw modelError([{ line: 1, column: 1, path: '', message: (error as Error).message, fix: null }]);
  }
}

function problemsOf(issue: z.core.$ZodIssue, map: SourceMap): ModelProblem[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      const meant = nearest(key, keysAt(issue.path));
      return {
        ...map.locate(path, 'key'),
        path: pathText(path),
        message: `unknown key ${JSON.stringify(key)}`,
        fix: meant === null ? `Known keys here: ${keysAt(issue.path).join(', ')}.` : `Did you mean ${meant}?`,
      };
    });
  if (issue.code === 'invalid_key')
    return [
      {
        ...map.locate(issue.path, 'key'),
        path: pathText(issue.path),
        message: issue.issues[0]?.message ?? issue.message,
        fix: null,
      },
    ];
  if (issue.code === 'invalid_union') {
    // The branch that got furthest says most: an object's own problems rather than "expected string".
    const inner = issue.errors.find((branch) =>
      branch.some((each) => each.path.length > 0 || each.code === 'unrecognized_keys'),
    );
    if (inner)
      return inner.flatMap((each) =>
        problemsOf({ ...each, path: [...issue.path, ...each.path] } as z.core.$ZodIssue, map),
      );
  }
  return [
    {
      ...map.locate(issue.path, 'value'),
      path: pathText(issue.path),
      message: messageOf(issue),
      fix: fixOf(issue),
    },
  ];
}

function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type' && issue.input === undefined)
    return `${String(issue.path.at(-1) ?? 'the document')} is missing (${issue.expected})`;
  return issueText(issue);
}

/** What a check of the schema knows to be meant. */
function fixOf(issue: z.core.$ZodIssue): string | null {
  const fix = issue.code === 'custom' ? issue.params?.fix : undefined;
  return typeof fix === 'string' ? fix : null;
}

/** Where a path's key or value begins; of something missing, its nearest parent. */
function offsetOf(yaml: Document.Parsed, path: readonly PropertyKey[], of: 'key' | 'value'): number {
  let node: unknown = yaml.contents;
  let offset = rangeStart(node) ?? 0;
  for (const [depth, step] of path.entries()) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step));
      if (!pair) return offset;
      const keyOffset = rangeStart(pair.key) ?? offset;
      if (of === 'key' && depth === path.length - 1) return keyOffset;
      node = pair.value;
      offset = rangeStart(node) ?? keyOffset;
    } else {
      const next = (node as { get?: (key: unknown, keep: boolean) => unknown } | null)?.get?.(step, true);
      if (next === undefined) return offset;
      node = next;
      offset = rangeStart(node) ?? offset;
    }
  }
  return offset;
}

const rangeStart = (node: unknown): number | undefined => (node as Node | null)?.range?.[0];
