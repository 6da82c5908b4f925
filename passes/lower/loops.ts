/**
 * Choosing loops after the fact. `findSplits` looks for axes that indices divide, such as `floordiv(i0,4)` and
 * `mod(i0,4)` with `i0 < 12`: as two loops of 3 and 4 they need no division. `collapseLoops` joins two loops that only
 * ever occur as `B*i + j`, so that an elementwise kernel is one loop over all elements.
 */
import { type Dim, equalDims, isAtMostDim, isStatic, mulDims } from '../../base/dim.ts';
import {
  type Axis,
  type IndexExpression,
  type IndexTerm,
  type KernelNode,
  type Let,
  type Loop,
  longestAxis,
  type Reduce,
} from '../../ir/kernel.ts';
import { divideEvenly } from './index-algebra.ts';

/** Axes to build as several loops: extents by axis, outermost first. */
export function findSplits(body: readonly KernelNode[]): ReadonlyMap<string, readonly Dim[]> {
  const extents = new Map<string, Dim>();
  const divisors = new Map<string, Dim[]>();
  forEachNode(body, (node) => {
    if (node.kind === 'loop') extents.set(node.axis.name, node.axis.extent);
    if (node.kind === 'reduce' && node.order === 'blocks')
      for (const axis of node.axes) extents.set(axis.name, axis.extent);
  });
  forEachIndexExpression(body, (index) => collectDivisors(index, divisors));
  const splits = new Map<string, readonly Dim[]>();
  for (const [axis, found] of divisors) {
    const extent = extents.get(axis);
    const parts = extent === undefined ? undefined : splitExtent(extent, found);
    if (parts) splits.set(axis, parts);
  }
  return splits;
}

/** Divisors of bare axes: `d` of `floordiv(i,d)`, `d` and `m*d` of `mod(floordiv(i,d),m)`. */
function collectDivisors({ terms }: IndexExpression, divisors: Map<string, Dim[]>): void {
  for (const { factor } of terms) {
    if (factor.kind === 'axis' || factor.kind === 'value') continue;
    const bare = bareAxis(factor.dividend);
    if (bare) {
      const found = divisors.get(bare.axis) ?? [];
      found.push(mulDims(factor.divisor, bare.divisor));
      if (bare.divisor !== 1) found.push(bare.divisor);
      divisors.set(bare.axis, found);
    } else collectDivisors(factor.dividend, divisors);
  }
}

function bareAxis({ offset, terms }: IndexExpression): { readonly axis: string; readonly divisor: Dim } | undefined {
  const [term] = terms;
  if (terms.length !== 1 || !equalDims(offset, 0) || !equalDims(term.coefficient, 1)) return undefined;
  if (term.factor.kind === 'axis') return { axis: term.factor.axis, divisor: 1 };
  if (term.factor.kind !== 'floordiv') return undefined;
  const inner = bareAxis(term.factor.dividend);
  return inner && { axis: inner.axis, divisor: mulDims(inner.divisor, term.factor.divisor) };
}

/** Extents whose products are the divisors, if each divides the next and the last divides the whole. */
function splitExtent(extent: Dim, divisors: readonly Dim[]): readonly Dim[] | undefined {
  const distinct = divisors.filter((d, at) => divisors.findIndex((other) => equalDims(other, d)) === at);
  const ascending = distinct.sort((a, b) => (isAtMostDim(a, b) === 'always' ? -1 : 1));
  const inner: Dim[] = [];
  let before: Dim = 1;
  for (const divisor of ascending) {
    if (equalDims(divisor, extent)) continue;
    const part = divideEvenly(divisor, before);
    if (part === undefined || divideEvenly(extent, divisor) === undefined) return undefined;
    inner.unshift(part);
    before = divisor;
  }
  const outer = divideEvenly(extent, before);
  return outer === undefined || inner.length === 0 ? undefined : [outer, ...inner];
}

/** Joins perfectly nested parallel loops, and axes of contractions, wherever every index allows it. */
export function collapseLoops(nodes: readonly KernelNode[]): KernelNode[] {
  return nodes.map((node) => {
    if (node.kind === 'reduce') return collapseReduce({ ...node, body: collapseLoops(node.body) });
    if (node.kind !== 'loop') return node;
    let loop: Loop = { ...node, body: collapseLoops(node.body) };
    for (let joined: Loop | undefined = loop; joined; joined = joinWithInner(joined)) loop = joined;
    return loop;
  });
}

