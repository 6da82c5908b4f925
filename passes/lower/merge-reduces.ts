/**
 * Reductions that sweep the same axes and do not depend on each other run in one sweep, which reads memory once:
 *
 *     reduce r { %0 = load x[r] } -> sum                 reduce r { %0 = load x[r]
 *     reduce s { %1 = load x[s]; %2 = %1*%1 } -> sum                %2 = %0*%0 } -> sum, sum
 *
 * Each accumulator keeps its own order of additions, so that no bit changes.
 */
import { equalDims } from '../../base/dim.ts';
import type {
  IndexExpression,
  IndexFactor,
  KernelNode,
  Let,
  Reduce,
  ScalarExpression,
  ScalarId,
} from '../../ir/kernel.ts';
import { indexText } from './loops.ts';

export function mergeReduces(nodes: readonly KernelNode[]): KernelNode[] {
  const merged: KernelNode[] = [];
  const defined = new Map<ScalarId, number>();
  for (const node of nodes) {
    const inner = node.kind === 'loop' || node.kind === 'reduce' ? { ...node, body: mergeReduces(node.body) } : node;
    const at = inner.kind === 'reduce' ? partnerOf(inner, merged, defined) : -1;
    const partner = merged[at];
    if (inner.kind === 'reduce' && partner?.kind === 'reduce') merged[at] = join(partner, inner);
    else merged.push(inner);
    for (const id of resultsOf(inner)) defined.set(id, at < 0 ? merged.length - 1 : at);
  }
  return merged;
}

function resultsOf(node: KernelNode): readonly ScalarId[] {
  if (node.kind === 'let') return [node.id];
  if (node.kind !== 'reduce') return [];
  return node.accumulators.flatMap((accumulator) =>
    accumulator.kind === 'tuple' ? accumulator.results : [accumulator.result],
  );
}

const isPlain = ({ body, order, accumulators }: Reduce): boolean =>
  order === 'lanes' && body.every((node) => node.kind === 'let') && accumulators.every(({ kind }) => kind !== 'tuple');

/** Position of an earlier reduce that a reduce may join: the same extents, and all that it reads known by then. */
function partnerOf(reduce: Reduce, before: readonly KernelNode[], defined: ReadonlyMap<ScalarId, number>): number {
  if (!isPlain(reduce)) return -1;
  const earliest = Math.max(-1, ...[...readsOf(reduce)].map((id) => defined.get(id) ?? -1));
  for (let at = before.length - 1; at > earliest; at--) {
    const node = before[at];
    if (node.kind === 'loop' || node.kind === 'sort') return -1; // what it stores may be what this one loads
    if (node.kind === 'reduce' && isPlain(node) && haveEqualAxes(node, reduce)) return at;
  }
  return -1;
}

const haveEqualAxes = (a: Reduce, b: Reduce): boolean =>
  a.axes.length === b.axes.length && a.axes.every((axis, at) => equalDims(axis.extent, b.axes[at].extent));

const operandsOf = (expression: ScalarExpression): readonly ScalarId[] => {
  if (expression.kind === 'apply') return expression.operands;
  if (expression.kind === 'index') return valuesOf(expression.index);
  if (expression.kind !== 'load') return [];
  return expression.when === undefined ? valuesOf(expression.index) : [...valuesOf(expression.index), expression.when];
};

const valuesOf = ({ terms }: IndexExpression): ScalarId[] =>
  terms.flatMap(({ factor }) => {
    if (factor.kind === 'value') return [factor.id];
    return factor.kind === 'axis' ? [] : valuesOf(factor.dividend);
  });

/** Values from outside that a reduce of plain lets reads. */
function readsOf({ body, accumulators }: Reduce): Set<ScalarId> {
  const reads = new Set<ScalarId>();
  const own = new Set<ScalarId>();
  for (const node of body) {
    if (node.kind !== 'let') continue;
    for (const id of operandsOf(node.expression)) reads.add(id);
    own.add(node.id);
  }
  for (const accumulator of accumulators) if (accumulator.kind !== 'tuple') reads.add(accumulator.value);
  for (const id of own) reads.delete(id);
  return reads;
}

/** Both in one: the second's axes become the first's, and what both compute is computed once. */
function join(first: Reduce, second: Reduce): Reduce {
  const axes = new Map(second.axes.map((axis, at) => [axis.name, first.axes[at].name]));
  const known = new Map<string, ScalarId>();
  for (const node of first.body) if (node.kind === 'let') known.set(letText(node), node.id);
  const same = new Map<ScalarId, ScalarId>();
  const body = [...first.body];
  for (const node of second.body) {
    if (node.kind !== 'let') continue;
    const renamed = { ...node, expression: rename(node.expression, axes, same) };
    const twin = known.get(letText(renamed));
    if (twin === undefined) body.push(renamed);
    else same.set(node.id, twin);
  }
  const accumulators = second.accumulators.map((accumulator) =>
    accumulator.kind === 'tuple'
      ? accumulator
      : { ...accumulator, value: same.get(accumulator.value) ?? accumulator.value },
  );
  return { ...first, body, accumulators: [...first.accumulators, ...accumulators] };
}

function letText({ dtype, expression }: Let): string {
  switch (expression.kind) {
    case 'constant':
      return `${dtype} ${Object.is(expression.value, -0) ? '-0' : expression.value}`;
    case 'size':
      return `${dtype} size ${expression.size}`;
    case 'index':
      return `index ${indexText(expression.index)}`;
    case 'load':
      return `load ${expression.memory} ${indexText(expression.index)} ${expression.when} ${expression.otherwise}`;
    case 'apply':
      return `${dtype} ${expression.opcode} ${expression.direction} ${expression.operands.join(' ')}`;
  }
}

type Names = ReadonlyMap<string, string>;
type Twins = ReadonlyMap<ScalarId, ScalarId>;

function rename(expression: ScalarExpression, axes: Names, same: Twins): ScalarExpression {
  const twin = (id: ScalarId): ScalarId => same.get(id) ?? id;
  switch (expression.kind) {
    case 'constant':
    case 'size':
      return expression;
    case 'index':
      return { ...expression, index: renameIndex(expression.index, axes, same) };
    case 'load': {
      const { when } = expression;
      const index = renameIndex(expression.index, axes, same);
      return when === undefined ? { ...expression, index } : { ...expression, index, when: twin(when) };
    }
    case 'apply':
      return { ...expression, operands: expression.operands.map(twin) };
  }
}

function renameIndex({ offset, terms }: IndexExpression, axes: Names, same: Twins): IndexExpression {
  const renameFactor = (factor: IndexFactor): IndexFactor => {
    if (factor.kind === 'axis') return { kind: 'axis', axis: axes.get(factor.axis) ?? factor.axis };
    if (factor.kind === 'value') return { kind: 'value', id: same.get(factor.id) ?? factor.id };
    return { ...factor, dividend: renameIndex(factor.dividend, axes, same) };
  };
  return { offset, terms: terms.map(({ coefficient, factor }) => ({ coefficient, factor: renameFactor(factor) })) };
}
