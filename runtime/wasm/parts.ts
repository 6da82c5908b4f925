/**
 * Loads parts of the wasm device (`runtime/parts.ts`), where they are not at hand:
 *
 *     await loadParts({ sharing: true });
 *     const device = new WasmDevice({ threads: 4 });
 */
import { provideParts } from '../parts.ts';

export async function loadParts(
  wanted: {
    readonly [Name in 'sharing' | 'relaxedSimd' | 'planArena']?: boolean;
  },
): Promise<void> {
  const [sharing, relaxedSimd, arena] = await Promise.all([
    wanted.sharing && import('./sharing.ts'),
    wanted.relaxedSimd && import('./relaxed-simd.ts'),
    wanted.planArena && import('../../base/arena.ts'),
  ]);
  if (sharing) provideParts({ sharing });
  if (relaxedSimd) provideParts({ relaxedSimd });
  if (arena) provideParts({ planArena: arena.planArena });
}
