/**
 * Loads and stores of storage buffers as text. Plain elements are read in place; elements that share words go through
 * functions of the module, one a buffer and a direction.
 *
 *     float32     x0[i]                     x0[i / 4]  (four lanes, where the array is one of vectors)
 *     int8        load_x0(i)                load4_x0(i)
 *
 * Indices of four lanes are multiples of four. Nobody else writes to an element that a thread writes, but others may
 * write to elements of the same word: such words are atomics, of which each thread changes its own bits.
 */
import { internalError } from '../../base/error.ts';
import { applyText, float16BitsText, type MathContext } from './math/index.ts';
import type { DeclaredBuffer, Shader } from './shader.ts';
import { scalarType, typeText } from './storage.ts';

/** An index divided by a power of two, and what remains. */
const quotient = (index: string, by: number): string => `${enclosed(index)} / ${by}`;
const remainder = (index: string, by: number): string => `${enclosed(index)} % ${by}`;
const enclosed = (text: string): string => (/^[\w.]+$/.test(text) ? text : `(${text})`);

/** One element as a value of its compute type. */
export function loadText(shader: Shader, buffer: DeclaredBuffer, index: string): string {
  const { storage, name, isVector } = buffer;
  if (storage.perElement > 1) {
    return `${shader.helper(`load_${name}`, loadFunction(buffer))}(${index})`;
  }
  const element = isVector ? `${name}[${quotient(index, 4)}][${remainder(index, 4)}]` : `${name}[${index}]`;
  return storage.element === 'f16' ? `f32(${element})` : element;
}

/** Four elements from an index that is a multiple of four, where the array can be read so. */
export function loadVectorText(shader: Shader, buffer: DeclaredBuffer, index: string): string {
  const { storage, name, isVector } = buffer;
  if (storage.perElement > 1) {
    return `${shader.helper(`load4_${name}`, loadVectorFunction(buffer))}(${index})`;
  }
  if (!isVector) throw internalError(`${name} is no array of vectors`);
  const element = `${name}[${quotient(index, 4)}]`;
  return storage.element === 'f16' ? `vec4<f32>(${element})` : element;
}

/** Whether four elements can be read or written at once. */
export const canAccessVector = ({ storage, isVector }: DeclaredBuffer): boolean => storage.perElement > 1 || isVector;

/** A statement that writes one element. */
export function storeText(shader: Shader, buffer: DeclaredBuffer, index: string, value: string): string {
  const { storage, name } = buffer;
  if (storage.perElement > 1) {
    return `${shader.helper(`store_${name}`, storeFunction(shader, buffer))}(${index}, ${value});`;
  }
  return `${name}[${index}] = ${storage.element === 'f16' ? `f16(${value})` : value};`;
}

/** A statement that writes four elements from an index that is a multiple of four. */
export function storeVectorText(shader: Shader, buffer: DeclaredBuffer, index: string, value: string): string {
  const { storage, name } = buffer;
  if (storage.perElement > 1) {
    return `${shader.helper(`store4_${name}`, storeVectorFunction(shader, buffer))}(${index}, ${value});`;
  }
  return `${name}[${quotient(index, 4)}] = ${storage.element === 'f16' ? `vec4<f16>(${value})` : value};`;
}

const wordAt = ({ name, isAtomic }: DeclaredBuffer, index: string): string =>
  isAtomic ? `atomicLoad(&${name}[${index}])` : `${name}[${index}]`;

function loadFunction(buffer: DeclaredBuffer): string {
  const { name, storage } = buffer;
  const { dtype, perElement } = storage;
  const bits = 32 / perElement;
  const word = wordAt(buffer, `index / ${perElement}`);
  const start = `u32(index % ${perElement}) * ${bits}u`;
  const type = scalarType(dtype);
  let value: string;
  if (dtype === 'float16') value = `unpack2x16float(${word})[index % 2]`;
  else if (dtype === 'bfloat16') value = `bitcast<f32>(extractBits(${word}, ${start}, 16u) << 16u)`;
  else if (type === 'i32') value = `extractBits(bitcast<i32>(${word}), ${start}, ${bits}u)`;
  else if (type === 'bool') value = `extractBits(${word}, ${start}, ${bits}u) != 0u`;
  else value = `extractBits(${word}, ${start}, ${bits}u)`;
  return `fn load_${name}(index: i32) -> ${type} {\n  return ${value};\n}`;
}

