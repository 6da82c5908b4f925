/** What to do about an artefact that has no code for a device; loaded when that is so. */
import { KilnError } from '../../base/error.ts';

/**
 * @param names of the targets that the artefact has
 * @param here what there is instead
 */
export function missingTierError(names: readonly string[], here: string, cause?: unknown): KilnError {
  return new KilnError('missing_tier', 'load: the artefact has no code that runs here', {
    given: names.length > 0 ? `code for ${names.join(', ')}` : 'no target for which every function has code',
    expected: `code for what there is here: ${here}`,
    hint: adviceFor(names),
    cause,
  });
}

function adviceFor(names: readonly string[]): string {
  if (names.includes('wasm'))
    return 'load it without the option device, which takes wasm then; or bake it with --target webgpu too';
  const only = 'bake it with --target wasm,… too: the target `wasm` runs everywhere';
  if (!names.some((name) => name.startsWith('wasm'))) return only;
  return `${only}; on a page, threads need the headers of cross-origin isolation (docs/threads.md); where a device runs on one thread already, load this first, or shutdown() before`;
}
