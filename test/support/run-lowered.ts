/**
 * Runs a lowered program with the kernel interpreter, on memory laid out as the plan says: temporaries at their offsets
 * in one arena, in-place pairs on the same bytes, donated inputs overwritten. The oracle for everything below the
 * graph.
 *
 *     runLowered(lowerModule(module, options), inputs)      // one Literal for each output
 *
 * The arena starts out full of NaN patterns, so that reading what nobody wrote shows.
 */
import { planArena } from '../../base/arena.ts';
import { type Dim, type DimBindings, evaluateDim } from '../../base/dim.ts';
import { byteSize, type DType, isHalf } from '../../base/dtype.ts';
import { type BufferData, interpretKernel, newBufferData } from '../../ir/kernel-interpret.ts';
import { verifyKernel } from '../../ir/kernel-verify.ts';
import { denseData, elementCount } from '../../ir/literal.ts';
import type { LaunchBuffer, Lowered } from '../../ir/lowered.ts';
import type { Literal, TensorType } from '../../ir/types.ts';
import { decodeElements, encodeElements } from '../../runtime/elements.ts';

/** Values of the symbols in the input types: an axis that is a bare symbol takes the size of the array. */
export function bindSymbols(types: readonly TensorType[], inputs: readonly Literal[]): DimBindings {
  const bindings = new Map<string, number>();
  types.forEach(({ shape }, input) => {
    shape.forEach((size, axis) => {
      const [term] = typeof size === 'number' ? [] : size.terms;
      const [factor] = term?.factors ?? [];
      const bare = typeof size !== 'number' && size.terms.length === 1 && size.constant === 0 && term.coefficient === 1;
      if (bare && term.factors.length === 1 && factor.kind === 'symbol') {
        bindings.set(factor.symbol.name, inputs[input].shape[axis]);
      }
    });
  });
  return bindings;
}

const toBuffer = (literal: Literal): BufferData => {
  const bytes = encodeElements(literal.dtype, denseData(literal));
  const data = newBufferData(literal.dtype, elementCount(literal.shape));
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength).set(bytes);
  return data;
};

/** The same bytes as elements of another dtype of equal size. */
function viewAs(dtype: DType, data: BufferData): BufferData {
  return decodeElements(
    isHalf(dtype) ? 'uint16' : dtype,
    new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength),
  ) as BufferData;
}

/** The elements of a buffer as numbers. */
const numbersOf = (dtype: DType, data: BufferData): ArrayLike<number> =>
  decodeElements(dtype, new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)) as BufferData;

/** Runs a program and gives its outputs; `inputs` themselves are not changed. */
export function runLowered(lowered: Lowered, inputs: readonly Literal[]): Literal[] {
  const bindings = bindSymbols(
    lowered.inputs.map(({ type }) => type),
    inputs,
  );
  const size = (dim: Dim): number => evaluateDim(dim, bindings);
  const elements = ({ shape }: TensorType): number => shape.reduce<number>((count, dim) => count * size(dim), 1);
  const inputData = inputs.map(toBuffer);
  const constants = lowered.constants.map(toBuffer);
  const outputs = lowered.outputs.map(({ type }) => newBufferData(type.dtype, elements(type)));
  const intervals = lowered.temporaries.map(({ bytes, first, last }) => ({ bytes: size(bytes), first, last }));
  const offsets = lowered.temporaries.map(({ offset }) => offset);
  const plan = planArena(intervals);
  const arena = new Uint8Array(lowered.arenaBytes ?? plan.bytes).fill(0xff);
  const temporaries = intervals.map(
    ({ bytes }, at) => new Uint8Array(arena.buffer, offsets[at] ?? plan.offsets[at], bytes),
  );
  const prepared = lowered.prepared.map(({ type }) => newBufferData(type.dtype, elements(type)));
  const memory = { input: inputData, output: outputs, constant: constants, prepared, temporary: temporaries };
  const find = ({ kind, index }: LaunchBuffer): BufferData => memory[kind][index];
  for (const kernel of lowered.kernels) verifyKernel(kernel);
  for (const { kernel: number, buffers } of lowered.launches) {
    const kernel = lowered.kernels[number];
    const bound = kernel.buffers.map(({ dtype, size: count }, at) => {
      const view = viewAs(dtype, find(buffers[at]));
      if (view.byteLength !== size(count) * byteSize(dtype))
        throw new RangeError(`${kernel.name}: size of buffer ${at}`);
      return view;
    });
    interpretKernel(kernel, bound, bindings);
  }
  const data = (output: number): BufferData => {
    const { source } = lowered.outputs[output];
    if (source.kind === 'own') return outputs[output];
    if (source.kind === 'donated') return inputData[source.input];
    return source.kind === 'output' ? data(source.index) : memory[source.kind][source.index];
  };
  return lowered.outputs.map(({ type }, output) => ({
    dtype: type.dtype,
    shape: type.shape.map(size),
    data: numbersOf(type.dtype, data(output)),
  }));
}
