/**
 * What is baked for the page: one step of training, the picture for any number of places, and the state to begin with.
 *
 *     npx kiln bake examples/browser/artefact.ts -o spirals.kiln --target wasm,wasm-threads,webgpu
 */
import { defineBake, dim, spec, specOf } from '../../index.ts';
import { pointCount } from '../spiral-points.ts';
import { initialState, likelihood, trainingStep } from '../spirals.ts';

const state = initialState();
const specs = specOf(state);

export default defineBake(
  {
    step: { fn: trainingStep, args: [specs, spec([pointCount, 2]), spec([pointCount], 'int32')], donate: [0] },
    likelihood: { fn: likelihood, args: [specs.parameters, spec([dim('places', { min: 1, max: 1 << 16 }), 2])] },
  },
  { weights: { state } },
);
