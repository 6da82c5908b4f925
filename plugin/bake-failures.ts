/** Errors of a bake as plain data, with the user's line that each is about. */
import { readFileSync } from 'node:fs';
import { KilnError } from '../base/error.ts';
import { SourceLocation } from '../base/location.ts';
import type { BakeFailure, Place } from './messages.ts';

/** Every failure that an error stands for. */
export function failuresOf(error: unknown): readonly BakeFailure[] {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.flatMap(failuresOf);
  if (!(error instanceof Error)) return [{ message: `the entry threw ${String(error)}` }];
  const place = placeOf(error);
  return [{ message: error.message, ...(error.stack && { stack: error.stack }), ...(place && { place }) }];
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
  return reported ? placeOfText(reported) : undefined;
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

/** All failures of an entry in one text. */
export const textOfFailures = (failures: readonly BakeFailure[]): string =>
  failures
    .map(({ message, place }) => {
      const frame = place && codeFrame(place);
      return frame ? `${message}\n\n${frame}` : message;
    })
    .join('\n\n');
