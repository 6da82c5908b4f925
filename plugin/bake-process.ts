/**
 * The process that bakes one entry for the plugin, and ends. It uses the persistent cache, so that what has not
 * changed is not compiled again.
 */
import { statSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { isOwnFile } from '../base/location.ts';
import { cacheFolder } from '../runtime/cache/current.ts';
import { failuresOf } from './bake-failures.ts';
import { recordImports } from './imported-files.ts';
import type { BakedArtefact, BakeFailure, BakeReply, BakeRequest } from './messages.ts';
import { recordReads } from './read-files.ts';

// Without the bundler nobody waits for the artefact.
process.once('disconnect', () => process.exit(1));

process.once('message', async (request: BakeRequest) => {
  const reply = await replyTo(request);
  process.send?.(reply, () => process.exit());
});

async function replyTo({ entry, settings }: BakeRequest): Promise<BakeReply> {
  const imports = recordImports();
  const read = new Set<string>();
  let outcome: { readonly artefact: BakedArtefact } | { readonly failures: readonly BakeFailure[] };
  try {
    // Loaded after the recording begins, and only here: the plugin itself needs none of it.
    const { bakeModule } = await import('./bake-module.ts');
    outcome = { artefact: await bakeModule(entry, settings, (load) => recordReads(read, load)) };
  } catch (error) {
    outcome = { failures: failuresOf(error) };
  }
  const { sign } = settings;
  const files = new Set([...(await imports.files()), ...read, ...(sign === undefined ? [] : [sign])]);
  return { ...outcome, files: [...files].filter(isUsers).sort() };
}

/** Whether a file is one of the user's: none of a package, of Kiln or its cache, or of the cache of tsx. */
function isUsers(path: string): boolean {
  if (/[\\/](?:node_modules|tsx-[^\\/]*)[\\/]/.test(path) || isOwnFile(path)) return false;
  const cache = cacheFolder();
  if (cache !== undefined && path.startsWith(resolve(cache) + sep)) return false;
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
