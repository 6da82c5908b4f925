/**
 * Loads modules that are to be baked so that the numbers they compute on the way, such as weights that they draw, are
 * the same on every machine: on wasm, and in `strict`, where no bit depends on threads or on what the engine fuses.
 * What is baked has the precision that it would have anyway.
 *
 *     const { default: definition } = await reproducibly(() => import('./model.bake.ts'));
 */
import { chooseDevice, currentDeviceName } from '../../runtime/session.ts';
import { withDefaultPrecision } from '../settings.ts';

export function reproducibly<T>(load: () => Promise<T>): Promise<T> {
  // KILN_DEVICE would say where tensors go, and may name a device that is not open.
  if (currentDeviceName() !== 'wasm') chooseDevice('wasm');
  return withDefaultPrecision('strict', load);
}
