/**
 * Element types: the names users write (`'float32'`), the short names of the text form (`f32`), their sizes, kinds
 * and promotion. Every table here is total over `DType`; nothing else in the project lists dtypes by hand.
 */

/** An element type, in the spelling of WebNN and ONNX Runtime. */
export type DType = keyof typeof table;

type Kind = 'float' | 'signed' | 'unsigned' | 'bool';

interface DTypeInfo {
  /** Name in the text form of the IR. */
  readonly short: string;
  readonly kind: Kind;
  /** Bytes of one element in a dense buffer (a bool takes one byte). */
  readonly bytes: number;
}

const table = {
  float64: { short: 'f64', kind: 'float', bytes: 8 },
  float32: { short: 'f32', kind: 'float', bytes: 4 },
  float16: { short: 'f16', kind: 'float', bytes: 2 },
  bfloat16: { short: 'bf16', kind: 'float', bytes: 2 },
  int64: { short: 'i64', kind: 'signed', bytes: 8 },
  int32: { short: 'i32', kind: 'signed', bytes: 4 },
  int16: { short: 'i16', kind: 'signed', bytes: 2 },
  int8: { short: 'i8', kind: 'signed', bytes: 1 },
  uint32: { short: 'u32', kind: 'unsigned', bytes: 4 },
  uint16: { short: 'u16', kind: 'unsigned', bytes: 2 },
  uint8: { short: 'u8', kind: 'unsigned', bytes: 1 },
  bool: { short: 'bool', kind: 'bool', bytes: 1 },
} as const satisfies Record<string, DTypeInfo>;

/** All dtypes, widest first within a kind. */
export const dtypes = Object.keys(table) as readonly DType[];

/** The dtypes that this release computes with, on every device and in the reference evaluator; others are only data. */
export const computedDTypes: readonly DType[] = [
  'float32',
  'float16',
  'bfloat16',
  'int32',
  'uint32',
  'int16',
  'uint16',
  'int8',
  'uint8',
  'bool',
];

/** Facts about one dtype. */
export function dtypeInfo(dtype: DType): DTypeInfo {
  return table[dtype];
}

export const isDType = (name: unknown): name is DType => typeof name === 'string' && Object.hasOwn(table, name);
export const isFloat = (dtype: DType): boolean => table[dtype].kind === 'float';
export const isInteger = (dtype: DType): boolean => table[dtype].kind === 'signed' || table[dtype].kind === 'unsigned';
export const isSigned = (dtype: DType): boolean => table[dtype].kind === 'signed' || table[dtype].kind === 'float';
export const byteSize = (dtype: DType): number => table[dtype].bytes;

/**
 * Whether the values of a dtype are integers of fewer than 32 bits: computed in 32, they must be brought into range.
 */
export const isNarrowInteger = (dtype: DType): boolean => isInteger(dtype) && table[dtype].bytes < 4;

/** Whether a dtype is a float of 16 bits: computed as float32, and rounded. */
export const isHalf = (dtype: DType): dtype is 'float16' | 'bfloat16' => dtype === 'float16' || dtype === 'bfloat16';

/** The dtype that elements are computed in: float32 for floats of 16 bits, which are only stored as such. */
export const computeDType = (dtype: DType): DType => (isHalf(dtype) ? 'float32' : dtype);

const byShortName = /* @__PURE__ */ (() =>
  new Map<string, DType>(dtypes.map((dtype) => [table[dtype].short, dtype])))();

/** The dtype a short name of the text form stands for, or `undefined`. */
export const dtypeFromShortName = (short: string): DType | undefined => byShortName.get(short);

/** Smallest and largest value of an integer dtype that a number holds exactly (64-bit types excluded). */
export function integerRange(dtype: DType): readonly [number, number] {
  const { kind, bytes } = table[dtype];
  const bits = bytes * 8;
  if (kind === 'bool') return [0, 1];
  return kind === 'signed' ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
}

/**
 * The dtype two operands meet in, by JAX's promotion lattice with 64-bit types on
 * (https://docs.jax.dev/en/latest/type_promotion.html), without weak types: a plain number never takes part, it
 * takes the tensor's dtype.
 */
export function promoteTypes(a: DType, b: DType): DType {
  if (a === b) return a;
  if (a === 'bool') return b;
  if (b === 'bool') return a;
  const [x, y] = [table[a], table[b]];
  if (x.kind === 'float' || y.kind === 'float') {
    if (x.kind !== 'float') return b;
    if (y.kind !== 'float') return a;
    if (x.bytes === y.bytes) return 'float32'; // float16 with bfloat16
    return x.bytes > y.bytes ? a : b;
  }
  if (x.kind === y.kind) return x.bytes > y.bytes ? a : b;
  const [signed, unsigned, signedBytes, unsignedBytes] =
    x.kind === 'signed' ? [a, b, x.bytes, y.bytes] : [b, a, y.bytes, x.bytes];
  if (signedBytes > unsignedBytes) return signed;
  const wider: Partial<Record<DType, DType>> = { uint8: 'int16', uint16: 'int32', uint32: 'int64' };
  return wider[unsigned] ?? signed;
}
