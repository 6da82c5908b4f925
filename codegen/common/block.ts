/**
 * Blocking of transposes: a nest that goes through one array by rows and through another by columns touches a cache
 * line for each element of the second, and comes back to the line's other elements only a whole row later. In blocks of
 * 16 by 16 it comes back at once.
 *
 *     parallel i < 1024 { parallel j < 4096 { %0 = load x[1024*j + i]; store y[4096*i + j] = %0 } }
 *     →  parallel i_b < 64 { parallel j_b < 256 { parallel i < 16 { parallel j < 16 { ... } } } }
 */
import { type Dim, dimBounds, isStatic } from '../../base/dim.ts';
import type { IndexExpression, KernelNode, Loop } from '../../ir/kernel.ts';
import { coefficientOf } from './linear-index.ts';
import { indicesOf, mapIndices } from './walk.ts';

/** Block lengths, best first; the extents must be multiples. */
const lengths = [16, 32, 24, 20, 12, 8];
/** Shorter axes stay as they are: their lines survive in the cache. */
const shortest = 64;

/** Blocks the nests of a tree that need it. */
export function blockTransposes(nodes: readonly KernelNode[]): readonly KernelNode[] {
  return nodes.map((node) => {
    if (node.kind !== 'loop' || node.mode !== 'parallel') return node;
    const [inner] = node.body;
    const isPair = node.body.length === 1 && inner.kind === 'loop' && inner.mode === 'parallel';
    const isLeaf = isPair && inner.body.every((child) => child.kind === 'let' || child.kind === 'store');
    return (isLeaf && blocked(node, inner)) || { ...node, body: blockTransposes(node.body) };
  });
}

function blocked(outer: Loop, inner: Loop): Loop | undefined {
  const rows = blockLength(outer.axis.extent);
  const columns = blockLength(inner.axis.extent);
  if (rows === undefined || columns === undefined) return undefined;
  const [i, j] = [outer.axis.name, inner.axis.name];
  const strides = [...indicesOf(inner.body)].map(
    (index) => [coefficientOf(index, i), coefficientOf(index, j)] as const,
  );
  const byRows = strides.some(([a, b]) => b === 1 && isLong(a));
  const byColumns = strides.some(([a, b]) => a === 1 && isLong(b));
  if (!byRows || !byColumns) return undefined;
  const position = (name: string, length: number): IndexExpression => ({
    offset: 0,
    terms: [
      { coefficient: length, factor: { kind: 'axis', axis: `${name}_b` } },
      { coefficient: 1, factor: { kind: 'axis', axis: name } },
    ],
  });
  const replaced = new Map([
    [i, position(i, rows)],
    [j, position(j, columns)],
  ]);
  const loop = (name: string, extent: number, body: readonly KernelNode[]): Loop => ({
    kind: 'loop',
    mode: 'parallel',
    axis: { name, extent },
    body,
  });
  const within = loop(i, rows, [loop(j, columns, mapIndices(inner.body, replaced))]);
  const [height, width] = [outer.axis.extent as number, inner.axis.extent as number];
  return loop(`${i}_b`, height / rows, [loop(`${j}_b`, width / columns, [within])]);
}

const blockLength = (extent: Dim): number | undefined =>
  isStatic(extent) && extent >= shortest ? lengths.find((length) => extent % length === 0) : undefined;

const isLong = (stride: Dim | undefined): boolean => stride !== undefined && dimBounds(stride)[0] >= 16;
