/**
 * Truth tests on traced values can not be trapped at run time: an object is always true. So the source of each function
 * that is handed to Kiln is read before it is traced, and truth tests on what may be a traced tensor are refused.
 *
 *     (x, flag) => { if (flag) ... }             flag is a boolean in this call: fine
 *     (x) => { if (x.sum()) ... }                [traced_branch]
 *     (x) => (x.shape[0] > 1 ? x : x.neg())      sizes are numbers: fine
 *
 * What may be a tensor follows from the arguments of the call at hand, through variables, calls, literals and the
 * functions inside the source, without regard to the order of statements (`source-flow.ts`). Comparison and arithmetic
 * trap by themselves, so their results are plain. What callees elsewhere do is not seen here; each transform checks
 * the function it is handed.
 */
import { KilnError } from '../base/error.ts';
import { SourceLocation } from '../base/location.ts';
import { currentLocation } from './location.ts';
import { sign } from './signature.ts';
import { analyseFlow, type TruthTest } from './source-flow.ts';
import { type ParsedFunction, parseFunction } from './source-parse.ts';
import { mayTest, sourceOf } from './source-text.ts';
import { known } from './source-values.ts';
import { isTrusted } from './trusted.ts';

type AnyFunction = (...args: never[]) => unknown;

/**
 * @param args arguments of the call that is traced
 * @param method the object a method is called on
 * @throws KilnError `traced_branch`, `unreadable_source`, `invalid_argument` for a private field read in a method
 */
export function checkSource(
  fn: AnyFunction,
  label: string,
  args: readonly unknown[],
  method: { readonly receiver: unknown } | undefined,
): void {
  if (isTrusted(fn)) return;
  const source = sourceOf(fn);
  if (source !== undefined && !mayTest(source)) return;
  const parsed = parseFunction(fn);
  if (!parsed) throw unreadable(fn, label);
  if (!parsed.hasTests) return;
  const key = method ? undefined : keyOf(args);
  if (key !== undefined && parsed.harmless.has(key)) return;
  const flow = analyseFlow(
    parsed.node,
    args.map((arg) => known(arg)),
    method && known(method.receiver),
  );
  if (flow.tests.length > 0) throw tracedBranch(fn, label, parsed, flow.tests[0]);
  if (method && flow.privateFields.length > 0) throw privateField(fn, label, parsed, flow.privateFields[0]);
  if (key === undefined) return;
  if (parsed.harmless.size >= mostKeys) parsed.harmless.clear();
  parsed.harmless.add(key);
}

const mostKeys = 256;

/** What the verdict depends on: which arguments are arrays, and the values of all others. */
function keyOf(args: readonly unknown[]): string | undefined {
  try {
    return sign(args, undefined, true).key;
  } catch (error) {
    if (error instanceof KilnError) return undefined; // an argument that is no pytree, such as a static one
    throw error;
  }
}

function unreadable(fn: AnyFunction, label: string): KilnError {
  return new KilnError('unreadable_source', `${label}: the source of the function can not be read`, {
    given: `${fn.name || 'a function'}: bound or native`,
    expected: 'a function whose source shows that it does not branch on traced values',
    hint: 'wrap it: (x) => model.forward(x) instead of model.forward.bind(model)',
  });
}

function tracedBranch(fn: AnyFunction, label: string, parsed: ParsedFunction, test: TruthTest): KilnError {
  return new KilnError('traced_branch', `${label}: ${test.construct} tests a value that is traced`, {
    given: frameOf(parsed, test),
    expected: 'tests on plain values: shapes, dtypes, options, null',
    hint:
      'choose with where(condition, a, b); for an optional tensor test x !== undefined; ' +
      'for a plain number that only looks traced write Number(n)',
    location: locate(fn, parsed, test),
  });
}

function privateField(fn: AnyFunction, label: string, parsed: ParsedFunction, place: Place): KilnError {
  return new KilnError('invalid_argument', `${label}: a compiled method reads a private field of this`, {
    given: frameOf(parsed, place),
    expected: 'fields that can be seen from outside: they are arguments of the method',
    hint: 'use a public field (a field marked private in TypeScript is one)',
    location: locate(fn, parsed, place),
  });
}

/** A place in the parsed text. */
export interface Place {
  readonly start: number;
  readonly end: number;
}

/** The line of the place, with a mark under it. */
function frameOf({ text, offset }: ParsedFunction, { start, end }: Place): string {
  const lineStart = Math.max(text.lastIndexOf('\n', start - 1) + 1, offset);
  const lineEnd = text.indexOf('\n', start);
  const line = text.slice(lineStart, lineEnd < 0 ? text.length - 1 : lineEnd);
  const indent = line.length - line.trimStart().length;
  const mark =
    ' '.repeat(Math.max(0, start - lineStart - indent)) +
    '^'.repeat(Math.max(1, Math.min(end, lineStart + line.length) - start));
  return `${line.trim()}\n            ${mark}`;
}

interface NodeProcess {
  getBuiltinModule?(name: 'node:fs'): typeof import('node:fs') | undefined;
}

/**
 * The place in the user's file. The engine does not say where a function stands, so its text is looked for in the
 * files on the stack; where it is not found as it is (a compiler stood between), its line is; else the caller's line.
 */
function locate(_fn: AnyFunction, { text, offset }: ParsedFunction, { start }: Place): SourceLocation {
  const call = currentLocation();
  const files = (globalThis as { process?: NodeProcess }).process?.getBuiltinModule?.('node:fs');
  if (!files) return call;
  const own = text.slice(offset, text.length - 1).trimEnd();
  for (const file of new Set(call.frames.map((frame) => frame.file))) {
    const content = readFile(files, file);
    const at = content === undefined ? -1 : content.indexOf(own);
    if (content !== undefined && at >= 0) return locationAt(file, content, at + start - offset);
  }
  const line = squeeze(text.slice(text.lastIndexOf('\n', start) + 1).split('\n')[0]);
  for (const file of new Set(call.frames.map((frame) => frame.file))) {
    const lines = readFile(files, file)?.split('\n').map(squeeze) ?? [];
    const found = lines.flatMap((other, i) => (other === line ? [i + 1] : []));
    if (found.length === 1) return SourceLocation.of(file, found[0], 1);
  }
  return call;
}

/** A line without what compilers change: spaces, quotes, semicolons, commas at the end. */
const squeeze = (line: string): string => line.replace(/\s|;|,$/g, '').replace(/["'`]/g, "'");

function readFile(files: typeof import('node:fs'), file: string): string | undefined {
  try {
    return files.readFileSync(file.startsWith('file:') ? new URL(file) : file.replace(/\?.*$/, ''), 'utf8');
  } catch {
    return undefined; // a file that is not there any more: the caller's line must do
  }
}

function locationAt(file: string, content: string, position: number): SourceLocation {
  const before = content.slice(0, position).split('\n');
  return SourceLocation.of(file, before.length, before[before.length - 1].length + 1);
}
