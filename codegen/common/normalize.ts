/**
 * Kernel → kernel rewrites that every scheduler profits from; they change no bits of any result.
 *
 *     parallel i < 8 { parallel j < 4 { %0 = load x[4*i + j] ... } }   →   parallel j < 32 { %0 = load x[j] ... }
 *     parallel i < 12 { %0 = load x[floordiv(i,4)] ... }  →  parallel i_q < 3 { parallel i_r < 4 { %0 = load x[i_q] } }
 *     parallel i < 1 { ... i ... }                                     →   ... 0 ...
 */
import { type Dim, equalDims, floorDivDims, isStatic, modDims, mulDims } from '../../base/dim.ts';
import {
  type IndexExpression,
  type IndexFactor,
  type IndexTerm,
  type KernelNode,
  type Loop,
  longestAxis,
} from '../../ir/kernel.ts';
import { normalizeIndex } from './linear-index.ts';
import { indicesOf, mapIndices } from './walk.ts';

const constantIndex = (offset: Dim): IndexExpression => ({ offset, terms: [] });

/** Normalises a list of nodes; loops come out split, then collapsed. @param written memory that stores touch */
export function normalizeNodes(nodes: readonly KernelNode[], written: ReadonlySet<string>): readonly KernelNode[] {
  const inside = (body: readonly KernelNode[]): readonly KernelNode[] => normalizeNodes(body, written);
  return nodes.flatMap((node): readonly KernelNode[] => {
    if (node.kind === 'reduce') return [{ ...node, body: inside(node.body) }];
    if (node.kind !== 'loop') return [node];
    if (node.mode === 'sequential') return [{ ...node, body: inside(node.body) }];
    if (node.axis.extent === 1) {
      return inside(mapIndices(node.body, new Map([[node.axis.name, constantIndex(0)]])));
    }
    const split = splitLoop(node);
    if (split) return inside([split]);
    return [collapse({ ...node, body: sinkLets(inside(node.body), written) })];
  });
}

/**
 * Moves plain values into the only loop beside them, so that the nest is perfect. The emitter computes them outside
 * again, as it does with all that an inner loop does not change.
 */
function sinkLets(body: readonly KernelNode[], written: ReadonlySet<string>): readonly KernelNode[] {
  const last = body[body.length - 1];
  const lets = body.slice(0, -1);
  const isPlain = (node: KernelNode): boolean =>
    node.kind === 'let' && !(node.expression.kind === 'load' && written.has(node.expression.memory));
  if (last?.kind !== 'loop' || last.mode !== 'parallel' || !lets.every(isPlain)) return body;
  return [{ ...last, body: [...lets, ...last.body] }];
}

/** Merges a loop with its only child while every index moves over both as over one longer axis. */
function collapse(outer: Loop): Loop {
  const [inner] = outer.body;
  if (outer.body.length !== 1 || inner.kind !== 'loop' || inner.mode !== 'parallel') return outer;
  const [a, b] = [outer.axis.name, inner.axis.name];
  for (const index of indicesOf(inner.body)) if (!isLinearOver(index, a, b, inner.axis.extent)) return outer;
  const extent = mulDims(outer.axis.extent, inner.axis.extent);
  if (isStatic(extent) && extent > longestAxis) return outer;
  const body = mapIndices(inner.body, new Map([[a, constantIndex(0)]]));
  return { ...inner, axis: { name: b, extent }, body };
}

/** Whether `outer` moves an index just as `extent` steps of `inner` do. */
function isLinearOver(index: IndexExpression, outer: string, inner: string, extent: Dim): boolean {
  let [outerCoefficient, innerCoefficient]: [Dim, Dim] = [0, 0];
  for (const { coefficient, factor } of normalizeIndex(index).terms) {
    if (factor.kind === 'axis') {
      if (factor.axis === outer) outerCoefficient = coefficient;
      if (factor.axis === inner) innerCoefficient = coefficient;
    } else if (factor.kind !== 'value' && !isLinearOver(factor.dividend, outer, inner, extent)) return false;
  }
  return equalDims(outerCoefficient, mulDims(innerCoefficient, extent));
}

/** Splits an axis that occurs alone under floordiv or mod by a divisor of its extent. */
function splitLoop(loop: Loop): Loop | undefined {
  const { name, extent } = loop.axis;
  const divisor = divisorFor(loop.body, name, extent);
  if (divisor === undefined) return undefined;
  const [outer, inner] = [`${name}_q`, `${name}_r`];
  const whole: IndexExpression = {
    offset: 0,
    terms: [
      { coefficient: divisor, factor: { kind: 'axis', axis: outer } },
      { coefficient: 1, factor: { kind: 'axis', axis: inner } },
    ],
  };
  const rewrite = (index: IndexExpression): IndexExpression => {
    let terms: IndexTerm[] = [];
    for (const { coefficient, factor } of index.terms) {
      if (factor.kind === 'axis' && factor.axis === name) {
        terms = [...terms, ...whole.terms.map((t) => ({ ...t, coefficient: mulDims(t.coefficient, coefficient) }))];
      } else if (factor.kind === 'axis' || factor.kind === 'value') terms.push({ coefficient, factor });
      else if (isAxisAlone(factor.dividend, name) && equalDims(factor.divisor, divisor)) {
        terms.push({ coefficient, factor: { kind: 'axis', axis: factor.kind === 'floordiv' ? outer : inner } });
      } else terms.push({ coefficient, factor: { ...factor, dividend: rewrite(factor.dividend) } });
    }
    return normalizeIndex({ offset: index.offset, terms });
  };
  const inside: Loop = { ...loop, axis: { name: inner, extent: divisor }, body: rewriteIndices(loop.body, rewrite) };
  return { ...loop, axis: { name: outer, extent: floorDivDims(extent, divisor) }, body: [inside] };
}

const isAxisAlone = ({ offset, terms }: IndexExpression, axis: string): boolean => {
  const [term] = terms;
  return (
    equalDims(offset, 0) &&
    terms.length === 1 &&
    term.factor.kind === 'axis' &&
    term.factor.axis === axis &&
    equalDims(term.coefficient, 1)
  );
};

function divisorFor(nodes: readonly KernelNode[], axis: string, extent: Dim): Dim | undefined {
  let found: Dim | undefined;
  const visit = (factor: IndexFactor): void => {
    if (factor.kind === 'axis' || factor.kind === 'value') return;
    const divides = equalDims(modDims(extent, factor.divisor), 0) && !equalDims(factor.divisor, extent);
    if (found === undefined && divides && isAxisAlone(factor.dividend, axis)) found = factor.divisor;
    for (const term of factor.dividend.terms) visit(term.factor);
  };
  for (const index of indicesOf(nodes)) for (const term of index.terms) visit(term.factor);
  return found;
}

function rewriteIndices(
  nodes: readonly KernelNode[],
  rewrite: (index: IndexExpression) => IndexExpression,
): readonly KernelNode[] {
  return nodes.map((node): KernelNode => {
    if (node.kind === 'store') return { ...node, index: rewrite(node.index) };
    if (node.kind === 'sort') return node;
    if (node.kind !== 'let') return { ...node, body: rewriteIndices(node.body, rewrite) };
    const { expression } = node;
    if (expression.kind !== 'load' && expression.kind !== 'index') return node;
    return { ...node, expression: { ...expression, index: rewrite(expression.index) } };
  });
}
