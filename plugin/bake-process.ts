/**
 * The process that bakes one entry for the plugin, and ends. It uses the persistent cache, so that what has not
 * changed is not compiled again.
 */
import { failuresOf } from './bake-failures.ts';
import { recordImports } from './imported-files.ts';
import type { BakedArtefact, BakeFailure, BakeReply, BakeRequest } from './messages.ts';

// Without the bundler nobody waits for the artefact.
process.once('disconnect', () => process.exit(1));

process.once('message', async (request: BakeRequest) => {
  const reply = await replyTo(request);
  process.send?.(reply, () => process.exit());
});

async function replyTo({ entry, settings }: BakeRequest): Promise<BakeReply> {
  const imports = recordImports();
  let outcome: { readonly artefact: BakedArtefact } | { readonly failures: readonly BakeFailure[] };
  try {
    // Loaded after the recording begins, and only here: the plugin itself needs none of it.
    const { bakeModule } = await import('./bake-module.ts');
    outcome = { artefact: await bakeModule(entry, settings) };
  } catch (error) {
    outcome = { failures: failuresOf(error) };
  }
  return { ...outcome, files: await imports.files() };
}
