/**
 * Keys: unsigned integers whose order is that of the numbers they stand for. For a float the sign bit says whether to
 * flip it alone or all bits; all bits of a NaN are set, which makes it the greatest. Integers of fewer bits have keys of
 * as many. For the descending order all bits that count are flipped once more.
 *
 *     float32  -1.5  0xbfc00000 → 0x403fffff        1.5  0x3fc00000 → 0xbfc00000
 *     int8     -2          0xfe → 0x7e              3          0x03 → 0x83
 *
 * Zeros are equal whatever their sign. With tags, numbers that say where an element stood, both have one key, and the
 * lowest bit of the tag keeps the sign: tags order equal keys, and no element has the tag of another. Without tags, -0
 * stands before +0, where nobody can tell that it has moved.
 */
import { byteSize, type DType, isFloat, isSigned } from '../../../base/dtype.ts';
import type { SortDirection } from '../../../ir/opcodes.ts';
import { fromWord } from '../scratch.ts';
import type { Shader } from '../shader.ts';
import { scalarType } from '../storage.ts';

/** How rows of a dtype are ordered. */
export interface KeyOrder {
  readonly dtype: DType;
  readonly direction: SortDirection;
  /** Whether tags go with the keys. */
  readonly isTagged: boolean;
}

/** Bits that may differ between keys: from the lowest to the one behind the highest. */
export function keyBits({ dtype }: KeyOrder): readonly [number, number] {
  return dtype === 'bool' ? [0, 1] : [0, 8 * byteSize(dtype)];
}

const mask = (dtype: DType): string => ['0', '0xffu', '0xffffu', '', '0xffffffffu'][byteSize(dtype)];
const signBit = (dtype: DType): string => `0x${'80000000'.slice(0, 2 * byteSize(dtype))}u`;

const suffix = ({ dtype, direction, isTagged }: KeyOrder): string =>
  `${isFloat(dtype) ? 'float' : dtype}_${direction}${isFloat(dtype) && !isTagged ? '_signed' : ''}`;

/** The key of a value in the dtype's type of the code. */
export function keyText(shader: Shader, order: KeyOrder, value: string): string {
  const { dtype, direction, isTagged } = order;
  const name = `key_${suffix(order)}`;
  const lines: string[] = [];
  let key: string;
  if (isFloat(dtype)) {
    lines.push('  let bits = bitcast<u32>(value);', '  let magnitude = bits & 0x7fffffffu;');
    // Keys by bits alone: comparisons of floats need not heed NaN.
    lines.push('  var key = bits ^ select(0x80000000u, 0xffffffffu, bits != magnitude);');
    lines.push('  if (magnitude > 0x7f800000u) {\n    key = 0xffffffffu;\n  }');
    if (isTagged) lines.push('  if (magnitude == 0u) {\n    key = 0x80000000u;\n  }');
    key = 'key';
  } else if (dtype === 'bool') key = 'u32(value)';
  else if (isSigned(dtype)) key = `(bitcast<u32>(value) & ${mask(dtype)}) ^ ${signBit(dtype)}`;
  else key = 'value';
  if (direction === 'descending')
    key = `${key.includes(' ') ? `(${key})` : key} ^ ${dtype === 'bool' ? '1u' : mask(dtype)}`;
  lines.push(`  return ${key};`);
  shader.helper(name, [`fn ${name}(value: ${scalarType(dtype)}) -> u32 {`, ...lines, '}'].join('\n'));
  return `${name}(${value})`;
}

/** The tag of an element that stands at a position. */
export function tagText({ dtype }: KeyOrder, position: string, value: string): string {
  const tag = `u32(${position}) * 2u`;
  return isFloat(dtype) ? `${tag} + u32(bitcast<u32>(${value}) == 0x80000000u)` : tag;
}

/** The position that a tag tells, as a word. */
export const positionWord = (tag: string): string => `${tag} >> 1u`;

/** The value that a key, and where there are tags a tag, stand for. */
export function valueText(shader: Shader, order: KeyOrder, key: string, tag: string | undefined): string {
  const { dtype, direction } = order;
  const plain = direction === 'descending' ? `(${key} ^ ${dtype === 'bool' ? '1u' : mask(dtype)})` : key;
  if (isFloat(dtype)) {
    const helper = shader.helper(
      'float_of_key',
      `// The float that a key stands for.
fn float_of_key(key: u32) -> f32 {
  return bitcast<f32>(key ^ select(0xffffffffu, 0x80000000u, key >= 0x80000000u));
}`,
    );
    const value = `${helper}(${plain})`;
    if (tag === undefined) return value;
    const signed = shader.helper(
      'with_zero_sign',
      `// Gives a zero its sign back, which the lowest bit of the tag tells.
fn with_zero_sign(value: f32, tag: u32) -> f32 {
  return bitcast<f32>(bitcast<u32>(value) | ((tag & 1u) << 31u));
}`,
    );
    return `${signed}(${value}, ${tag})`;
  }
  if (dtype === 'bool') return `(${plain} != 0u)`;
  if (!isSigned(dtype)) return plain;
  const bits = `(${plain} ^ ${signBit(dtype)})`;
  return byteSize(dtype) === 4
    ? `bitcast<i32>${bits}`
    : `extractBits(bitcast<i32>${bits}, 0u, ${8 * byteSize(dtype)}u)`;
}

/** An element of scratch memory, which is a word, as a value. */
export const valueOfWord = ({ dtype }: KeyOrder, word: string): string => fromWord(dtype, word);
