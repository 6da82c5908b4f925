/** Errors of a bake as plain data, with the user's line that each is about. */
import { readFileSync } from 'node:fs';
import { KilnError } from '../base/error.ts';
import { isOwnFile, SourceLocation } from '../base/location.ts';
import type { BakeFailure, Place } from './messages.ts';

/** Every failure that an error stands for. */
export function failuresOf(error: unknown): readonly BakeFailure[] {
  const { errors } = [error, (error as Error | undefined)?.cause].find((part) => part instanceof AggregateError) ?? {};
  if (errors && errors.length > 0) return errors.flatMap(failuresOf);
  if (!(error instanceof Error)) return [{ message: `the entry threw ${String(error)}` }];
  const place = placeOf(error);
  return [{ message: error.message, stack: usersStack(error), ...(place && { place }) }];
}

/** The stack without what is Kiln's, Node's or a package's. */
function usersStack({ name, message, stack = '' }: Error): string {
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line));
  const users = frames.filter((line) => {
    const [, file] = /(?:\(|at (?:async )?)((?:file:|\/|[A-Za-z]:[\\/])[^()]*?):\d+:\d+\)?$/.exec(line) ?? [];
    return file !== undefined && !/[\\/]node_modules[\\/]/.test(file) && !isOwnFile(file);
  });
  return [`${name}: ${message}`, ...users].join('\n');
}

function placeOf(error: Error): Place | undefined {
  const location = error instanceof KilnError ? error.location : undefined;
  return (
    placeOfText(location?.toString() ?? '') ??
    placeOfSyntaxError(error) ??
    placeOfText(SourceLocation.ofError(error).toString())
  );
}

/** `/app/model.ts:12:14` */
function placeOfText(text: string): Place | undefined {
  const match = /^(.+?):(\d+)(?::(\d+))?$/.exec(text);
  return match ? { file: match[1], line: Number(match[2]), column: Number(match[3] ?? 1) } : undefined;
}

/** Node begins the stack with the place, and tsx has it inside the message. */
function placeOfSyntaxError(error: Error): Place | undefined {
  const firstLine = error.stack?.split('\n', 1)[0] ?? '';
  const [, path] = /^(?:file:\/\/)?((?:\/|[A-Za-z]:[\\/]).*:\d+)$/.exec(firstLine) ?? [];
  if (path) return placeOfText(path);
  const [, reported] = /^((?:\/|[A-Za-z]:[\\/]).*?:\d+:\d+): ERROR: /m.exec(error.message) ?? [];
  const place = reported ? placeOfText(reported) : undefined;
  // Its columns count from 0.
  return place && { ...place, column: place.column + 1 };
}

/** The lines around a place, as bundlers print them; `undefined` when the file can not be read. */
export function codeFrame({ file, line, column }: Place): string | undefined {
  let lines: readonly string[];
  try {
    lines = readFileSync(file, 'utf8').split(/\r?\n/);
  } catch {
    return undefined;
  }
  if (line > lines.length) return undefined;
  const first = Math.max(1, line - 2);
  const last = Math.min(lines.length, line + 2);
  const width = String(last).length;
  const rows: string[] = [];
  for (let number = first; number <= last; number++) {
    rows.push(`${String(number).padStart(width)} | ${lines[number - 1]}`);
    if (number === line) rows.push(`${' '.repeat(width)} | ${' '.repeat(Math.max(0, column - 1))}^`);
  }
  return rows.join('\n');
}

/** Failures in one text, each with its place and the lines around it. */
export const textOfFailures = (failures: readonly BakeFailure[]): string =>
  failures
    .map(({ message, place }) => {
      const at = place && `${place.file}:${place.line}`;
      const head = at && !message.includes(at) ? `${at}: ${message}` : message;
      const frame = place && codeFrame(place);
      return frame ? `${head}\n\n${frame}` : head;
    })
    .join('\n\n');
