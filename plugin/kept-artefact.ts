/** Artefacts as files of their own, named by their hashes, where a bundler has a folder for what can be made again. */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Baked } from './baker.ts';
import { hashedName } from './loader-module.ts';

/** Milliseconds after which an artefact may be removed; whoever asks for it again has it baked again. */
const oneWeek = 7 * 86_400_000;

/**
 * Writes an artefact; nobody sees half of it.
 * @returns its path
 */
export function keepArtefact(entry: string, { bytes, hash }: Baked, folder: string): string {
  const file = join(folder, hashedName(entry, hash));
  if (statSync(file, { throwIfNoEntry: false })?.size === bytes.length) return file;
  mkdirSync(folder, { recursive: true });
  removeOldArtefacts(folder);
  const written = `${file}.${process.pid}`;
  writeFileSync(written, bytes);
  renameSync(written, file);
  return file;
}

function removeOldArtefacts(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats && stats.mtimeMs < Date.now() - oneWeek) rmSync(path, { force: true });
  }
}
