/**
 * New tensors: out of JavaScript data, or filled by a rule. Outside traces they are uploaded at once, without a
 * program; inside they are constants and positions of the graph, so nothing is stored.
 *
 *     tensor([[1, 2], [3, 4]])                 // f32[2,2]
 *     tensor(new Int32Array([1, 2]))           // i32[2]
 *     arange(5)                                // i32[5]: 0, 1, 2, 3, 4
 */
import { isStaticShape } from '../../base/dim.ts';
import { byteSize, computedDTypes, type DType, integerRange, isFloat } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { roundFloat } from '../../base/half.ts';
import { elementCount, literal } from '../../ir/literal.ts';
import { encodeElements } from '../../runtime/elements.ts';
import { deviceNamed } from '../../runtime/session.ts';
import { currentLocation } from '../location.ts';
import { elementOf, type PlainNumber } from '../operands.ts';
import { Tensor } from '../tensor.ts';
import { currentTrace, emit } from '../trace.ts';
import { compare, plus, times } from './primitives.ts';
import { broadcastTo } from './shape.ts';
import {
  constant,
  constantLike,
  convert,
  describe,
  requireDType,
  requireShape,
  requireSize,
  requireTensor,
  type Shape,
} from './support.ts';
import { type DataDType, type ElementData, elementsOf, type TensorData } from './tensor-data.ts';
import { astype } from './unary.ts';

export interface CreationOptions<D extends DType = DType> {
  readonly dtype?: D;
  /** Name of a device; the session's unless given. */
  readonly device?: string;
}

export interface TensorOptions<D extends DType = DType> extends CreationOptions<D> {
  /** Sizes, when the data are flat. */
  readonly shape?: readonly number[];
}

function requireComputed(op: string, dtype: DType): void {
  requireDType(op, dtype);
  if (computedDTypes.includes(dtype)) return;
  throw new KilnError('unsupported_dtype', `${op}: this release does not compute with ${dtype}`, {
    given: dtype,
    expected: computedDTypes.join(', '),
    hint:
      dtype === 'int64' ? "pass { dtype: 'int32' }; bigints that fit are int32 anyway" : "pass { dtype: 'float32' }",
  });
}

/** Runs a creation; errors point at the user's line. */
function located<R>(body: () => R): R {
  try {
    return body();
  } catch (error) {
    throw error instanceof KilnError ? error.at(currentLocation()) : error;
  }
}

/** Arrays up to this many elements are constants of a trace; larger ones become inputs of its program. */
const constantLimit = 1024;

function requireTraceDevice(op: string, device: string | undefined): void {
  const trace = currentTrace();
  if (!trace || device === undefined || device === trace.device) return;
  throw new KilnError('device_mismatch', `${op}: another device than that of the traced function`, {
    given: `'${device}' in ${trace.label} on '${trace.device}'`,
  });
}

/** What a number becomes when it is stored. */
function storedAs(dtype: DType): (value: number | boolean | bigint) => number {
  if (isFloat(dtype)) return (value) => roundFloat(dtype, Number(value));
  return dtype === 'bool' ? (value) => (Number(value) === 0 ? 0 : 1) : Number;
}

/** Elements as a tensor: a constant inside a trace, unless there are many, and uploaded outside. */
function ofElements(
  op: string,
  dtype: DType,
  shape: readonly number[],
  elements: ElementData,
  device?: string,
): Tensor {
  requireTraceDevice(op, device);
  if (currentTrace() && elements.length <= constantLimit) {
    return emit('constant', [], { value: literal(dtype, shape, Float64Array.from(elements, storedAs(dtype))) });
  }
  return Tensor.of(dtype, shape, deviceNamed(device).upload(dtype, shape, encodeElements(dtype, elements)));
}

/**
 * A tensor out of data: a number, boolean, nested arrays of them, or a typed array.
 * @param options.shape sizes for flat data; without it the nesting tells
 * @param options.dtype unless given: numbers are float32, booleans bool, bigints int32, typed arrays their own
 * @throws KilnError `shape_mismatch` for ragged arrays or a shape that does not hold the data, `invalid_size`,
 *   `dtype_mismatch` for numbers that the dtype does not hold, `unsupported_dtype`, `unknown_device`
 */
export function tensor<const T extends TensorData, D extends DType = DataDType<T>>(
  data: T,
  options: TensorOptions<D> = {},
): Tensor<D> {
  return located(() => {
    const found = elementsOf(data);
    const dtype = options.dtype ?? found.dtype;
    requireComputed('tensor', dtype);
    const shape = options.shape ?? found.shape;
    requireShape('tensor', shape);
    if (elementCount(shape) !== found.elements.length) {
      throw new KilnError('shape_mismatch', 'tensor: the shape does not hold the data', {
        given: `${found.elements.length} elements for [${shape.join(',')}]`,
        expected: `${elementCount(shape)} elements`,
      });
    }
    if ((dtype !== found.dtype || found.isWide) && !isFloat(dtype) && dtype !== 'bool') {
      for (let i = 0; i < found.elements.length; i++) elementOf(found.elements[i], dtype, 'tensor');
    }
    return ofElements('tensor', dtype, Object.freeze([...shape]), found.elements, options.device);
  }) as Tensor<D>;
}

