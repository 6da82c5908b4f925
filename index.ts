/**
 * Kiln's public entry. Importing it touches neither `navigator` nor the file system, and it has no top-level await, so
 * that it can be loaded on servers and with `require`.
 *
 *     import { compile, tensor, valueAndGrad } from 'kilnjs';
 */
import './tracer/methods.ts';

export type { Dim, SymbolRange } from './base/dim.ts';
export { addDims, dim, floorDivDims, mulDims, SymbolicDim } from './base/dim.ts';
export type { DType } from './base/dtype.ts';
export { type ErrorCode, KilnError } from './base/error.ts';
export type { MemoryStatistics } from './runtime/device.ts';
export type { Nested, ScalarOf, TypedArrayOf } from './runtime/elements.ts';
export { checkGrads, type CheckGradsOptions } from './tracer/check-grads.ts';
export type { CompileStats } from './tracer/compilation.ts';
export { compile, type Compiled, type CompileDecorator, type CompiledMembers, type WithSpecs } from './tracer/compile.ts';
export type { CompileOptions } from './tracer/compile-options.ts';
export type { GroupReport, RefusalReport } from './tracer/compile-report.ts';
export type { Explanation, Lowering, Stage } from './tracer/inspect.ts';
export * from './tracer/operations/index.ts';
export { profile, type Profile, type ProfiledLaunch } from './tracer/profile.ts';
export { type ClassRegistration, type Leaf, type Mapped, tree, type TreeStructure } from './tracer/pytree.ts';
export { devices, init, type InitOptions, memory, resetPeakMemory, setDevice, shutdown, tidy } from './tracer/session.ts';
export type { Precision } from './tracer/settings.ts';
export { spec, specOf, TensorSpec } from './tracer/spec.ts';
export { Tensor } from './tracer/tensor.ts';
export {
  grad,
  type GradOptions,
  type GradResult,
  type Gradients,
  stopGradient,
  type ValueAndGradResult,
  valueAndGrad,
  vjp,
  type VjpResult,
} from './tracer/transforms.ts';
