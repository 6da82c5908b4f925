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
export type { Footprint } from './runtime/footprint.ts';
export {
  type BakeCompileOptions,
  type BakeDefinition,
  type BakeEntry,
  type BakeOptions,
  defineBake,
} from './tracer/bake/define.ts';
export { type CheckGradsOptions, checkGrads } from './tracer/check-grads.ts';
export type { CompileStats } from './tracer/compilation.ts';
export {
  type CompileDecorator,
  type Compiled,
  type CompiledMembers,
  compile,
  type WithSpecs,
} from './tracer/compile.ts';
export type { CompileOptions } from './tracer/compile-options.ts';
export type { Recomputation } from './tracer/compile-report.ts';
export type { GroupReport, RefusalReport } from './tracer/fusion-account.ts';
export type { Explanation, Lowering, Stage } from './tracer/inspect.ts';
export * from './tracer/operations/index.ts';
export { type Profile, type ProfiledLaunch, profile } from './tracer/profile.ts';
export { type ClassRegistration, type Leaf, type Mapped, type TreeStructure, tree } from './tracer/pytree.ts';
export { type ReportOptions, report } from './tracer/report.ts';
export {
  devices,
  type InitOptions,
  init,
  memory,
  resetPeakMemory,
  setDevice,
  shutdown,
  tidy,
} from './tracer/session.ts';
export type { Precision } from './tracer/settings.ts';
export { spec, specOf, TensorSpec } from './tracer/spec.ts';
export { Tensor } from './tracer/tensor.ts';
export {
  checkpoint,
  type Gradients,
  type GradOptions,
  type GradResult,
  grad,
  stopGradient,
  type ValueAndGradResult,
  type VjpResult,
  valueAndGrad,
  vjp,
} from './tracer/transforms.ts';
