/**
 * What this engine's WebAssembly can do, found out by asking it and never assumed, and the tier of a device that
 * follows from it.
 *
 *     detectTier(2)      // { target: 'wasm', threads: true, relaxedSimd: false }
 */
import type { WasmTier } from '../program.ts';
import { hasRelaxedSimd } from './relaxed-simd.ts';

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

/** The tier of a device that runs kernels on so many threads. */
export function detectTier(threads: number): WasmTier {
  return { target: 'wasm', threads: threads > 1, relaxedSimd: wasmFeatures().relaxedSimd };
}
