/**
 * `Tensor`: a device array with operations, or a value of a trace that stands for one. A traced tensor knows its type
 * and nothing else; reading it is an error at the user's line. In a trace of kind `recording` it has a concrete
 * tensor behind it, which answers reads. JavaScript operators never see a tensor as a number, traced or not:
 *
 *     x > 0            // KilnError [invalid_argument], or [traced_value] inside compile
 *     `${x}`           // prints
 *
 * The operations are put on the prototype by `methods.ts`.
 */
import type { DType } from '../base/dtype.ts';
import { dtypeInfo } from '../base/dtype.ts';
import { KilnError } from '../base/error.ts';
import { SourceLocation } from '../base/location.ts';
import type { TensorType, Value } from '../ir/types.ts';
import { DeviceArray } from '../runtime/array.ts';
import { setArrayClass } from '../runtime/array-class.ts';
import type { BufferHandle, Device, Disposal } from '../runtime/device.ts';
import type { Nested, ScalarOf, TypedArrayOf } from '../runtime/elements.ts';
import { formatElements, formatRepresentation } from '../runtime/format.ts';
import { deviceNamed } from '../runtime/session.ts';
// Tensors are made at once, so the device that needs no opening is at hand.
import '../runtime/complete.ts';
import { markCopy } from './copies.ts';
import type { Trace } from './graph-trace.ts';

/** What makes a tensor traced. */
export interface TracedValue {
  readonly trace: Trace;
  readonly value: Value;
  /** The tensor that holds its elements, in a trace that runs its ops at once. */
  readonly concrete: Tensor | undefined;
}

const inspect: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

export class Tensor<D extends DType = DType> extends DeviceArray<D> {
  /** Set for a value of a trace. */
  readonly traced: TracedValue | undefined;
  #signature: string | undefined;

  /** Tensors are made by `tensor`, `zeros` and operations; this is for the library itself. */
  constructor(dtype: D, shape: readonly number[], handle?: BufferHandle, traced?: TracedValue, signature?: string) {
    super(dtype, shape, handle);
    this.traced = traced;
    this.#signature = signature;
  }

  /** A tensor that owns a device's buffer. */
  static of<D extends DType>(dtype: D, shape: readonly number[], handle: BufferHandle, signature?: string): Tensor<D> {
    return new Tensor(dtype, shape, handle, undefined, signature);
  }

  /** A value of a trace; `concrete` holds its elements where the trace runs ops at once. */
  static traced(trace: Trace, value: Value, concrete?: Tensor): Tensor {
    // Symbolic sizes are typed as numbers for the user; arithmetic on them says that they are not.
    const shape = value.type.shape as readonly number[];
    return new Tensor(value.type.dtype, shape, undefined, { trace, value, concrete });
  }

  /** Element type and sizes; a size may be symbolic inside a trace. */
  get type(): TensorType {
    return this.traced ? this.traced.value.type : { dtype: this.dtype, shape: this.shape };
  }

  /** The type as text, `f32[8,4]`: its part of every key. */
  get signature(): string {
    this.#signature ??= `${dtypeInfo(this.dtype).short}[${this.shape.join(',')}]`;
    return this.#signature;
  }

  /** @throws KilnError `use_after_dispose` or `shut_down` when there are no elements any more. */
  assertUsable(): void {
    this.handle?.assertUsable();
  }

  override get device(): string {
    return this.traced && !this.traced.concrete ? this.traced.trace.device : super.device;
  }

  protected override requireHandle(operation: string): BufferHandle {
    const { traced } = this;
    if (!traced) return super.requireHandle(operation);
    if (traced.concrete && !traced.trace.closed) return traced.concrete.requireHandle(operation);
    if (traced.trace.closed) throw leakedTracer(this, traced.trace, `${operation}()`);
    throw new KilnError('traced_value', `${operation}() reads a tensor that is being traced: it has no elements yet`, {
      given: `${this.signature} in ${traced.trace.label}`,
      hint: 'return it and read the result after the call; to debug, call the function without compile',
      location: SourceLocation.capture(),
    });
  }

  /**
   * The tensor on a device: a copy, or where it is there already the same bytes under another handle. From WebGPU the
   * copy is pending until the bytes have been read; nothing waits for it here.
   * @throws KilnError `unknown_device`, `no_adapter`; `device_mismatch` for a value of a traced function, all of which
   *   runs on one device
   */
  to(device: string): Tensor<D> {
    const location = SourceLocation.capture();
    try {
      return this.traced ? this.#toInTrace(device, this.traced) : this.#toDevice(deviceNamed(device));
    } catch (error) {
      throw error instanceof KilnError ? error.at(location) : error;
    }
  }

