/**
 * Running sums without a row in scratch memory: where a sequential loop fills a row, and one parallel loop after it is
 * all that reads the row, each element by the iteration of its own, the two become one.
 *
 *     sequential s < N { ...; store s0[s] = %5 }       parallel i < N { %6 = load s0[i]; ...; store y[i] = %7 }
 *     →  sequential s < N { ...; ...; store y[s] = %7 }
 */
import { addDims, type Dim, equalDims, mulDims, subDims } from '../../base/dim.ts';
import type { IndexExpression, IndexTerm, Kernel, KernelNode, Loop, ScalarId } from '../../ir/kernel.ts';
import { forEachNode } from './loops.ts';

export function joinRunningRows(kernel: Kernel): Kernel {
  const rows = new Set(kernel.scratch.map(({ name }) => name));
  const joined = new Set<string>();
  const visit = (nodes: readonly KernelNode[]): readonly KernelNode[] => {
    let list = [...nodes];
    for (let at = 0; at < list.length; at++) {
      const filler = list[at];
      if (filler.kind === 'loop') list[at] = { ...filler, body: visit(filler.body) };
      const memory = filler.kind === 'loop' ? filledRow(filler, rows) : undefined;
      if (memory === undefined || filler.kind !== 'loop' || usesOf(kernel.body, memory) !== 2) continue;
      let after = at + 1;
      while (list[after]?.kind === 'let' && usesOf([list[after]], memory) === 0) after++;
      const reader = list[after];
      const one = reader?.kind === 'loop' && join(filler, reader, memory);
      if (!one) continue;
      joined.add(memory);
      list = [...list.slice(0, at), ...list.slice(at + 1, after), one, ...list.slice(after + 1)];
    }
    return list;
  };
  const body = visit(kernel.body);
  if (joined.size === 0) return kernel;
  return { ...kernel, body, scratch: kernel.scratch.filter(({ name }) => !joined.has(name)) };
}

/** The scratch row that a sequential loop writes element by element. */
function filledRow({ mode, axis, body }: Loop, rows: ReadonlySet<string>): string | undefined {
  const last = body[body.length - 1];
  if (mode !== 'sequential' || last?.kind !== 'store' || !rows.has(last.memory)) return undefined;
  return isAlong(last.index, axis.name) ? last.memory : undefined;
}

/** Loads from a memory and stores to it. */
function usesOf(nodes: readonly KernelNode[], memory: string): number {
  let uses = 0;
  forEachNode(nodes, (node) => {
    if (node.kind === 'store' && node.memory === memory) uses++;
    if (node.kind === 'let' && node.expression.kind === 'load' && node.expression.memory === memory) uses++;
    if (node.kind === 'sort') uses += 2;
  });
  return uses;
}

const isAlong = ({ offset, terms }: IndexExpression, axis: string, coefficient = 1, start: Dim = 0): boolean =>
  equalDims(offset, start) &&
  terms.length === 1 &&
  equalDims(terms[0].coefficient, coefficient) &&
  terms[0].factor.kind === 'axis' &&
  terms[0].factor.axis === axis;

function join(filler: Loop, reader: Loop, memory: string): Loop | undefined {
  const { axis, body } = reader;
  if (reader.mode !== 'parallel' || !equalDims(axis.extent, filler.axis.extent)) return undefined;
  if (!body.every((node) => node.kind === 'let' || node.kind === 'store')) return undefined;
  const load = body.find(
    (node) => node.kind === 'let' && node.expression.kind === 'load' && node.expression.memory === memory,
  );
  if (load?.kind !== 'let' || load.expression.kind !== 'load' || load.expression.when !== undefined) return undefined;
  const last = subDims(axis.extent, 1);
  const { index } = load.expression;
  const backwards = isAlong(index, axis.name, -1, last);
  if (!backwards && !isAlong(index, axis.name)) return undefined;
  const store = filler.body[filler.body.length - 1];
  if (store.kind !== 'store') return undefined;
  const position: IndexExpression = {
    offset: backwards ? last : 0,
    terms: [{ coefficient: backwards ? -1 : 1, factor: { kind: 'axis', axis: filler.axis.name } }],
  };
  const names = new Map([[load.id, store.value]]);
  const rest = body.filter((node) => node !== load).map((node) => renamed(node, axis.name, position, names));
  return { ...filler, body: [...filler.body.slice(0, -1), ...rest] };
}

function renamed(
  node: KernelNode,
  axis: string,
  position: IndexExpression,
  names: ReadonlyMap<ScalarId, ScalarId>,
): KernelNode {
  const id = (of: ScalarId): ScalarId => names.get(of) ?? of;
  const at = (index: IndexExpression): IndexExpression => moved(index, { axis, position, id });
  if (node.kind === 'store') {
    return {
      ...node,
      index: at(node.index),
      value: id(node.value),
      ...(node.when !== undefined && { when: id(node.when) }),
    };
  }
  if (node.kind !== 'let') return node;
  const { expression } = node;
  if (expression.kind === 'apply')
    return { ...node, expression: { ...expression, operands: expression.operands.map(id) } };
  if (expression.kind === 'index') return { ...node, expression: { ...expression, index: at(expression.index) } };
  if (expression.kind !== 'load') return node;
  const { when } = expression;
  return {
    ...node,
    expression: { ...expression, index: at(expression.index), ...(when !== undefined && { when: id(when) }) },
  };
}

interface Move {
  readonly axis: string;
  /** What the axis becomes: another one, from either end. */
  readonly position: IndexExpression;
  readonly id: (of: ScalarId) => ScalarId;
}

function moved({ offset, terms }: IndexExpression, move: Move): IndexExpression {
  let start = offset;
  const replaced = terms.map((term): IndexTerm => {
    const { coefficient, factor } = term;
    if (factor.kind === 'value') return { coefficient, factor: { kind: 'value', id: move.id(factor.id) } };
    if (factor.kind !== 'axis') return { coefficient, factor: { ...factor, dividend: moved(factor.dividend, move) } };
    if (factor.axis !== move.axis) return term;
    start = addDims(start, mulDims(coefficient, move.position.offset));
    const [to] = move.position.terms;
    return { coefficient: mulDims(coefficient, to.coefficient), factor: to.factor };
  });
  return { offset: start, terms: replaced };
}
