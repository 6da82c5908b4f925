import { describe, expect, test } from 'vitest';
import type { Kernel, KernelNode, Loop } from '../../../ir/kernel.ts';
import { printKernel } from '../../../ir/kernel-print.ts';
import { shareScratch } from '../../../passes/lower/share-scratch.ts';

const at = (axis: string) => ({ offset: 0, terms: [{ coefficient: 1, factor: { kind: 'axis', axis } as const }] });
const load = (id: number, memory: string, axis: string): KernelNode => ({
  kind: 'let',
  id,
  dtype: 'float32',
  expression: { kind: 'load', memory, index: at(axis) },
});
const store = (memory: string, axis: string, value: number): KernelNode => ({
  kind: 'store',
  memory,
  index: at(axis),
  value,
  combine: 'assign',
});
const loop = (name: string, ...body: readonly KernelNode[]): Loop => ({
  kind: 'loop',
  mode: 'parallel',
  axis: { name, extent: 8 },
  body,
});
const kernel = (names: readonly string[], ...phases: readonly KernelNode[]): Kernel => ({
  name: 'rows',
  buffers: [
    { name: 'x', dtype: 'float32', access: 'read', size: 8 },
    { name: 'y', dtype: 'float32', access: 'write', size: 8 },
  ],
  scratch: names.map((name) => ({ name, dtype: 'float32', size: 8 })),
  body: [loop('i', ...phases)],
  independent: false,
});
const scratchOf = (before: Kernel): readonly string[] => shareScratch(before).scratch.map(({ name }) => name);

describe('rows of scratch memory take turns', () => {
  test('where a row is filled from another, element by element', () => {
    const chain = kernel(
      ['s3', 's7'],
      loop('j', load(0, 'x', 'j'), store('s3', 'j', 0)),
      loop('k', load(1, 's3', 'k'), store('s7', 'k', 1)),
      loop('l', load(2, 's7', 'l'), store('y', 'l', 2)),
    );
    expect(scratchOf(chain)).toEqual(['s0']);
    expect(printKernel(shareScratch(chain))).toContain('store s0[k] = %1');
  });

  test('where the last reader of a row has run', () => {
    const phases = [
      loop('j', load(0, 'x', 'j'), store('s0', 'j', 0)),
      loop('k', load(1, 's0', 'k'), store('y', 'k', 1)),
      loop('l', load(2, 'x', 'l'), store('s1', 'l', 2)),
      loop('m', load(3, 's1', 'm'), store('y', 'm', 3)),
    ];
    expect(scratchOf(kernel(['s0', 's1'], ...phases))).toEqual(['s0']);
  });

  test('but not while a row is read later, at another element, or after the store', () => {
    const first = loop('j', load(0, 'x', 'j'), store('s0', 'j', 0));
    const last = loop('l', load(2, 's1', 'l'), store('y', 'l', 2));
    const later = loop('l', load(2, 's1', 'l'), load(3, 's0', 'l'), store('y', 'l', 2));
    const fill = loop('k', load(1, 's0', 'k'), store('s1', 'k', 1));
    expect(scratchOf(kernel(['s0', 's1'], first, fill, later))).toEqual(['s0', 's1']);
    const elsewhere = loop('k', load(1, 's0', 'i'), store('s1', 'k', 1));
    expect(scratchOf(kernel(['s0', 's1'], first, elsewhere, last))).toEqual(['s0', 's1']);
    const after = loop('k', load(1, 'x', 'k'), store('s1', 'k', 1), load(3, 's0', 'k'), store('y', 'k', 3));
    expect(scratchOf(kernel(['s0', 's1'], first, after, last))).toEqual(['s0', 's1']);
  });
});
