/**
 * Lowered → Program, but for the code: what every target writes down alike.
 *
 *     programOf(lowered, { tier, kernels, steps })
 */
import { type Dim, isStatic, mulDims } from '../../base/dim.ts';
import { byteSize, computedDTypes, type DType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { encodeBfloat16, encodeFloat16 } from '../../base/half.ts';
import type { Kernel } from '../../ir/kernel.ts';
import type { Lowered } from '../../ir/lowered.ts';
import type { Literal, TensorType } from '../../ir/types.ts';
import {
  type ProgramConstant,
  type ProgramKernel,
  type ProgramOf,
  programVersion,
  type Size,
  type Step,
  type Tier,
} from '../../runtime/program.ts';

/** What a target adds. */
export interface TargetParts<OwnTier extends Tier, Kernel> {
  readonly tier: OwnTier;
  readonly kernels: readonly Kernel[];
  readonly steps: readonly Step[];
}

/** @throws KilnError `unsupported_dtype` for a constant of a dtype that kernels do not compute with */
export function programOf<OwnTier extends Tier, Kernel>(
  lowered: Lowered,
  { tier, kernels, steps }: TargetParts<OwnTier, Kernel>,
): ProgramOf<OwnTier, Kernel> {
  const { arenaBytes } = lowered;
  return {
    version: programVersion,
    name: lowered.name,
    tier,
    symbols: lowered.symbols.map(({ name, min, max }) => ({ name, min, max })),
    inputs: lowered.inputs.map(({ type, donated, held }) => ({ ...specOf(type), donated, held })),
    outputs: lowered.outputs.map(({ type, source }) => ({ ...specOf(type), source })),
    constants: lowered.constants.map(programConstant),
    prepared: lowered.prepared.map(({ type: { dtype, shape } }) => ({ dtype, shape: [...shape] })),
    temporaries: lowered.temporaries.map(({ bytes, first, last, offset }) => ({
      bytes: sizeOf(bytes),
      first,
      last,
      ...(offset !== undefined && { offset }),
    })),
    ...(arenaBytes !== undefined && { arenaBytes }),
    kernels,
    steps: steps.map(({ kernel, buffers }) => ({
      kind: 'launch',
      kernel,
      buffers: buffers.map(({ kind, index }) => ({ kind, index })),
    })),
    prepareSteps: lowered.prepareLaunches,
  };
}

export type BufferFields = Pick<ProgramKernel, 'buffers' | 'bufferBytes' | 'access'>;

/** What a kernel says of its buffers. */
export const bufferFields = ({ buffers }: Kernel): BufferFields => ({
  buffers: buffers.length,
  bufferBytes: buffers.map(({ size, dtype }) => sizeOf(mulDims(size, byteSize(dtype)))),
  access: buffers.map(({ access }) => (access === 'read' ? 'read' : 'read_write')),
});

/** A size as a program writes it. */
export const sizeOf = (d: Dim): Size => (isStatic(d) ? d : String(d));

const specOf = ({ dtype, shape }: TensorType): { dtype: DType; shape: Size[] } => ({ dtype, shape: shape.map(sizeOf) });

/** A literal as dense little-endian bytes. */
function programConstant({ dtype, shape, data }: Literal): ProgramConstant {
  const elements = shape.reduce((product, size) => product * size, 1);
  const bytes = new Uint8Array(elements * byteSize(dtype));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < elements; i++) writeElement(view, dtype, i, data.length === 1 ? data[0] : data[i]);
  return { dtype, shape: [...shape], bytes };
}

function writeElement(view: DataView, dtype: DType, index: number, value: number): void {
  if (!computedDTypes.includes(dtype)) {
    throw new KilnError('unsupported_dtype', `constant: kernels do not compute with ${dtype}`);
  }
  const bytes = byteSize(dtype);
  if (dtype === 'float16') view.setUint16(2 * index, encodeFloat16(value), true);
  else if (dtype === 'bfloat16') view.setUint16(2 * index, encodeBfloat16(value), true);
  else if (dtype === 'float32') view.setFloat32(4 * index, value, true);
  else if (dtype === 'bool') view.setUint8(index, value === 0 ? 0 : 1);
  else if (bytes === 4) view.setInt32(4 * index, value, true);
  else if (bytes === 2) view.setInt16(2 * index, value, true);
  else view.setInt8(index, value);
}
