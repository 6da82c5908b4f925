/**
 * For Rollup:
 *
 *     import kiln from 'kilnjs/rollup';
 *     export default { plugins: [kiln()] };
 */
import type { Plugin } from 'rollup';
import { type BakeOptions, kiln } from './index.ts';

export type { BakeOptions };

export default (options?: BakeOptions): Plugin => kiln.rollup(options);
