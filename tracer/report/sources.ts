/**
 * The user's lines beside the places of a report: read from the files where there is a file system. Paths become
 * relative to the working folder, those outside of it just their file's name, so that a report is the same wherever
 * the project lies.
 *
 *     { file: '/home/me/app/model.ts', line: 12 }  →  { file: 'model.ts', line: 12, text: 'return x.matmul(w)' }
 */
import { fromWorkingFolder } from '../working-folder.ts';
import type { PlaceData } from './data.ts';

interface NodeProcess {
  getBuiltinModule?(name: 'node:fs'): typeof import('node:fs') | undefined;
}

export function withSources(places: readonly PlaceData[]): PlaceData[] {
  const process = (globalThis as { process?: NodeProcess }).process;
  const files = process?.getBuiltinModule?.('node:fs');
  const texts = new Map<string, readonly string[]>();
  const linesOf = (file: string): readonly string[] => {
    let lines = texts.get(file);
    if (!lines) {
      lines = readLines(file, files);
      texts.set(file, lines);
    }
    return lines;
  };
  return places.map(({ file, line, column }) => {
    const text = linesOf(file)[line - 1]?.trim();
    return { file: shortPath(file), line, column, ...(text && { text }) };
  });
}

function readLines(file: string, files: typeof import('node:fs') | undefined): readonly string[] {
  try {
    return files?.readFileSync(file, 'utf8').split('\n') ?? [];
  } catch {
    return []; // A bundled or generated file need not exist; its name and line are shown all the same.
  }
}

function shortPath(file: string): string {
  const inside = fromWorkingFolder(file);
  return inside === file ? file.slice(Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\')) + 1) : inside;
}