/** More bytes than any array can have: linear memory ends there. */
const mostBytes = 2 ** 32;

/** @throws KilnError `out_of_memory` before the elements are made in JavaScript */
function requireRoom(op: string, dtype: DType, shape: readonly number[]): void {
  const bytes = elementCount(shape) * byteSize(dtype);
  if (bytes <= mostBytes) return;
  throw new KilnError('out_of_memory', `${op}: no device has room for so many elements`, {
    given: `${dtype}[${shape.join(',')}], ${bytes} bytes`,
    expected: `at most ${mostBytes} bytes`,
    hint: 'check the shape, or work on a part at a time',
  });
}

/** Dense bytes of one element everywhere. */
function filledBytes(op: string, dtype: DType, shape: readonly number[], value: number): Uint8Array<ArrayBuffer> {
  requireRoom(op, dtype, shape);
  const element = encodeElements(dtype, [value]);
  const bytes = new Uint8Array(elementCount(shape) * element.length);
  if (bytes.length === 0 || element.every((byte) => byte === 0)) return bytes;
  bytes.set(element);
  for (let done = element.length; done < bytes.length; done *= 2) bytes.copyWithin(done, 0, done);
  return bytes;
}

/** One element everywhere: a broadcast constant in a trace, whose sizes may be symbolic. */
function filled(op: string, shape: Shape, dtype: DType, value: number, device: string | undefined): Tensor {
  requireShape(op, shape);
  requireComputed(op, dtype);
  requireTraceDevice(op, device);
  if (currentTrace()) return constant(dtype, shape, value);
  if (!isStaticShape(shape)) {
    throw new KilnError('unknown_size', `${op}: a tensor outside compile has fixed sizes`, {
      given: `[${shape.join(',')}]`,
    });
  }
  const bytes = filledBytes(op, dtype, shape, value);
  return Tensor.of(dtype, Object.freeze([...shape]), deviceNamed(device).upload(dtype, shape, bytes));
}

type Filled = <D extends DType = 'float32'>(shape: Shape, options?: CreationOptions<D>) => Tensor<D>;
type FilledLike = <D extends DType, E extends DType = D>(x: Tensor<D>, options?: CreationOptions<E>) => Tensor<E>;

const fill = (op: string, value: number): Filled =>
  ((shape: Shape, options: CreationOptions = {}) =>
    located(() => filled(op, shape, options.dtype ?? 'float32', value, options.device))) as Filled;

const fillLike = (op: string, value: number): FilledLike =>
  ((x: Tensor, options: CreationOptions = {}) =>
    located(() => {
      requireTensor(op, x);
      return filled(op, x.type.shape, options.dtype ?? x.dtype, value, options.device ?? x.device);
    })) as FilledLike;

/** Zeros (false for bool). @throws KilnError `invalid_size`, `unsupported_dtype`, `unknown_device` */
export const zeros = fill('zeros', 0);

/** Ones (true for bool). @throws KilnError `invalid_size`, `unsupported_dtype`, `unknown_device` */
export const ones = fill('ones', 1);

/** Zeros of the shape and dtype of `x`. @throws KilnError `unsupported_dtype` */
export const zerosLike = fillLike('zerosLike', 0);

/** Ones of the shape and dtype of `x`. @throws KilnError `unsupported_dtype` */
export const onesLike = fillLike('onesLike', 1);

/**
 * One value everywhere.
 * @param value a number or boolean, or a 0-d tensor
 * @param options.dtype unless given float32, for booleans bool, for a tensor its own
 * @throws KilnError `invalid_size`, `dtype_mismatch` when the dtype does not hold the value, `unsupported_dtype`
 */
export function full<V extends PlainNumber | Tensor, D extends DType = FillDType<V>>(
  shape: Shape,
  value: V,
  options: CreationOptions<D> = {},
): Tensor<D> {
  return located(() => {
    if (value instanceof Tensor) return broadcastTo(options.dtype ? astype(value, options.dtype) : value, shape);
    const dtype = options.dtype ?? (typeof value === 'boolean' ? 'bool' : 'float32');
    return filled('full', shape, dtype, elementOf(value, dtype, 'full'), options.device);
  }) as Tensor<D>;
}

type FillDType<V> = V extends Tensor<infer D> ? D : V extends boolean ? 'bool' : 'float32';

/** One value everywhere, of the shape and dtype of `x`. @throws KilnError `dtype_mismatch`, `unsupported_dtype` */
export function fullLike<D extends DType, E extends DType = D>(
  x: Tensor<D>,
  value: PlainNumber,
  options: CreationOptions<E> = {},
): Tensor<E> {
  return located(() => {
    requireTensor('fullLike', x);
    const dtype = options.dtype ?? x.dtype;
    return filled('fullLike', x.type.shape, dtype, elementOf(value, dtype, 'fullLike'), options.device ?? x.device);
  }) as Tensor<E>;
}

