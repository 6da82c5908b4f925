/**
 * `kilnjs/runtime`: runs what `kiln bake` has written, without the compiler. It works under a strict Content Security
 * Policy, and loads the code of the device that it runs on alone.
 *
 *     import { load, tensor } from 'kilnjs/runtime';
 *
 *     const { functions, weights } = await load('model.kiln');
 *     const y = functions.forward(weights.params, tensor(pixels, { shape: [1, 784] }));
 *     await y.data();
 */
export type { DType } from '../base/dtype.ts';
export { type ErrorCode, KilnError } from '../base/error.ts';
export { DeviceArray } from './array.ts';
export type { TensorData } from './array-data.ts';
export type { MemoryStatistics } from './device.ts';
export type { Nested, ScalarOf, TypedArrayOf } from './elements.ts';
export { type AnyFunctions, type AnyWeights, type Artefact, type LoadOptions, load } from './load/load.ts';
export type { PublicKey } from './load/signature.ts';
export type { ArtefactSource } from './load/source.ts';
export { type ArrayOptions, tensor } from './load/tensor.ts';
export { memory, shutdown } from './session.ts';
