/**
 * Files that a command writes all together: each to a temporary name first, then renamed, so that none is ever half a
 * file, and none is touched when one can not be written.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { KilnError } from '../index.ts';

/** Contents by path. */
export type OutputFiles = ReadonlyMap<string, Uint8Array>;

/** @throws KilnError `cli_usage` for what can not be written, `not_a_file` for a folder; then no file has changed */
export function writeFiles(files: OutputFiles): void {
  const moves: { readonly from: string; readonly to: string }[] = [];
  let current = '';
  try {
    for (const [path, bytes] of files) {
      current = path;
      assertNoFolder(path);
      mkdirSync(dirname(path), { recursive: true });
      const from = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
      moves.push({ from, to: path });
      writeFileSync(from, bytes);
    }
    for (const { from, to } of moves) {
      current = to;
      renameSync(from, to);
    }
  } catch (cause) {
    for (const { from } of moves) rmSync(from, { force: true });
    if (cause instanceof KilnError) throw cause;
    throw new KilnError('cli_usage', `${current} can not be written`, { given: String(cause), cause });
  }
}

function assertNoFolder(path: string): void {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  throw new KilnError('not_a_file', `${path} is a folder`, {
    expected: 'the name of a file',
    hint: `-o ${join(path, 'model.kiln')}`,
  });
}

/**
 * The bytes of a file that must be there.
 * @throws KilnError `not_a_file`
 */
export function readInput(path: string, hint?: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(readFileSync(path));
  } catch (cause) {
    const { code } = cause as { readonly code?: string };
    const why = code === 'EISDIR' ? 'a folder' : code === 'ENOENT' ? 'nothing there' : String(cause);
    throw new KilnError('not_a_file', `${path} is no file that can be read`, {
      given: why,
      ...(hint !== undefined && { hint }),
      cause,
    });
  }
}
