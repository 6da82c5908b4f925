/**
 * Masks that follow from positions, such as the causal one: what is done with a sum selects it where a comparison of
 * positions holds, and takes something else where not. A tile in which it holds nowhere needs no products.
 *
 *     %7 = select %6, %5, -inf      %6 = compare LE column, row       tile hidden when first_column > last row
 */
import { addDims, type Dim, equalDims, isStatic, subDims } from '../../../base/dim.ts';
import type { IndexExpression, KernelNode, Let, ScalarId } from '../../../ir/kernel.ts';
import { coefficientOf, normalizeIndex } from '../../common/linear-index.ts';
import { freeValues } from '../../common/walk.ts';
import type { Shader } from '../shader.ts';
import type { Contraction } from './match.ts';

/** A sum counts where `row * down + column * across + offset` is at most 0. */
export interface Visible {
  readonly down: number;
  readonly across: number;
  readonly offset: Dim;
}

/** Where the sums of a contraction count, if a comparison of positions says so. */
export function visibleOf({ column, sums, epilogue }: Contraction, row: string): Visible | undefined {
  const selected = selectionOf(
    epilogue,
    sums.map(({ result }) => result),
  );
  const definition = epilogue.find((node): node is Let => node.kind === 'let' && node.id === selected);
  if (definition?.expression.kind !== 'apply' || definition.expression.opcode !== 'compare') return undefined;
  const { direction, operands } = definition.expression;
  const [left, right] = operands.map((id) => indexOf(id, epilogue));
  if (!left || !right || !direction) return undefined;
  if (direction === 'LE' || direction === 'LT') return difference(left, right, direction === 'LT');
  return direction === 'GE' || direction === 'GT' ? difference(right, left, direction === 'GT') : undefined;

  function difference(least: IndexExpression, most: IndexExpression, isStrict: boolean): Visible | undefined {
    const [down, across] = [row, column.name].map((axis) => {
      const [a, b] = [coefficientOf(least, axis), coefficientOf(most, axis)];
      return a === undefined || b === undefined ? undefined : subDims(a, b);
    });
    const isPlain = [least, most].every(({ terms }) =>
      terms.every(({ factor }) => factor.kind === 'axis' && [row, column.name].includes(factor.axis)),
    );
    if (!isPlain || !isUnit(down) || !isUnit(across)) return undefined;
    return { down, across, offset: addDims(subDims(least.offset, most.offset), isStrict ? 1 : 0) };
  }
}

const isUnit = (size: Dim | undefined): size is number => size !== undefined && isStatic(size) && Math.abs(size) <= 1;

/** The predicate of the one selection through which alone sums reach what is stored, as what it gives where it holds. */
function selectionOf(nodes: readonly KernelNode[], sums: readonly ScalarId[]): ScalarId | undefined {
  const dependent = new Set(sums);
  let predicate: ScalarId | undefined;
  for (const node of nodes) {
    const needed = [...freeValues(node)].filter((id) => dependent.has(id));
    if (needed.length === 0) continue;
    if (node.kind !== 'let') return undefined;
    const { expression } = node;
    if (expression.kind === 'apply' && expression.opcode === 'select') {
      const [condition, chosen] = expression.operands;
      const isMask =
        needed.length === 1 && needed[0] === chosen && (predicate === undefined || predicate === condition);
      if (isMask) {
        predicate = condition;
        continue;
      }
    }
    dependent.add(node.id);
  }
  return predicate;
}

function indexOf(id: ScalarId, nodes: readonly KernelNode[]): IndexExpression | undefined {
  const node = nodes.find((one): one is Let => one.kind === 'let' && one.id === id);
  return node?.expression.kind === 'index' ? normalizeIndex(node.expression.index) : undefined;
}

/** A condition that holds unless no sum of a tile counts. The tile is told by texts of its corners. */
export function visibleText(
  shader: Shader,
  { down, across, offset }: Visible,
  [firstRow, lastRow]: readonly [string, string],
  [firstColumn, lastColumn]: readonly [string, string],
): string {
  const term = (coefficient: number, first: string, last: string): string[] =>
    coefficient === 0 ? [] : [coefficient > 0 ? first : `-(${last})`];
  const terms = [...term(across, firstColumn, lastColumn), ...term(down, firstRow, lastRow)];
  if (!equalDims(offset, 0)) terms.push(shader.size(offset));
  return `${terms.join(' + ').replaceAll('+ -', '- ')} <= 0`;
}
