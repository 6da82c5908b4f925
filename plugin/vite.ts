/**
 * For Vite:
 *
 *     import kiln from 'kilnjs/vite';
 *     export default { plugins: [kiln({ targets: ['wasm', 'webgpu'] })] };
 */
import type { Plugin } from 'vite';
import { type BakeOptions, kiln } from './index.ts';

export type { BakeOptions };

export default (options?: BakeOptions): Plugin => kiln.vite(options);
