/** The one notice of a process that entries of its cache were damaged. */

let hasWarned = false;
let tell = (text: string): void => console.warn(text);

/** Says so, unless it was said. */
export function noticeDamage(text: string): void {
  if (hasWarned) return;
  hasWarned = true;
  tell(text);
}

/** Hands over what would be printed: a thread beside the main one leaves it to that one, which may have said so. */
export const relayNotice = (to: (text: string) => void): void => {
  tell = to;
};
