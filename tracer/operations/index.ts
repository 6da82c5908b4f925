/**
 * The user-level operations, family by family. Random numbers stay together under `random`.
 */

export type { TensorLike } from '../operation.ts';
export * from './activations.ts';
export * from './arithmetic.ts';
export * from './convolution.ts';
export * from './creation.ts';
export * from './cumulative.ts';
export * from './functional.ts';
export * from './indexing.ts';
export * from './linear-algebra.ts';
export * from './logic.ts';
export * from './losses.ts';
export * from './pooling.ts';
export * as random from './random.ts';
export * from './reduction.ts';
export * from './resize.ts';
export * from './shape.ts';
export * from './slicing.ts';
export * from './sorting.ts';
export type { Layout, Padding, PerAxis } from './spatial.ts';
export type { Axes, Floating, Promoted, Shape } from './support.ts';
export type { DataDType, NestedData, TensorData } from './tensor-data.ts';
export * from './unary.ts';
