/**
 * Walking kernel trees: who defines a value, what a node depends on, which memory is written. Small questions that
 * every scheduler asks.
 */
import { type Dim, dimBounds } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import type {
  Accumulator,
  Axis,
  IndexExpression,
  Kernel,
  KernelNode,
  Let,
  ScalarExpression,
  ScalarId,
  ScalarOpcode,
  Store,
} from '../../ir/kernel.ts';
import { substituteAxes, valuesOfIndex } from './linear-index.ts';

/** Values that an expression reads. */
export function operandsOf(expression: ScalarExpression): readonly ScalarId[] {
  switch (expression.kind) {
    case 'constant':
    case 'size':
      return [];
    case 'index':
      return valuesOfIndex(expression.index);
    case 'load': {
      const ids = valuesOfIndex(expression.index);
      return expression.when === undefined ? ids : [...ids, expression.when];
    }
    case 'apply':
      return expression.operands;
  }
}

/** The children of a loop or a reduce. */
export const bodyOf = (node: KernelNode): readonly KernelNode[] =>
  node.kind === 'loop' || node.kind === 'reduce' ? node.body : [];

/** All nodes of a tree, parents before children. */
export function* walk(nodes: readonly KernelNode[]): Generator<KernelNode> {
  for (const node of nodes) {
    yield node;
    yield* walk(bodyOf(node));
  }
}

const accumulatorResults = (accumulator: Accumulator): readonly ScalarId[] =>
  accumulator.kind === 'tuple' ? accumulator.results : [accumulator.result];

const accumulatorOperands = (accumulator: Accumulator): readonly ScalarId[] =>
  accumulator.kind === 'tuple' ? accumulator.values : [accumulator.value];

/** Values a node makes visible to the nodes after it. */
export function definitionsOf(node: KernelNode): readonly ScalarId[] {
  if (node.kind === 'let') return [node.id];
  if (node.kind === 'reduce') return node.accumulators.flatMap(accumulatorResults);
  if (node.kind === 'loop') return (node.carried ?? []).map((carried) => carried.id);
  return [];
}

/** Values that a node itself reads, its body left out. */
function ownOperands(node: KernelNode): readonly ScalarId[] {
  if (node.kind === 'let') return operandsOf(node.expression);
  if (node.kind === 'store') {
    return [node.value, ...valuesOfIndex(node.index), ...(node.when === undefined ? [] : [node.when])];
  }
  if (node.kind === 'loop') return (node.carried ?? []).flatMap((carried) => [carried.initial, carried.next]);
  if (node.kind === 'sort') return [];
  return node.accumulators.flatMap((accumulator) => [
    ...accumulatorOperands(accumulator),
    ...(accumulator.kind === 'tuple' ? accumulator.body.flatMap((l) => operandsOf(l.expression)) : []),
  ]);
}

/** Values that a node and everything inside it reads, without those defined inside. */
export function freeValues(node: KernelNode): Set<ScalarId> {
  const read = new Set<ScalarId>();
  const defined = new Set<ScalarId>();
  for (const inner of walk([node])) {
    for (const id of ownOperands(inner)) read.add(id);
    if (inner !== node) for (const id of definitionsOf(inner)) defined.add(id);
    if (inner.kind === 'loop') for (const carried of inner.carried ?? []) defined.add(carried.id);
    if (inner.kind === 'reduce') {
      for (const accumulator of inner.accumulators) {
        if (accumulator.kind !== 'tuple') continue;
        for (const id of [...accumulator.left, ...accumulator.right]) defined.add(id);
        for (const l of accumulator.body) defined.add(l.id);
      }
    }
  }
  for (const id of defined) read.delete(id);
  return read;
}

/** The memory that a node itself writes. */
export function writtenBy(node: KernelNode): readonly string[] {
  if (node.kind === 'store') return [node.memory];
  if (node.kind !== 'sort') return [];
  return [node.keys, node.values, node.positions].filter((name) => name !== undefined);
}

/** Names of buffers and scratch that stores in the kernel touch, and of the buffers that share their memory. */
export function writtenMemory(kernel: Kernel): Set<string> {
  const written = new Set<string>();
  for (const node of walk(kernel.body)) for (const memory of writtenBy(node)) written.add(memory);
  return written;
}