function joinWithInner(loop: Loop): Loop | undefined {
  const [inner] = loop.body;
  if (loop.body.length !== 1 || inner.kind !== 'loop' || loop.carried || inner.carried) return undefined;
  if (loop.mode !== inner.mode) return undefined;
  const body = joinAxes(inner.body, loop.axis, inner.axis);
  if (!body) return undefined;
  return { ...inner, axis: { name: inner.axis.name, extent: mulDims(loop.axis.extent, inner.axis.extent) }, body };
}

/** The order `blocks` sweeps its axes as one linear index, so that joining two changes nothing. */
function collapseReduce(reduce: Reduce): Reduce {
  if (reduce.order !== 'blocks') return reduce;
  let { axes, body } = reduce;
  for (let at = axes.length - 2; at >= 0; at--) {
    const [outer, inner] = [axes[at], axes[at + 1]];
    const joined = joinAxes(body, outer, inner);
    if (!joined) continue;
    body = joined;
    axes = axes.toSpliced(at, 2, { name: inner.name, extent: mulDims(outer.extent, inner.extent) });
  }
  return { ...reduce, axes, body };
}

/**
 * The nodes with `extent(inner)*outer + inner` as `inner`; `undefined` where the two also occur otherwise, or are too
 * long together.
 */
function joinAxes(nodes: readonly KernelNode[], outer: Axis, inner: Axis): readonly KernelNode[] | undefined {
  const extent = mulDims(outer.extent, inner.extent);
  if (isStatic(extent) && extent > longestAxis) return undefined;
  let possible = true;
  forEachIndexExpression(nodes, (index) => {
    possible &&= movesTogether(index, outer, inner);
  });
  return possible ? dropAxis(nodes, outer.name) : undefined;
}

function movesTogether({ terms }: IndexExpression, outer: Axis, inner: Axis): boolean {
  let [ofOuter, ofInner]: [Dim, Dim] = [0, 0];
  for (const { coefficient, factor } of terms) {
    if (factor.kind === 'axis') {
      if (factor.axis === outer.name) ofOuter = coefficient;
      if (factor.axis === inner.name) ofInner = coefficient;
    } else if (factor.kind !== 'value' && !movesTogether(factor.dividend, outer, inner)) return false;
  }
  return equalDims(ofOuter, mulDims(ofInner, inner.extent));
}

function dropAxis(nodes: readonly KernelNode[], axis: string): KernelNode[] {
  return nodes.map((node): KernelNode => {
    if (node.kind === 'store') return { ...node, index: dropFromIndex(node.index, axis) };
    if (node.kind === 'let') return dropFromLet(node, axis);
    if (node.kind === 'sort') return node;
    return { ...node, body: dropAxis(node.body, axis) };
  });
}

function dropFromLet(node: Let, axis: string): Let {
  const { expression } = node;
  if (expression.kind !== 'load' && expression.kind !== 'index') return node;
  return { ...node, expression: { ...expression, index: dropFromIndex(expression.index, axis) } };
}

function dropFromIndex({ offset, terms }: IndexExpression, axis: string): IndexExpression {
  const kept = terms.filter(({ factor }) => factor.kind !== 'axis' || factor.axis !== axis);
  return {
    offset,
    terms: kept.map((term): IndexTerm => {
      const { factor } = term;
      if (factor.kind === 'axis' || factor.kind === 'value') return term;
      return { ...term, factor: { ...factor, dividend: dropFromIndex(factor.dividend, axis) } };
    }),
  };
}

export function forEachNode(nodes: readonly KernelNode[], visit: (node: KernelNode) => void): void {
  for (const node of nodes) {
    visit(node);
    if (node.kind === 'loop' || node.kind === 'reduce') forEachNode(node.body, visit);
  }
}

function forEachIndexExpression(nodes: readonly KernelNode[], visit: (index: IndexExpression) => void): void {
  forEachNode(nodes, (node) => {
    if (node.kind === 'store') visit(node.index);
    else if (node.kind === 'let') {
      const { expression } = node;
      if (expression.kind === 'load' || expression.kind === 'index') visit(expression.index);
    }
  });
}

/** Text that two indices share exactly when they are equal. */
export const indexText = ({ offset, terms }: IndexExpression): string =>
  [...terms.map(({ coefficient, factor }) => `${coefficient}*${factorText(factor)}`).sort(), `${offset}`].join('+');

function factorText(factor: IndexExpression['terms'][number]['factor']): string {
  if (factor.kind === 'axis') return factor.axis;
  if (factor.kind === 'value') return `%${factor.id}`;
  return `${factor.kind}(${indexText(factor.dividend)},${factor.divisor})`;
}
