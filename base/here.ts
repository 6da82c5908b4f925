/**
 * The place in the user's source that is calling right now, where the code that reads stacks is loaded: `location.ts` is
 * part of everything that traces. A page that runs baked programs does without; its errors have their own stacks.
 */
import type { SourceLocation } from './location.ts';

/** What finds places. */
export interface PlaceFinder {
  /** The place that is calling. */
  readonly here: () => SourceLocation;
  /** The same for the first few thousand calls, and for all where KILN_DEBUG=runtime. */
  readonly hereAtFirst: () => SourceLocation | undefined;
}

let finder: PlaceFinder | undefined;

/** Makes known what finds places. */
export function findPlacesWith(known: PlaceFinder): void {
  finder = known;
}

/** The place that is calling Kiln right now. */
export const here = (): SourceLocation | undefined => finder?.here();

/** The same, for what happens so often that finding it each time would cost too much. */
export const hereAtFirst = (): SourceLocation | undefined => finder?.hereAtFirst();
