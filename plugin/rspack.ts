/**
 * For Rspack:
 *
 *     import kiln from 'kilnjs/rspack';
 *     export default { plugins: [kiln()] };
 */
import { type BakeOptions, kiln } from './index.ts';

export type { BakeOptions };

export default (options?: BakeOptions): ReturnType<typeof kiln.rspack> => kiln.rspack(options);
