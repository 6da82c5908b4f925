/**
 * Values of static keys (`base/static-key.ts`), for trees that hold more than arrays.
 *
 *     valueOfKey('n-0')         // -0
 *     valueOfKey('s4:relu')     // 'relu'
 */

/** Keys of which there is a value: those of null, undefined, numbers, texts, booleans and bigints. */
export const isKeyOfValue = (key: string): boolean =>
  /^(?:[NU]|b[01]|n(?:-?(?:\d[\d.e+-]*|Infinity)|NaN)|i-?\d{1,10000})$/.test(key) ||
  (/^s\d+:/.test(key) && Number(key.slice(1, key.indexOf(':'))) === key.length - key.indexOf(':') - 1);

/** The value of a key of which there is one. */
export function valueOfKey(key: string): unknown {
  const rest = key.slice(1);
  switch (key[0]) {
    case 'n':
      return Number(rest);
    case 's':
      return key.slice(key.indexOf(':') + 1);
    case 'b':
      return rest === '1';
    case 'i':
      return BigInt(rest);
    default:
      return key === 'N' ? null : undefined;
  }
}
