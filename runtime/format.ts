/**
 * Arrays as text, in NumPy's layout (`numpy/_core/arrayprint.py` of 2.4, with its default print options): the shortest
 * digits that read back as the same element, eight of them after the point at most, columns aligned, lines of 75
 * characters, and only the edges of arrays of more than 1000 elements.
 *
 *     formatElements('float32', [2, 2], [1, -2.5, 0.1, 3])
 *     // [[ 1.  -2.5]
 *     //  [ 0.1  3. ]]
 */
import { type DType, isFloat } from '../base/dtype.ts';
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from '../base/half.ts';

const lineWidth = 75;
const summarizeBeyond = 1000;
const edgeItems = 3;
const precision = 8;

type Elements = ArrayLike<number | bigint>;

/** The array as `str(numpy_array)` prints it; the bare element for shape []. */
export function formatElements(dtype: DType, shape: readonly number[], elements: Elements): string {
  if (shape.length === 0) return formatScalar(dtype, elements[0]);
  return layOut(dtype, shape, elements, ' ', '');
}

/** The array with its dtype, as the console shows it: `tensor([[1., 2.]], float32)`. */
export function formatRepresentation(dtype: DType, shape: readonly number[], elements: Elements): string {
  const prefix = 'tensor(';
  const body =
    shape.length === 0
      ? formatScalar(dtype, elements[0])
      : layOut(dtype, shape, elements, ', ', ' '.repeat(prefix.length));
  // An empty array shows no extents, and a summarised one only some.
  const hidden = shape.includes(0) || shape.reduce((product, extent) => product * extent, 1) > summarizeBeyond;
  return `${prefix}${body}, ${dtype}${hidden ? `[${shape.join(',')}]` : ''})`;
}

/** The nested brackets of an array of rank 1 and more. */
function layOut(dtype: DType, shape: readonly number[], elements: Elements, separator: string, prefix: string): string {
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (size === 0) return '[]';
  const summarize = size > summarizeBeyond;
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1));
  const shown: (number | bigint)[] = [];
  visitShown(shape, strides, summarize, 0, 0, (offset) => shown.push(elements[offset]));
  const format = elementFormat(dtype, shown);
  const bare = separator.trimEnd();

  const nest = (axis: number, base: number, indent: string, width: number): string => {
    const extent = shape[axis];
    const items = shownIndices(extent, summarize);
    const word = (index: number): string => {
      if (index < 0) return '...';
      const offset = base + index * strides[axis];
      return axis === shape.length - 1 ? format(elements[offset]) : nest(axis + 1, offset, `${indent} `, width - 1);
    };
    if (axis < shape.length - 1) {
      const between = `${bare}${'\n'.repeat(shape.length - 1 - axis)}`;
      return `[${items
        .map((index) => indent + word(index))
        .join(between)
        .slice(indent.length)}]`;
    }
    return `[${wrapLine(items.map(word), separator, indent, width - Math.max(bare.length, 1)).slice(indent.length)}]`;
  };
  return nest(0, 0, `${prefix} `, lineWidth);
}

/** The indices of one axis that are printed; -1 stands for the gap. */
function shownIndices(extent: number, summarize: boolean): number[] {
  if (!summarize || extent <= 2 * edgeItems) return Array.from({ length: extent }, (_, index) => index);
  return [0, 1, 2, -1, extent - 3, extent - 2, extent - 1];
}

function visitShown(
  shape: readonly number[],
  strides: readonly number[],
  summarize: boolean,
  axis: number,
  base: number,
  visit: (offset: number) => void,
): void {
  if (axis === shape.length) {
    visit(base);
    return;
  }
  for (const index of shownIndices(shape[axis], summarize)) {
    if (index >= 0) visitShown(shape, strides, summarize, axis + 1, base + index * strides[axis], visit);
  }
}

/** Words in lines no wider than `width`, each line behind `indent`. */
function wrapLine(words: readonly string[], separator: string, indent: string, width: number): string {
  let text = '';
  let line = indent;
  words.forEach((word, index) => {
    if (line.length + word.length > width && line.length > indent.length) {
      text += `${line.trimEnd()}\n`;
      line = indent;
    }
    line += word + (index < words.length - 1 ? separator : '');
  });
  return text + line;
}

/** A formatter that aligns the elements it was made for. */
function elementFormat(dtype: DType, shown: readonly (number | bigint)[]): (element: number | bigint) => string {
  if (isFloat(dtype)) return floatFormat(dtype, shown.map(Number));
  // NumPy leaves room for `False` even where all elements are true.
  if (dtype === 'bool') return (element) => boolText(element).padStart(5);
  const width = Math.max(...shown.map((element) => String(element).length));
  return (element) => String(element).padStart(width);
}

const boolText = (element: number | bigint): string => (element ? 'True' : 'False');

function floatFormat(dtype: DType, shown: readonly number[]): (element: number | bigint) => string {
  const finite = shown.filter(Number.isFinite);
  const magnitudes = finite.filter((value) => value !== 0).map(Math.abs);
  const [low, high] = [Math.min(...magnitudes), Math.max(...magnitudes)];
  const round = rounding(dtype);
  const scientific =
    magnitudes.length > 0 && (high >= (arrayCutoff[dtype] ?? 1e8) || low < round(1e-4) || round(high / low) > 1000);
  const write = scientific
    ? scientificFormat(dtype, finite)
    : (value: number): readonly [string, string] => splitAtPoint(positional(dtype, value));
  const parts = finite.map(write);
  let left = Math.max(0, ...parts.map(([whole]) => whole.length));
  const right = Math.max(0, ...parts.map(([, rest]) => rest.length));
  if (finite.length < shown.length) {
    const negativeInfinity = shown.includes(Number.NEGATIVE_INFINITY) ? 1 : 0;
    left = Math.max(left, 3 - (right + 1), 3 + negativeInfinity - (right + 1));
  }
  return (element) => {
    const value = Number(element);
    if (!Number.isFinite(value)) return specialText(value).padStart(left + right + 1);
    const [whole, rest] = write(value);
    return `${whole.padStart(left)}.${rest.padEnd(right)}`;
  };
}

