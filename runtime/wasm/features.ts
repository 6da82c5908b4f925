/**
 * What this engine's WebAssembly can do, found out by asking it and never assumed.
 *
 *     wasmFeatures()      // { relaxedSimd: true }
 */
import { hasRelaxedSimd } from './relaxed-simd.ts';

export { chooseThreads } from './choose-threads.ts';
export { resolveThreads } from './threads.ts';

export interface WasmFeatures {
  /** Fused multiply-add of vectors: `f32x4.relaxed_madd`. */
  readonly relaxedSimd: boolean;
}

let features: WasmFeatures | undefined;

/** The features of this engine; they are probed once. */
export function wasmFeatures(): WasmFeatures {
  features ??= { relaxedSimd: hasRelaxedSimd() };
  return features;
}