function loadVectorFunction(buffer: DeclaredBuffer): string {
  const { name, storage } = buffer;
  const { dtype, perElement } = storage;
  const type = typeText(dtype, 4);
  const head = `fn load4_${name}(index: i32) -> ${type} {\n`;
  if (perElement === 4) {
    const word = `  let word = ${wordAt(buffer, 'index / 4')};\n`;
    const lane = (k: number): string => {
      if (type === 'vec4<i32>') return `extractBits(bitcast<i32>(word), ${8 * k}u, 8u)`;
      return `extractBits(word, ${8 * k}u, 8u)`;
    };
    const lanes = [0, 1, 2, 3].map(lane).join(', ');
    const value = type === 'vec4<bool>' ? `vec4<u32>(${lanes}) != vec4<u32>()` : `${type}(${lanes})`;
    return `${head}${word}  return ${value};\n}`;
  }
  const words = `  let low = ${wordAt(buffer, 'index / 2')};\n` + `  let high = ${wordAt(buffer, 'index / 2 + 1')};\n`;
  let value: string;
  if (dtype === 'float16') value = 'vec4<f32>(unpack2x16float(low), unpack2x16float(high))';
  else if (dtype === 'bfloat16') {
    value = 'bitcast<vec4<f32>>(vec4<u32>(low << 16u, low & 0xffff0000u, high << 16u, high & 0xffff0000u))';
  } else {
    const read = (word: string, start: number): string =>
      type === 'vec4<i32>'
        ? `extractBits(bitcast<i32>(${word}), ${start}u, 16u)`
        : `extractBits(${word}, ${start}u, 16u)`;
    value = `${type}(${read('low', 0)}, ${read('low', 16)}, ${read('high', 0)}, ${read('high', 16)})`;
  }
  return `${head}${words}  return ${value};\n}`;
}

/** The value as bits of the storage type, in the lowest bits of an `u32`. */
function bitsText(shader: Shader, { storage }: DeclaredBuffer, value: string): string {
  const { dtype, perElement } = storage;
  if (dtype === 'float16') return float16BitsText(mathContext(shader, 1), value);
  if (dtype === 'bfloat16') {
    const rounding = { opcode: 'round_bfloat16', dtype: 'float32', from: 'float32' } as const;
    return `(bitcast<u32>(${applyText(mathContext(shader, 1), rounding, [value])}) >> 16u)`;
  }
  const type = scalarType(dtype);
  if (type === 'bool') return `select(0u, 1u, ${value})`;
  const bits = type === 'i32' ? `bitcast<u32>(${value})` : value;
  return `(${bits} & ${perElement === 4 ? '0xffu' : '0xffffu'})`;
}

function storeFunction(shader: Shader, buffer: DeclaredBuffer): string {
  const { name, storage, isAtomic } = buffer;
  if (!isAtomic) throw internalError(`${name}: elements that share words are written one by one without atomics`);
  const { dtype, perElement } = storage;
  const bits = 32 / perElement;
  return [
    `fn store_${name}(index: i32, value: ${scalarType(dtype)}) {`,
    `  let shift = u32(index % ${perElement}) * ${bits}u;`,
    `  atomicAnd(&${name}[index / ${perElement}], ~(${perElement === 4 ? '0xffu' : '0xffffu'} << shift));`,
    `  atomicOr(&${name}[index / ${perElement}], ${bitsText(shader, buffer, 'value')} << shift);`,
    '}',
  ].join('\n');
}

function storeVectorFunction(shader: Shader, buffer: DeclaredBuffer): string {
  const { name, storage, isAtomic } = buffer;
  const { dtype, perElement } = storage;
  const bits = 32 / perElement;
  const lane = (k: number): string => bitsText(shader, buffer, `value[${k}]`);
  const write = (index: string, word: string): string =>
    isAtomic ? `  atomicStore(&${name}[${index}], ${word});` : `  ${name}[${index}] = ${word};`;
  const joined = (lanes: readonly number[]): string =>
    lanes.map((k, at) => (at === 0 ? lane(k) : `(${lane(k)} << ${bits * at}u)`)).join(' | ');
  const stores =
    perElement === 4
      ? [write('index / 4', joined([0, 1, 2, 3]))]
      : [write('index / 2', joined([0, 1])), write('index / 2 + 1', joined([2, 3]))];
  return [`fn store4_${name}(index: i32, value: ${typeText(dtype, 4)}) {`, ...stores, '}'].join('\n');
}

/** What the math functions may use of a module. */
export const mathContext = (shader: Shader, lanes: 1 | 4): MathContext => ({
  precision: shader.options.precision,
  lanes,
  helper: (name, text) => shader.helper(name, text),
});