/** Every index expression in a tree. */
export function* indicesOf(nodes: readonly KernelNode[]): Generator<IndexExpression> {
  for (const node of walk(nodes)) {
    if (node.kind === 'store') yield node.index;
    else if (node.kind === 'let') {
      if (node.expression.kind === 'load' || node.expression.kind === 'index') yield node.expression.index;
    }
  }
}

/** The axes of a loop or a reduce. */
export const axesOf = (node: KernelNode): readonly Axis[] =>
  node.kind === 'loop' ? [node.axis] : node.kind === 'reduce' ? node.axes : [];

/** Extents of all axes in a tree; of a name that occurs several times, the one that may be longest. */
export function axisExtents(nodes: readonly KernelNode[]): Map<string, Dim> {
  const extents = new Map<string, Dim>();
  for (const node of walk(nodes)) {
    for (const { name, extent } of axesOf(node)) {
      const known = extents.get(name);
      if (known === undefined || dimBounds(known)[1] < dimBounds(extent)[1]) extents.set(name, extent);
    }
  }
  return extents;
}

/** The tree with axes replaced in every index. Loops keep their names: the caller renames them. */
export function mapIndices(
  nodes: readonly KernelNode[],
  replacements: ReadonlyMap<string, IndexExpression>,
): readonly KernelNode[] {
  return nodes.map((node): KernelNode => {
    if (node.kind === 'let') return mapLet(node, replacements);
    if (node.kind === 'store') return { ...node, index: substituteAxes(node.index, replacements) } satisfies Store;
    if (node.kind === 'sort') return node;
    return { ...node, body: mapIndices(node.body, replacements) };
  });
}

function mapLet(node: Let, replacements: ReadonlyMap<string, IndexExpression>): Let {
  const { expression } = node;
  if (expression.kind !== 'load' && expression.kind !== 'index') return node;
  return { ...node, expression: { ...expression, index: substituteAxes(expression.index, replacements) } };
}

/** What holds for a whole kernel. */
export interface KernelFacts {
  readonly extents: ReadonlyMap<string, Dim>;
  readonly written: ReadonlySet<string>;
  readonly dtypes: ReadonlyMap<ScalarId, DType>;
  /** Products that are computed where they are added to something, if at all. */
  readonly products: ReadonlyMap<ScalarId, Let>;
}

/** Products of float32 that are used once, by an addition or a subtraction. */
export function addedProducts(nodes: readonly KernelNode[]): Map<ScalarId, Let> {
  const products = new Map<ScalarId, Let>();
  const uses = new Map<ScalarId, number>();
  for (const node of walk(nodes)) {
    if (isFloatApply(node, 'multiply')) products.set(node.id, node);
    const isSum = isFloatApply(node, 'add') || isFloatApply(node, 'subtract');
    for (const id of ownOperands(node)) uses.set(id, (uses.get(id) ?? 0) + (isSum ? 1 : 2));
  }
  for (const id of products.keys()) if (uses.get(id) !== 1) products.delete(id);
  return products;
}

const isFloatApply = (node: KernelNode, opcode: ScalarOpcode): node is Let =>
  node.kind === 'let' &&
  node.dtype === 'float32' &&
  node.expression.kind === 'apply' &&
  node.expression.opcode === opcode;

/** Dtypes of all values in a tree. */
export function valueDTypes(nodes: readonly KernelNode[]): Map<ScalarId, DType> {
  const dtypes = new Map<ScalarId, DType>();
  for (const node of walk(nodes)) {
    if (node.kind === 'let') dtypes.set(node.id, node.dtype);
    if (node.kind === 'loop') for (const { id, dtype } of node.carried ?? []) dtypes.set(id, dtype);
    if (node.kind !== 'reduce') continue;
    for (const accumulator of node.accumulators) {
      if (accumulator.kind !== 'tuple') dtypes.set(accumulator.result, accumulator.dtype);
      else {
        for (const ids of [accumulator.results, accumulator.left, accumulator.right]) {
          ids.forEach((id, i) => {
            dtypes.set(id, accumulator.dtypes[i]);
          });
        }
        for (const { id, dtype } of accumulator.body) dtypes.set(id, dtype);
      }
    }
  }
  return dtypes;
}
