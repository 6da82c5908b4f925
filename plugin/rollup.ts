/**
 * For Rollup:
 *
 *     import kiln from 'kilnjs/rollup';
 *     export default { plugins: [kiln()] };
 */
import { type BakeOptions, kiln } from './index.ts';

export type { BakeOptions };

export default (options?: BakeOptions): ReturnType<typeof kiln.rollup> => kiln.rollup(options);
