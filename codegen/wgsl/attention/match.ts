/**
 * Recognises row kernels with contractions, such as attention: parallel loops around the body of a row, in which some
 * inner loops are sums of products whose right factor is the same for all rows. Their rows are done in blocks.
 *
 *     parallel b { parallel i { parallel j { reduce d {q[b,i,d] * k[b,j,d]} ...; store s[j] }      contraction
 *                               reduce j {load s[j]} -> %m; ...; store p[j]                        rows
 *                               parallel d { reduce j {p[j] * v[b,j,d]} ...; store o[b,i,d] } } }  contraction
 */
import { isStatic } from '../../../base/dim.ts';
import { computeDType } from '../../../base/dtype.ts';
import type { Axis, KernelNode, KernelScratch, Let, Loop, ScalarId } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { type Factor, placeFactors, productsOf, type Sum, sumsOfProducts } from '../../common/products.ts';
import type { Unit } from '../../common/units.ts';
import { definitionsOf, freeValues, walk, writtenBy } from '../../common/walk.ts';
import type { ScheduleContext } from '../schedule.ts';
import { nestOf } from '../threads.ts';

/** The place of a row in its block, as an axis. */
export const slotAxis = '$slot';

/** Sums of products for the rows of a block and each column, and what is done with them. */
export interface Contraction {
  readonly column: Axis;
  readonly sums: readonly Sum[];
  readonly epilogue: readonly KernelNode[];
}

export interface AttentionRows {
  readonly row: Axis;
  /** The other parallel axes, outermost first. */
  readonly outer: readonly Axis[];
  /** The nodes of a row, in order. */
  readonly inside: readonly KernelNode[];
  readonly contractions: ReadonlyMap<KernelNode, Contraction>;
  /** Scratch arrays of a row. */
  readonly arrays: readonly KernelScratch[];
  /** Values of a row that contractions use, by the name of the array that holds them for the rows of the block. */
  readonly handed: ReadonlyMap<ScalarId, string>;
}

/** Fewer multiplications, or rows, are not worth blocks. */
const leastProducts = 4096;
const leastRows = 8;

export function matchAttention(unit: Unit, context: ScheduleContext): AttentionRows | undefined {
  const { axes, inside } = nestOf(unit.nodes);
  const nodes = [...unit.lets, ...inside];
  if (inside.length < 2 || !inside.some(mayContract) || nodes.some(({ kind }) => kind === 'sort')) return undefined;
  let best: (AttentionRows & { readonly products: number }) | undefined;
  for (const row of axes) {
    if (isStatic(row.extent) && row.extent < leastRows) continue;
    const found = matchBlocks(row, axes, nodes, context);
    if (found.products >= Math.max(leastProducts, best?.products ?? 0)) best = found;
  }
  return best;
}

const mayContract = (node: KernelNode): node is Loop =>
  node.kind === 'loop' &&
  node.mode === 'parallel' &&
  node.body.some((inner) => inner.kind === 'reduce' && inner.order === 'blocks');

/** The name of the array that holds a value of each row of the block. */
export const nameOfHanded = (id: ScalarId): string => `row_value_${id}`;

/** The kernel with one of the axes as its rows, and how many multiplications its contractions have. */
function matchBlocks(row: Axis, axes: readonly Axis[], nodes: readonly KernelNode[], context: ScheduleContext) {
  const { written, scratchArrays, facts } = context;
  const used = new Set(nodes.flatMap((node) => [...walk([node])].flatMap((inner) => [...writtenBy(inner)])));
  const arrays = [...scratchArrays.values()].filter(({ name }) => used.has(name));
  const outer = axes.filter((axis) => axis !== row);
  /** Values that are computed wherever they are needed; others are loaded from where the row has left them. */
  const before: Let[] = [];
  const plain = new Set<ScalarId>();
  const contractions = new Map<KernelNode, Contraction>();
  const inside: KernelNode[] = [];
  let products = 0;
  for (const node of nodes) {
    inside.push(node);
    if (node.kind === 'let' && isPlain(node)) {
      before.push(node);
      plain.add(node.id);
      continue;
    }
    const contraction = mayContract(node) ? contractionOf(node) : undefined;
    if (contraction) {
      contractions.set(node, contraction);
      products += productsOf([...outer, row, contraction.column], contraction.sums);
    }
    for (const id of definitionsOf(node)) before.push(reload(id));
  }
  const handed = new Map<ScalarId, string>();
  for (const { sums, epilogue } of contractions.values()) {
    for (const node of [...sums.flatMap(({ left }) => left.lets), ...epilogue]) {
      if (node.kind !== 'let' || node.expression.kind !== 'load') continue;
      if (node.expression.memory === nameOfHanded(node.id)) handed.set(node.id, node.expression.memory);
    }
  }
  return { row, outer, inside, contractions, arrays, handed, products };

  function isPlain(node: Let): boolean {
    if (node.expression.kind === 'load' && written.has(node.expression.memory)) return false;
    return [...freeValues(node)].every((id) => plain.has(id));
  }

  function reload(id: ScalarId): Let {
    const index = { offset: 0, terms: [{ coefficient: 1, factor: { kind: 'axis', axis: slotAxis } as const }] };
    const dtype = computeDType(facts.dtypes.get(id) ?? 'float32');
    return { kind: 'let', id, dtype, expression: { kind: 'load', memory: nameOfHanded(id), index } };
  }

  function contractionOf({ axis, body }: Loop): Contraction | undefined {
    const found = sumsOfProducts(body, before, () => true);
    const sums = found && placeFactors(found.sums, new Set([row.name, slotAxis]), new Set([axis.name]));
    if (!sums?.every(isFine) || likelyExtent(axis.extent) < 4) return undefined;
    return { column: axis, sums, epilogue: found!.epilogue };
  }

  /** The right factor must be the same for all rows, and nothing that rows change. */
  function isFine({ dtype, right }: Sum): boolean {
    return dtype === 'float32' && !right.axes.has(slotAxis) && loadsOf(right).every((memory) => !written.has(memory));
  }
}

const loadsOf = ({ lets }: Factor): string[] =>
  lets.flatMap(({ expression }) => (expression.kind === 'load' ? [expression.memory] : []));
