/** JavaScript data that become arrays, as types: what `tensor` accepts, and which dtype that has. */
import type { DType } from '../base/dtype.ts';

/** One element. */
export type Element = number | boolean | bigint;

/** Typed arrays, and the dtype that each holds. */
interface TypedArrayDTypes {
  readonly Float64Array: 'float64';
  readonly Float32Array: 'float32';
  readonly BigInt64Array: 'int32';
  readonly Int32Array: 'int32';
  readonly Int16Array: 'int16';
  readonly Int8Array: 'int8';
  readonly Uint32Array: 'uint32';
  readonly Uint16Array: 'uint16';
  readonly Uint8Array: 'uint8';
  readonly Uint8ClampedArray: 'uint8';
}

export type NumericView = ArrayBufferView & {
  readonly length: number;
  readonly [index: number]: number | bigint;
  readonly [Symbol.toStringTag]: keyof TypedArrayDTypes | 'Float16Array';
};

/** Arrays in arrays of numbers, booleans or bigints. */
export type NestedData = Element | readonly NestedData[];

/** What `tensor` accepts. */
export type TensorData = NestedData | NumericView;

type Unnest<T> = T extends readonly (infer U)[] ? U : T;
/** What six levels of arrays hold. */
type LeafOf<T> = Unnest<Unnest<Unnest<Unnest<Unnest<Unnest<T>>>>>>;

/** The dtype that data have unless another is asked for. */
export type DataDType<T> = T extends { readonly [Symbol.toStringTag]: infer Tag }
  ? Tag extends keyof TypedArrayDTypes
    ? TypedArrayDTypes[Tag]
    : 'float16'
  : [LeafOf<T>] extends [never]
    ? 'float32'
    : [LeafOf<T>] extends [boolean]
      ? 'bool'
      : [LeafOf<T>] extends [bigint]
        ? 'int32'
        : [LeafOf<T>] extends [number | boolean]
          ? 'float32'
          : DType;
