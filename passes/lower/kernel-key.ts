/**
 * Text that two kernels share exactly when they are the same but for their names for people. Launches of equal kernels
 * share one.
 */
import { type Dim, SymbolicDim } from '../../base/dim.ts';
import type { Kernel } from '../../ir/kernel.ts';

type Data = Dim | string | boolean | undefined | readonly Data[] | { readonly [key: string]: Data };

export function kernelKey({ buffers, scratch, body, independent }: Kernel): string {
  return serialize({ buffers, scratch, body, independent } as unknown as Data);
}

function serialize(data: Data): string {
  if (typeof data === 'number') return Object.is(data, -0) ? '-0' : String(data);
  if (typeof data !== 'object') return typeof data === 'string' ? `"${data}"` : String(data);
  if (data instanceof SymbolicDim) return String(data);
  if (Array.isArray(data)) return `[${data.map(serialize).join(',')}]`;
  return `{${Object.entries(data)
    .map(([key, value]) => `${key}:${serialize(value)}`)
    .join(',')}}`;
}
