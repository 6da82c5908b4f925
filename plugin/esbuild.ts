/**
 * For esbuild:
 *
 *     import kiln from 'kilnjs/esbuild';
 *     await build({ bundle: true, format: 'esm', plugins: [kiln()], … });
 */
import type { Plugin } from 'esbuild';
import { type BakeOptions, kiln } from './index.ts';

export type { BakeOptions };

export default (options?: BakeOptions): Plugin => kiln.esbuild(options);
