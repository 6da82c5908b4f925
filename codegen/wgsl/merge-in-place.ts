/**
 * One binding for an in-place buffer: WebGPU forbids two bindings of one dispatch to share memory where one is written.
 *
 *     kernel(read x, write y inPlaceOf 0) launched on (a, a)   →   kernel(read_write x) launched on (a)
 */
import { internalError } from '../../base/error.ts';
import type { Kernel, KernelBuffer, KernelNode } from '../../ir/kernel.ts';
import type { LaunchBuffer } from '../../ir/lowered.ts';

export interface MergedLaunch {
  readonly kernel: Kernel;
  readonly buffers: readonly LaunchBuffer[];
}

/** The launch with each buffer bound once, where one of its bindings is written. */
export function mergeInPlace(kernel: Kernel, buffers: readonly LaunchBuffer[]): MergedLaunch {
  const renamed = new Map<string, string>();
  const merged = new Set<number>();
  kernel.buffers.forEach(({ name, inPlaceOf, access }, at) => {
    const same = buffers.findIndex(({ kind, index }) => kind === buffers[at].kind && index === buffers[at].index);
    if (same === at || (access === 'read' && kernel.buffers[same].access === 'read')) return;
    if (inPlaceOf !== same) throw internalError(`${kernel.name}: buffers ${same} and ${at} share memory`);
    renamed.set(name, kernel.buffers[same].name);
    merged.add(same);
  });
  if (merged.size === 0) return { kernel, buffers };
  const kept = kernel.buffers.flatMap((buffer, at) => (renamed.has(buffer.name) ? [] : [at]));
  const newBuffers = kept.map((at): KernelBuffer => {
    const { inPlaceOf: _, ...buffer } = kernel.buffers[at];
    return merged.has(at) ? { ...buffer, access: 'read_write' } : buffer;
  });
  return {
    kernel: { ...kernel, buffers: newBuffers, body: renameMemory(kernel.body, renamed) },
    buffers: kept.map((at) => buffers[at]),
  };
}

function renameMemory(nodes: readonly KernelNode[], renamed: ReadonlyMap<string, string>): readonly KernelNode[] {
  const nameOf = (memory: string): string => renamed.get(memory) ?? memory;
  return nodes.map((node): KernelNode => {
    if (node.kind === 'store') return { ...node, memory: nameOf(node.memory) };
    if (node.kind === 'sort') return node;
    if (node.kind !== 'let') return { ...node, body: renameMemory(node.body, renamed) };
    const { expression } = node;
    if (expression.kind !== 'load') return node;
    return { ...node, expression: { ...expression, memory: nameOf(expression.memory) } };
  });
}
