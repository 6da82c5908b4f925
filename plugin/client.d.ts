/**
 * Types of marked imports in general, for projects that do not have them written beside each entry (`types: false`, or
 * entries in JavaScript):
 *
 *     /// <reference types="kilnjs/client" />
 *     import load from './model.bake.js?kiln';
 *     const { functions } = await load<{ double(x: DeviceArray): DeviceArray }>();
 */
declare module '*?kiln' {
  import type { AnyFunctions, AnyWeights, Artefact, LoadOptions } from 'kilnjs/runtime';

  /** Where the artefact is. */
  export const source: string;
  /** Loads the artefact. */
  const load: <Functions = AnyFunctions, Weights = AnyWeights>(
    options?: LoadOptions,
  ) => Promise<Artefact<Functions, Weights>>;
  export default load;
}
