/**
 * JavaScript data as elements: what `tensor` accepts, and which shape and dtype it has.
 *
 *     elementsOf([[1, 2], [3, 4]])         // float32, [2, 2], [1, 2, 3, 4]
 *     elementsOf([true, false])            // bool, [2]
 *     elementsOf([[1], [2, 3]])            // KilnError [shape_mismatch]
 */
import type { DType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import type { Element, NestedData, NumericView, TensorData } from '../../runtime/array-data.ts';
import { dtypeOfTypedArray, isWide } from '../../runtime/typed-arrays.ts';
import { hintForCopies } from '../copies.ts';
import { Tensor } from '../tensor.ts';

export type { DataDType, NestedData, TensorData } from '../../runtime/array-data.ts';

export type ElementData = ArrayLike<Element>;

export interface Elements {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly elements: ElementData;
  /** Whether an element may be an integer that `dtype` does not hold. */
  readonly isWide: boolean;
}

/** The sizes that the first elements at each depth show. */
function nestedShape(data: NestedData): number[] {
  const shape: number[] = [];
  for (let part: NestedData | undefined = data; Array.isArray(part); part = part[0]) shape.push(part.length);
  return shape;
}

const describeShape = (shape: readonly number[]): string => `[${shape.join(',')}]`;

function appendElements(data: NestedData, shape: readonly number[], depth: number, target: Element[]): void {
  if (depth === shape.length) {
    if (Array.isArray(data)) throw ragged(`an array of ${data.length} where another has an element`, shape);
    target.push(data as Element);
    return;
  }
  if (!Array.isArray(data)) throw ragged(`${typeof data} ${String(data)} where another has an array`, shape);
  if (data.length !== shape[depth]) throw ragged(`${data.length} elements where another has ${shape[depth]}`, shape);
  for (let i = 0; i < data.length; i++) appendElements(data[i], shape, depth + 1, target);
}

const ragged = (given: string, shape: readonly number[]): KilnError =>
  new KilnError('shape_mismatch', 'tensor: nested arrays of different lengths', {
    given,
    expected: `arrays that nest evenly, as ${describeShape(shape)}`,
  });

function dtypeOfElements(elements: readonly unknown[]): DType {
  const kinds = new Set<string>();
  for (let i = 0; i < elements.length; i++) kinds.add(typeof elements[i]);
  const only = [...kinds].sort().join(' and ');
  if (only === '' || only === 'number' || only === 'boolean and number') return 'float32';
  if (only === 'boolean') return 'bool';
  if (only === 'bigint') return 'int32';
  const hint = elements.some((element) => element instanceof Tensor)
    ? 'join tensors with stack or concat'
    : elements.map(hintForCopies).find((text) => text !== undefined);
  throw new KilnError('invalid_argument', 'tensor: the data are not numbers, booleans or bigints alone', {
    given: `elements of type ${only}`,
    expected: 'numbers, booleans or bigints, in nested arrays or a typed array',
    ...(hint !== undefined && { hint }),
  });
}

/** @throws KilnError `shape_mismatch` for ragged arrays, `invalid_argument` for data that are no numbers */
export function elementsOf(data: TensorData): Elements {
  const viewDType = dtypeOfTypedArray(data);
  if (viewDType) {
    const elements = data as NumericView;
    return { dtype: viewDType, shape: [elements.length], elements, isWide: isWide(data) };
  }
  const nested = data as NestedData;
  const shape = nestedShape(nested);
  const elements: Element[] = [];
  appendElements(nested, shape, 0, elements);
  const dtype = dtypeOfElements(elements);
  return { dtype, shape, elements, isWide: dtype === 'int32' };
}