function requireFinite(op: string, what: string, value: unknown): asserts value is number {
  if (typeof value === 'number' && Number.isFinite(value)) return;
  throw new KilnError('invalid_argument', `${op}: ${what} is not a finite number`, { given: describe(value) });
}

/**
 * Evenly spaced numbers from `start` up to but not including `stop`; `arange(n)` counts from 0.
 * @param options.dtype unless given int32 when all arguments are integers, else float32
 * @throws KilnError `invalid_argument` for a step of 0 or arguments that are not finite, `dtype_mismatch`
 */
export function arange<D extends DType = DType>(
  start: number,
  stop?: number | null,
  step = 1,
  options: CreationOptions<D> = {},
): Tensor<D> {
  return located(() => {
    const [from, to] = stop === undefined || stop === null ? [0, start] : [start, stop];
    requireFinite('arange', 'the start', from);
    requireFinite('arange', 'the stop', to);
    requireFinite('arange', 'the step', step);
    if (step === 0) throw new KilnError('invalid_argument', 'arange: the step is 0', { given: String(step) });
    const dtype = options.dtype ?? ([from, to, step].every(Number.isInteger) ? 'int32' : 'float32');
    requireComputed('arange', dtype);
    const count = Math.max(0, Math.ceil((to - from) / step));
    requireSize('arange', count);
    const isExact =
      Number.isInteger(from) && Number.isInteger(step) && Math.abs(from) + count * Math.abs(step) < 2 ** 24;
    const [least, greatest] = isFloat(dtype) ? [-Infinity, Infinity] : integerRange(dtype);
    const fits = [from, from + Math.max(0, count - 1) * step, step].every((n) => n >= least && n <= greatest);
    if (currentTrace() && isExact && fits && dtype !== 'bool') {
      const position = emit('iota', [], { dtype, shape: [count], axis: 0 });
      const scaled = step === 1 ? position : times(position, step);
      return from === 0 ? scaled : plus(scaled, constantLike(position, from));
    }
    requireRoom('arange', dtype, [count]);
    const elements = Float64Array.from({ length: count }, (_, i) => elementOf(from + i * step, dtype, 'arange'));
    return ofElements('arange', dtype, [count], elements, options.device);
  }) as Tensor<D>;
}

export interface LinspaceOptions<D extends DType = DType> extends CreationOptions<D> {
  /** Whether `stop` is the last number (true unless given). */
  readonly endpoint?: boolean;
}

/**
 * `num` evenly spaced numbers from `start` to `stop`, computed in double precision.
 * @throws KilnError `invalid_size`, `invalid_argument` for arguments that are not finite, `dtype_mismatch`
 */
export function linspace<D extends DType = 'float32'>(
  start: number,
  stop: number,
  num = 50,
  options: LinspaceOptions<D> = {},
): Tensor<D> {
  return located(() => {
    requireFinite('linspace', 'the start', start);
    requireFinite('linspace', 'the stop', stop);
    requireSize('linspace', num);
    const { dtype = 'float32', endpoint = true, device } = options;
    requireComputed('linspace', dtype);
    const gaps = endpoint ? num - 1 : num;
    const step = gaps > 0 ? (stop - start) / gaps : 0;
    const element = (i: number): number => (endpoint && i > 0 && i === num - 1 ? stop : start + i * step);
    requireRoom('linspace', dtype, [num]);
    const elements = Float64Array.from({ length: num }, (_, i) => elementOf(element(i), dtype, 'linspace'));
    return ofElements('linspace', dtype, [num], elements, device);
  }) as Tensor<D>;
}

export interface EyeOptions<D extends DType = DType> extends CreationOptions<D> {
  /** Which diagonal: 0 is the main one, above it positive. */
  readonly k?: number;
}

/**
 * A matrix with ones on a diagonal and zeros elsewhere.
 * @param columns as many as rows unless given
 * @throws KilnError `invalid_size`, `unsupported_dtype`
 */
export function eye<D extends DType = 'float32'>(rows: number, columns = rows, options: EyeOptions<D> = {}): Tensor<D> {
  return located(() => {
    const { dtype = 'float32', k = 0, device } = options;
    requireShape('eye', [rows, columns]);
    requireComputed('eye', dtype);
    if (currentTrace()) {
      requireTraceDevice('eye', device);
      const along = (axis: number): Tensor => emit('iota', [], { dtype: 'int32', shape: [rows, columns], axis });
      const shifted = plus(along(0), constant('int32', [rows, columns], k));
      return convert(compare(shifted, 'EQ', along(1)), dtype);
    }
    requireRoom('eye', dtype, [rows, columns]);
    const elements = new Float64Array(rows * columns);
    for (let i = Math.max(0, -k); i < rows && i + k < columns; i++) elements[i * columns + i + k] = 1;
    return ofElements('eye', dtype, [rows, columns], elements, device);
  }) as Tensor<D>;
}