const specialText = (value: number): string => (Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf');

const splitAtPoint = (text: string): readonly [string, string] => {
  const [whole, rest = ''] = text.split('.');
  return [whole, rest];
};

/** Scientific notation with as many fraction digits as the longest of `values` needs, as `[sign and digit, rest]`. */
function scientificFormat(dtype: DType, values: readonly number[]): (value: number) => readonly [string, string] {
  const parts = values.map((value) => shortestExponential(dtype, value).split('e'));
  const digits = Math.max(0, ...parts.map(([mantissa]) => Math.min(splitAtPoint(mantissa)[1].length, precision)));
  const exponentDigits = Math.max(2, ...parts.map(([, exponent]) => exponent.length - 1));
  return (value) => {
    const write = (magnitude: number) => halvesToEven((count) => magnitude.toExponential(count), digits);
    const [mantissa, exponent] = signed(value, write).split('e');
    const [whole, fraction] = splitAtPoint(mantissa);
    return [whole, `${fraction}e${exponent[0]}${exponent.slice(1).padStart(exponentDigits, '0')}`];
  };
}

/** `value` without exponent, at most `precision` digits after the point, without trailing zeros: `1.`, `-0.25`. */
function positional(dtype: DType, value: number): string {
  const [mantissa, exponentText] = shortestExponential(dtype, Math.abs(value)).split('e');
  const exponent = Number(exponentText);
  const digits = mantissa.replace('.', '');
  let text: string;
  if (digits.length - 1 - exponent > precision) {
    text = halvesToEven((count) => Math.abs(value).toFixed(count), precision).replace(/0+$/, '');
  } else if (exponent < 0) text = `0.${'0'.repeat(-exponent - 1)}${digits}`;
  else text = `${digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')}.${digits.slice(exponent + 1)}`;
  return `${isNegative(value) ? '-' : ''}${text.replace(/^(0\.)0+$/, '$1')}`;
}

/** What `write` gives for so many digits, but with exact halves rounded to an even digit rather than up. */
function halvesToEven(write: (digits: number) => string, digits: number): string {
  const longer = write(digits + 1);
  const match = /^([^e]*)5(e.*)?$/.exec(longer);
  if (!match || Number(match[1].at(-1)) % 2 !== 0) return write(digits);
  const isExact = write(Math.min(100, digits + 60)).replace(/0+(e.*|)$/, '$1') === longer;
  return isExact ? `${match[1]}${match[2] ?? ''}` : write(digits);
}

const isNegative = (value: number): boolean => value < 0 || Object.is(value, -0);

const signed = (value: number, write: (magnitude: number) => string): string =>
  `${isNegative(value) ? '-' : ''}${write(Math.abs(value))}`;

/** The shortest decimal that reads back as the same element, such as `1.5e-3`. */
function shortestExponential(dtype: DType, value: number): string {
  const round = rounding(dtype);
  return signed(value, (magnitude) => {
    for (let digits = 0; digits < 9; digits++) {
      const text = magnitude.toExponential(digits);
      if (round(Number(text)) !== magnitude) continue;
      const even = halvesToEven((count) => magnitude.toExponential(count), digits);
      return round(Number(even)) === magnitude ? even : text;
    }
    return magnitude.toExponential();
  });
}

const roundings: Partial<Record<DType, (value: number) => number>> = {
  float32: Math.fround,
  float16: (value) => decodeFloat16(encodeFloat16(value)),
  bfloat16: (value) => decodeBfloat16(encodeBfloat16(value)),
};

/** Rounds to the nearest element of a float dtype. */
const rounding = (dtype: DType): ((value: number) => number) => roundings[dtype] ?? ((value) => value);

/** From here on arrays are printed with exponents: the decimal digits that the dtype holds, eight at most. */
const arrayCutoff: Partial<Record<DType, number>> = { float32: 1e6, float16: 1e3, bfloat16: 1e2 };
/** The same for a single element. */
const scalarCutoff: Partial<Record<DType, number>> = { ...arrayCutoff, float64: 1e16 };

/** One element by itself, as NumPy prints a scalar: `1.0`, `1e+20`, `True`. */
export function formatScalar(dtype: DType, element: number | bigint): string {
  if (dtype === 'bool') return boolText(element);
  if (!isFloat(dtype)) return String(element);
  const value = Number(element);
  if (!Number.isFinite(value)) return specialText(value);
  const magnitude = Math.abs(value);
  if (magnitude === 0) return isNegative(value) ? '-0.0' : '0.0';
  const shortest = shortestExponential(dtype, value);
  const [mantissa, exponentText] = shortest.split('e');
  const exponent = Number(exponentText);
  if (magnitude >= (scalarCutoff[dtype] ?? 1e16) || magnitude < 1e-4) {
    const digits = String(Math.abs(exponent)).padStart(2, '0');
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${digits}`;
  }
  const digits = mantissa.replace(/[-.]/g, '');
  const sign = value < 0 ? '-' : '';
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  return `${sign}${digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')}.${digits.slice(exponent + 1) || '0'}`;
}
