/**
 * Memory for kernels under test, and what the interpreter makes of it: the same for every target.
 *
 *     const inputs = makeInputs(kernel, { N: 7 }, (name, i) => i);
 *     runInterpreted(kernel, inputs, { N: 7 })        // the buffers after the run
 */
import { type DimBindings, evaluateDim } from '../../base/dim.ts';
import { byteSize } from '../../base/dtype.ts';
import type { Kernel } from '../../ir/kernel.ts';
import { type BufferData, type Disturb, interpretKernel, newBufferData } from '../../ir/kernel-interpret.ts';

/** Values of the symbols in a kernel's sizes. */
export type Bindings = Readonly<Record<string, number>>;

export const bindingMap = (bindings: Bindings): DimBindings => new Map(Object.entries(bindings));

export const bytesOf = (data: BufferData): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** The oracle's buffers after the run. */
export function runInterpreted(
  kernel: Kernel,
  inputs: readonly BufferData[],
  bindings: Bindings = {},
  disturb?: Disturb,
): BufferData[] {
  const copies = inputs.map((data) => data.slice());
  kernel.buffers.forEach(({ inPlaceOf }, i) => {
    if (inPlaceOf !== undefined) copies[i] = copies[inPlaceOf];
  });
  interpretKernel(kernel, copies, bindingMap(bindings), disturb);
  return copies;
}

/** Empty buffers of a kernel's sizes, filled by `fill(name, element)`. */
export function makeInputs(
  kernel: Kernel,
  bindings: Bindings,
  fill: (name: string, element: number) => number,
): BufferData[] {
  return kernel.buffers.map(({ name, dtype, size }) => {
    const elements = evaluateDim(size, bindingMap(bindings));
    if (elements * byteSize(dtype) > 2 ** 28) throw new Error(`${name} is too large for a test`);
    const data = newBufferData(dtype, elements);
    for (let i = 0; i < elements; i++) data[i] = fill(name, i);
    return data;
  });
}

/** The first difference between two arrays in bits; NaNs are equal. `undefined` when there is none. */
export function firstDifference(actual: BufferData, expected: BufferData): string | undefined {
  for (let i = 0; i < expected.length; i++) {
    if (!Object.is(actual[i], expected[i])) return `element ${i}: got ${actual[i]}, expected ${expected[i]}`;
  }
  return undefined;
}
