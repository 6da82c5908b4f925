/**
 * The place in the user's source that is calling right now, where the code that reads stacks is loaded: `location.ts` is
 * part of everything that traces. A page that runs baked programs does without; its errors have their own stacks.
 */
import type { SourceLocation } from './location.ts';

let capture: (() => SourceLocation) | undefined;

/** Makes known what finds the place. */
export function captureWith(finder: () => SourceLocation): void {
  capture = finder;
}

/** The place that is calling Kiln right now. */
export const here = (): SourceLocation | undefined => capture?.();
