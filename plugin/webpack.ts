/**
 * For webpack:
 *
 *     import kiln from 'kilnjs/webpack';
 *     export default { plugins: [kiln()] };
 */
import { type BakeOptions, kiln } from './index.ts';

export type { BakeOptions };

export default (options?: BakeOptions): ReturnType<typeof kiln.webpack> => kiln.webpack(options);
