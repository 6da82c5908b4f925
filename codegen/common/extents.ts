/** Axes that are too long to count. */
import { isStatic } from '../../base/dim.ts';
import { byteSize } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { type Kernel, type KernelNode, longestAxis } from '../../ir/kernel.ts';
import { axesOf, walk } from './walk.ts';

/** @throws KilnError `invalid_size` for an axis that a counter of 32 bits does not reach the end of */
export function checkExtents({ name, buffers }: Kernel, body: readonly KernelNode[]): void {
  // It never runs: allocating the buffer fails first, and says so better.
  if (buffers.some(({ size, dtype }) => isStatic(size) && size * byteSize(dtype) > 2 ** 32)) return;
  for (const node of walk(body)) {
    for (const { extent } of axesOf(node)) {
      if (!isStatic(extent) || extent <= longestAxis) continue;
      throw new KilnError('invalid_size', `${name}: an axis is longer than a kernel can count`, {
        given: `${extent} elements`,
        expected: `at most ${longestAxis}`,
        hint: 'work on parts of the array',
      });
    }
  }
}