  #toInTrace(device: string, { trace }: TracedValue): Tensor<D> {
    if (trace.closed) throw leakedTracer(this, trace, 'to()');
    if (device === trace.device) return this;
    throw new KilnError('device_mismatch', `to('${device}') inside ${trace.label}, which runs on one device`, {
      given: `${this.signature} on '${trace.device}'`,
      hint: 'move tensors before the call, or results after it',
    });
  }

  #toDevice(device: Device): Tensor<D> {
    const { dtype, shape } = this;
    const handle = this.requireHandle('to');
    handle.assertUsable();
    const { device: from } = handle;
    const isAtHand = handle.state === 'ready' && from.tier.target === 'wasm';
    const moved =
      from === device
        ? device.alias(handle)
        : isAtHand
          ? device.upload(dtype, shape, from.readSync(handle))
          : device.uploadLater(dtype, shape, from.read(handle));
    return Tensor.of(dtype, shape, moved, this.#signature);
  }

  override data(): Promise<TypedArrayOf<D>> {
    if (this.traced) this.requireHandle('data'); // a rejection that nobody awaits would end the process
    return super.data();
  }

  override bytes(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.traced) this.requireHandle('bytes');
    return super.bytes();
  }

  override array(): Promise<Nested<ScalarOf<D>>> {
    if (this.traced) this.requireHandle('array');
    return super.array();
  }

  override item(): Promise<ScalarOf<D>> {
    if (this.traced) this.requireHandle('item');
    return super.item();
  }

  override itemSync(): ScalarOf<D> {
    if (this.traced) this.requireHandle('itemSync');
    return super.itemSync();
  }

  override ready(): Promise<void> {
    if (this.traced) this.requireHandle('ready');
    return super.ready();
  }

  /** A traced value owns nothing: it is released with its trace. */
  override release(disposal: Disposal): void {
    if (!this.traced) super.release(disposal);
  }

  /** The elements as NumPy's `str` prints them. Never throws: says so where there is nothing to print. */
  override toString(): string {
    if (this.traced) return tracedText(this, this.traced, String);
    return this.text((elements) => formatElements(this.dtype, this.shape, elements));
  }

  [inspect](): string {
    if (this.traced) return tracedText(this, this.traced, (t) => t[inspect]());
    return this.text((elements) => formatRepresentation(this.dtype, this.shape, elements));
  }

  /** @throws KilnError unless a string is wanted: JavaScript operators do not work on tensors */
  [Symbol.toPrimitive](hint: 'string' | 'number' | 'default'): string {
    if (hint === 'string') return this.toString();
    throw this.#notANumber();
  }

  override valueOf(): never {
    throw this.#notANumber();
  }

  #notANumber(): KilnError {
    const location = SourceLocation.capture();
    const { traced } = this;
    if (traced?.trace.closed) return leakedTracer(this, traced.trace, 'an operator', location);
    if (traced) {
      return new KilnError(
        'traced_value',
        'a traced tensor is used as a number (an operator, a comparison or Math.*)',
        {
          given: `${this.signature} in ${traced.trace.label}`,
          expected: 'operations on tensors: it has no value while the function is traced',
          hint: 'use methods such as x.add(y), x.greater(0), x.exp(), and where(condition, a, b) to choose',
          location,
        },
      );
    }
    return new KilnError('invalid_argument', 'a tensor is used as a number (an operator, a comparison or Math.*)', {
      given: this.signature,
      hint: 'use methods such as x.add(y), x.greater(0), x.exp(), or read its element first: await x.item()',
      location,
    });
  }
}

markCopy(Tensor);
setArrayClass(Tensor.of);

const tracedText = (tensor: Tensor, traced: TracedValue, print: (concrete: Tensor) => string): string => {
  if (traced.trace.closed) return `<leaked ${tensor.signature} of ${traced.trace.label}>`;
  return traced.concrete ? print(traced.concrete) : `<traced ${tensor.signature} in ${traced.trace.label}>`;
};

/** The error for a tensor that has outlived its trace. */
export function leakedTracer(tensor: Tensor, trace: Trace, used: string, location?: SourceLocation): KilnError {
  return new KilnError('leaked_tracer', `${used}: a traced tensor is used after its trace has ended`, {
    given: `${tensor.signature} of ${trace.label}`,
    hint: 'return it from the traced function (beside a loss with hasAux) instead of storing it outside',
    location: location ?? SourceLocation.capture(),
  });
}
