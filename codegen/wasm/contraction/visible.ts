/**
 * Which columns of a contraction count. Where an epilogue selects by position, as a causal mask does, the sums of the
 * other columns are thrown away and need not be computed, whatever they are:
 *
 *     %s = sum ...;  %m = compare LE (index j) (index i);  %y = select %m, %s, -inf;  store y[T*i + j] = %y
 *     → the columns up to i + 1
 */
import { addDims, isStatic, mulDims } from '../../../base/dim.ts';
import type { IndexExpression, KernelNode, Let, ScalarId } from '../../../ir/kernel.ts';
import { indexText } from '../../../ir/kernel-print.ts';
import type { CompareDirection } from '../../../ir/opcodes.ts';
import { coefficientOf, normalizeIndex } from '../../common/linear-index.ts';
import { freeValues } from '../../common/walk.ts';
import type { Contraction } from './match.ts';

/** Columns that count begin at the greatest of `from` and end before the least of `to`. */
export interface VisibleColumns {
  readonly from: readonly IndexExpression[];
  readonly to: readonly IndexExpression[];
}

/**
 * The columns whose sums reach a store; `undefined` where all may. The bounds are sums of axes, and move with the row
 * by a number. All selects must agree on them.
 */
export function visibleColumns({ lets, epilogue, sums, row, column }: Contraction): VisibleColumns | undefined {
  const definitions = new Map<ScalarId, Let>();
  const tainted = new Set<ScalarId>(sums.map(({ result }) => result));
  let visible: VisibleColumns | undefined;
  const see = (node: KernelNode): boolean => {
    if (node.kind !== 'let') return ![...freeValues(node)].some((id) => tainted.has(id));
    definitions.set(node.id, node);
    const bounds = new Bounds(definitions, row.name, column.name).ofSelect(node, tainted);
    if (!bounds) {
      const isTainted = [...freeValues(node)].some((id) => tainted.has(id));
      if (isTainted) tainted.add(node.id);
      // A place in memory can not be made of what is not there.
      return !isTainted || node.expression.kind !== 'load';
    }
    if (visible && boundsKey(visible) !== boundsKey(bounds)) return false;
    visible = bounds;
    return true;
  };
  return [...lets, ...epilogue].every(see) ? visible : undefined;
}

const boundsKey = ({ from, to }: VisibleColumns): string => [...from.map(indexText), 'to', ...to.map(indexText)].join();

const opposite: { readonly [K in CompareDirection]?: CompareDirection } = { LE: 'GT', LT: 'GE', GE: 'LT', GT: 'LE' };

class Bounds {
  readonly #definitions: ReadonlyMap<ScalarId, Let>;
  readonly #row: string;
  readonly #column: string;

  constructor(definitions: ReadonlyMap<ScalarId, Let>, row: string, column: string) {
    this.#definitions = definitions;
    this.#row = row;
    this.#column = column;
  }

  /** The bounds of a select that throws tainted values away. */
  ofSelect({ expression }: Let, tainted: ReadonlySet<ScalarId>): VisibleColumns | undefined {
    if (expression.kind !== 'apply' || expression.opcode !== 'select') return undefined;
    const [condition, yes, no] = expression.operands;
    if (tainted.has(condition) || tainted.has(yes) === tainted.has(no)) return undefined;
    const bounds = this.#ofCondition(condition, tainted.has(yes));
    return bounds && bounds.from.length + bounds.to.length > 0 ? bounds : undefined;
  }

  /** Bounds outside which a condition certainly is not `holds`. */
  #ofCondition(id: ScalarId, holds: boolean): VisibleColumns | undefined {
    const expression = this.#definitions.get(id)?.expression;
    if (expression?.kind !== 'apply') return undefined;
    const { opcode, operands, direction = 'EQ' } = expression;
    if (opcode === 'not') return this.#ofCondition(operands[0], !holds);
    if (opcode === (holds ? 'and' : 'or')) {
      const parts = operands.map((operand) => this.#ofCondition(operand, holds));
      return { from: parts.flatMap((p) => p?.from ?? []), to: parts.flatMap((p) => p?.to ?? []) };
    }
    const [a, b] = operands.map((operand) => this.#linear(operand));
    const wanted = holds ? direction : opposite[direction];
    if (opcode !== 'compare' || !a || !b || wanted === undefined) return undefined;
    return this.#ofComparison(wanted, added(a, b, -1));
  }

  /** Bounds where `difference` compares with zero as wanted. */
  #ofComparison(direction: CompareDirection, difference: IndexExpression): VisibleColumns | undefined {
    const slope = coefficientOf(difference, this.#column);
    const rest = { ...difference, terms: difference.terms.filter(({ factor }) => !this.#isColumn(factor)) };
    if (slope !== 1 && slope !== -1) return undefined;
    const isLinear = rest.terms.every(({ factor }) => factor.kind === 'axis');
    if (!isLinear || !isStatic(coefficientOf(rest, this.#row) ?? 0)) return undefined;
    // Where the column falls, the comparison is turned around.
    const turned = { LE: 'GE', LT: 'GT', GE: 'LE', GT: 'LT', EQ: 'EQ', NE: 'NE' } as const;
    const place = slope === 1 ? added({ offset: 0, terms: [] }, rest, -1) : rest;
    const way = slope === 1 ? direction : turned[direction];
    const next = { ...place, offset: addDims(place.offset, 1) };
    if (way === 'LE') return { from: [], to: [next] };
    if (way === 'LT') return { from: [], to: [place] };
    if (way === 'GE') return { from: [place], to: [] };
    if (way === 'GT') return { from: [next], to: [] };
    return undefined;
  }

  #isColumn(factor: IndexExpression['terms'][number]['factor']): boolean {
    return factor.kind === 'axis' && factor.axis === this.#column;
  }

  /** An int32 value as a sum of axes. */
  #linear(id: ScalarId): IndexExpression | undefined {
    const definition = this.#definitions.get(id);
    if (definition?.dtype !== 'int32') return undefined;
    const { expression } = definition;
    if (expression.kind === 'index') return expression.index;
    if (expression.kind === 'constant') return { offset: expression.value, terms: [] };
    if (expression.kind === 'size') return { offset: expression.size, terms: [] };
    if (expression.kind !== 'apply' || (expression.opcode !== 'add' && expression.opcode !== 'subtract'))
      return undefined;
    const [a, b] = expression.operands.map((operand) => this.#linear(operand));
    return a && b && added(a, b, expression.opcode === 'add' ? 1 : -1);
  }
}

/** `a + sign * b`. */
function added(a: IndexExpression, b: IndexExpression, sign: 1 | -1): IndexExpression {
  const terms = b.terms.map(({ coefficient, factor }) => ({ coefficient: mulDims(coefficient, sign), factor }));
  return normalizeIndex({ offset: addDims(a.offset, mulDims(b.offset, sign)), terms: [...a.terms, ...terms] });
}
