/** Random convolutions with every attribute, and their kernels. */
import { GraphBuilder } from '../../ir/builder.ts';
import type { Kernel } from '../../ir/kernel.ts';
import type { OpAttributes } from '../../ir/opcodes.ts';
import type { Random } from '../../ir/ops/random.ts';
import type { Module } from '../../ir/types.ts';
import { lowerModule } from '../../passes/lower-module.ts';

export interface ConvolutionCase {
  readonly lhs: readonly number[];
  readonly rhs: readonly number[];
  readonly attributes: OpAttributes['convolution'];
  /** What is done with the operands and with the result. */
  readonly prologue?: boolean;
  readonly epilogue?: boolean;
}

/** Sizes around those of register tiles and blocks; results are never empty. */
export function randomConvolution(random: Random, rank = 2): ConvolutionCase {
  const spatial = Array.from({ length: rank });
  const list = (choices: readonly number[]): number[] => spatial.map(() => random.pick(choices));
  const groups = random.pick([1, 1, 1, 2, 3]);
  const [inputs, outputs] = [random.pick([1, 2, 3, 5]), random.pick([1, 2, 3, 5, 8])];
  const [strides, rhs_dilation] = [list([1, 1, 1, 2, 3]), list([1, 1, 2, 3])];
  const lhs_dilation = list([1, 1, 1, 1, 2]);
  const window = list([1, 2, 3, 3, 3, 5]);
  const padding = spatial.map((): [number, number] => [random.pick([0, 1, 1, 2, -1]), random.pick([0, 1, 2, 3])]);
  const image = spatial.map((_, axis) => {
    const reach = rhs_dilation[axis] * (window[axis] - 1) + 1;
    const wanted = reach + strides[axis] * random.pick([0, 3, 7, 8, 13]) + random.integer(0, 2);
    const [low, high] = padding[axis];
    return Math.max(1, Math.ceil((wanted - low - high + 2) / lhs_dilation[axis]));
  });
  return {
    lhs: [random.pick([1, 1, 2]), groups * inputs, ...image],
    rhs: [groups * outputs, inputs, ...window],
    attributes: { strides, padding, lhs_dilation, rhs_dilation, groups },
    prologue: random.integer(0, 3) === 0,
    epilogue: random.integer(0, 1) === 0,
  };
}

export function convolutionModule({ lhs, rhs, attributes, prologue, epilogue }: ConvolutionCase): Module {
  const b = new GraphBuilder();
  const [x, w] = [lhs, rhs].map((shape) => b.parameter({ dtype: 'float32', shape: [...shape] }));
  const operands = prologue ? [b.op('abs', [x]), b.op('negate', [w])] : [x, w];
  const sum = b.op('convolution', operands, attributes);
  const result = epilogue ? b.op('abs', [b.op('add', [sum, sum])]) : sum;
  return { functions: [{ name: 'main', graph: b.build([result]) }], main: 'main' };
}

/** The kernels of a convolution, which are usually one. */
export function convolutionKernels(convolution: ConvolutionCase): readonly Kernel[] {
  return lowerModule(convolutionModule(convolution), { name: 'test', donated: [], precision: 'strict' }).kernels;
}
