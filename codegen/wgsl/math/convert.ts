/**
 * Conversions between dtypes, with the ranges of dtypes kept: float to integer truncates and saturates, NaN gives 0;
 * integers keep their low bits. WGSL says less: its conversions of NaN are open.
 */
import { byteSize, computeDType, type DType, integerRange, isNarrowInteger, isSigned } from '../../../base/dtype.ts';
import { internalError } from '../../../base/error.ts';
import { isNan, magnitudeMask } from './basic.ts';
import { functionTemplate, type LaneKind, type Writer } from './writer.ts';

/** What a dtype is computed as. */
export function laneKind(dtype: DType): LaneKind {
  if (dtype === 'bool') return 'b';
  if (computeDType(dtype) === 'float32') return 'f';
  if (byteSize(dtype) === 8) throw internalError(`${dtype} is not computed in WGSL`);
  return isSigned(dtype) ? 'i' : 'u';
}

/** Brings an integer into the range of a narrow dtype, modulo its width. */
export function wrapText(w: Writer, dtype: DType, value: string): string {
  if (!isNarrowInteger(dtype)) return value;
  const width = 8 * byteSize(dtype);
  return isSigned(dtype)
    ? `extractBits(${value}, 0u, ${width}u)`
    : `${value.includes(' ') ? `(${value})` : value} & ${w.mask('u', integerRange(dtype)[1])}`;
}

/** The greatest float32 below 2^31 and below 2^32. */
const lastInt32 = 2 ** 31 - 2 ** 7;
const lastUint32 = 2 ** 32 - 2 ** 8;

const truncateSigned = functionTemplate(
  'truncate_i32',
  { x: 'f' },
  'i',
  (w) => `
    let whole = ${w.I}(clamp(x, ${w.f(-(2 ** 31))}, ${w.f(lastInt32)}));
    let saturated = select(whole, ${w.i(2 ** 31 - 1)}, x > ${w.f(lastInt32)});
    return select(saturated, ${w.i(0)}, ${w.call(isNan, 'x')});`,
);

const truncateUnsigned = functionTemplate(
  'truncate_u32',
  { x: 'f' },
  'u',
  (w) => `
    let whole = ${w.U}(clamp(x, ${w.f(0)}, ${w.f(lastUint32)}));
    let saturated = select(whole, ${w.mask('u', 2 ** 32 - 1)}, x > ${w.f(lastUint32)});
    return select(saturated, ${w.u(0)}, ${w.call(isNan, 'x')});`,
);

/** The range of a narrow dtype lies in float32. */
const truncateNarrow = (dtype: DType) => {
  const [least, greatest] = integerRange(dtype);
  const kind = isSigned(dtype) ? 'i' : 'u';
  return functionTemplate(`truncate_${dtype}`, { x: 'f' }, kind, (w) => {
    const zero = kind === 'i' ? w.i(0) : w.u(0);
    return `
      let whole = ${w.type(kind)}(clamp(x, ${w.f(least)}, ${w.f(greatest)}));
      return select(whole, ${zero}, ${w.call(isNan, 'x')});`;
  });
};

/** The nearest float: both halves are exact, so that only their sum is rounded. `f32(x)` may round either way. */
const floatOfUnsigned = functionTemplate(
  'nearest_float',
  { x: 'u' },
  'f',
  (w) => `return fma(${w.F}(x >> ${w.u(16)}), ${w.f(65536)}, ${w.F}(x & ${w.mask('u', 0xffff)}));`,
);

/** `convert`. */
export function convertText(w: Writer, from: DType, to: DType, x: string): string {
  const [source, target] = [laneKind(from), laneKind(to)];
  if (source === target && !isNarrowInteger(to)) return x;
  if (target === 'b') {
    // NaN and subnormal numbers are true.
    if (source === 'f') return `(${w.bits(x)} & ${w.mask('u', magnitudeMask)}) != ${w.u(0)}`;
    return `${x} != ${source === 'i' ? w.i(0) : w.u(0)}`;
  }
  if (target === 'f' && from === 'uint32') return w.call(floatOfUnsigned, x);
  if (source === 'b' || target === 'f') return `${w.type(target)}(${x})`;
  if (source === 'f') {
    if (isNarrowInteger(to)) return w.call(truncateNarrow(to), x);
    return w.call(target === 'i' ? truncateSigned : truncateUnsigned, x);
  }
  const word = source === target ? x : `${w.type(target)}(${x})`;
  const [[low, high], [least, greatest]] = [integerRange(from), integerRange(to)];
  return least <= low && high <= greatest ? word : wrapText(w, to, word);
}

/** `bitcast_convert`, between dtypes of one width. */
export function bitcastText(w: Writer, from: DType, to: DType, x: string): string {
  if (laneKind(from) === laneKind(to)) return x;
  return wrapText(w, to, `bitcast<${w.type(laneKind(to))}>(${x})`);
}
