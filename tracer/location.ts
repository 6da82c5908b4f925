/**
 * The user's line, cheaply. An operation captures the stack once when it is entered; the primitives that it emits
 * share that capture. Without one, the stack at hand is captured.
 */
import { SourceLocation } from '../base/location.ts';

let entered: SourceLocation | undefined;

/** The place where the user called into Kiln. */
export const currentLocation = (): SourceLocation => entered ?? SourceLocation.capture();

/** Runs `body`, a part of Kiln, with one location for all that it emits. The outermost call wins. */
export function atLocation<T>(location: SourceLocation, body: () => T): T {
  const before = entered;
  entered ??= location;
  try {
    return body();
  } finally {
    entered = before;
  }
}

/** Runs a user's function from inside Kiln: what it emits has its own locations. */
export function atUserCode<T>(body: () => T): T {
  const before = entered;
  entered = undefined;
  try {
    return body();
  } finally {
    entered = before;
  }
}
