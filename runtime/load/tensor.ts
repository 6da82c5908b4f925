/**
 * Arrays out of JavaScript data, for those who load no compiler. They go to the device of the artefact that was loaded.
 *
 *     tensor([[1, 2], [3, 4]])                                  // float32[2,2]
 *     tensor(new Float32Array(8 * 784), { shape: [8, 784] })
 */
import { type DType, dtypes, integerRange, isDType, isFloat } from '../../base/dtype.ts';
import { type ErrorCode, type ErrorDetails, KilnError } from '../../base/error.ts';
import { here } from '../../base/here.ts';
import type { DeviceArray } from '../array.ts';
import { newArray } from '../array-class.ts';
import type { DataDType, Element, NestedData, NumericView, TensorData } from '../array-data.ts';
import { encodeElements } from '../elements.ts';
import { deviceNamed } from '../session.ts';
import { dtypeOfTypedArray, isWide } from '../typed-arrays.ts';

export interface ArrayOptions<D extends DType = DType> {
  /** Unless given: that of a typed array, bool for booleans, int32 for bigints, float32 for numbers. */
  readonly dtype?: D;
  /** Sizes, when the data are flat. */
  readonly shape?: readonly number[];
  /** Name of a device; that of the artefact that was loaded unless given. */
  readonly device?: string;
}

/**
 * @throws KilnError `shape_mismatch` for ragged arrays or a shape that does not hold the data, `dtype_mismatch` for
 *   numbers that the dtype does not hold, `invalid_argument`, `unsupported_dtype`, `unknown_device`, `out_of_memory`
 */
export function tensor<const T extends TensorData, D extends DType = DataDType<T>>(
  data: T,
  options: ArrayOptions<D> = {},
): DeviceArray<D> {
  try {
    return upload(data, options) as DeviceArray<D>;
  } catch (error) {
    throw error instanceof KilnError ? error.at(here()) : error;
  }
}

const refused = (code: ErrorCode, what: string, details: ErrorDetails): KilnError =>
  new KilnError(code, `tensor: ${what}`, details);

function upload(data: TensorData, options: ArrayOptions): DeviceArray {
  const viewDType = dtypeOfTypedArray(data);
  const nesting: number[] = [];
  if (!viewDType) {
    for (let part: unknown = data; Array.isArray(part); part = part[0] as unknown) nesting.push(part.length);
  }
  const elements = viewDType ? (data as NumericView) : flat(data as NestedData, nesting);
  const shape = Object.freeze([...(options.shape ?? (viewDType ? [elements.length] : nesting))]);
  if (shape.some((size) => !Number.isSafeInteger(size) || size < 0)) {
    throw refused('invalid_size', 'a size is no size', { given: `[${shape}]`, expected: 'whole numbers from 0' });
  }
  const count = shape.reduce((size, extent) => size * extent, 1);
  if (count !== elements.length) {
    throw refused('shape_mismatch', 'the shape does not hold the data', {
      given: `${elements.length} elements for [${shape}]`,
      expected: `${count} elements`,
    });
  }
  const dtype = options.dtype ?? viewDType ?? dtypeOfElements(elements as readonly Element[]);
  if (!isDType(dtype)) {
    throw refused('unsupported_dtype', 'no such dtype', { given: String(dtype), expected: dtypes.join(', ') });
  }
  if ((dtype !== viewDType || isWide(data)) && !isFloat(dtype) && dtype !== 'bool') assertHeld(elements, dtype);
  return newArray(dtype, shape, deviceNamed(options.device).upload(dtype, shape, encodeElements(dtype, elements)));
}

function dtypeOfElements(elements: readonly Element[]): DType {
  const isAll = (type: string): boolean => elements.length > 0 && elements.every((element) => typeof element === type);
  return isAll('boolean') ? 'bool' : isAll('bigint') ? 'int32' : 'float32';
}

/** The elements of nested arrays, all of which are as long as the first ones. */
function flat(data: NestedData, shape: readonly number[]): Element[] {
  const elements: Element[] = [];
  const add = (part: NestedData, depth: number): void => {
    if (depth < shape.length && Array.isArray(part) && part.length === shape[depth]) {
      for (let i = 0; i < part.length; i++) add(part[i] as NestedData, depth + 1);
    } else if (depth === shape.length && /^(?:number|boolean|bigint)$/.test(typeof part)) {
      elements.push(part as Element);
    } else {
      const isNesting = Array.isArray(part) || depth < shape.length;
      throw refused(
        isNesting ? 'shape_mismatch' : 'invalid_argument',
        'the data do not nest evenly, or are no numbers',
        {
          given: Array.isArray(part)
            ? `an array of ${part.length} at depth ${depth}`
            : `${typeof part} at depth ${depth}`,
          expected: `numbers or booleans in arrays that nest as [${shape}]`,
        },
      );
    }
  };
  add(data, 0);
  return elements;
}

/** @throws KilnError `dtype_mismatch` for a number that the dtype does not hold */
function assertHeld(elements: ArrayLike<number | boolean | bigint>, dtype: DType): void {
  const [low, high] = dtype === 'int64' ? [-(2 ** 53), 2 ** 53] : integerRange(dtype);
  for (let i = 0; i < elements.length; i++) {
    const element = Number(elements[i]);
    if (Number.isInteger(element) && element >= low && element <= high) continue;
    throw refused('dtype_mismatch', `a number does not fit ${dtype}`, {
      given: `${elements[i]} as element ${i}`,
      expected: `integers from ${low} to ${high}`,
    });
  }
}
