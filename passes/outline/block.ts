/**
 * A block: ops that occur again and again, as a table. A row is one site, a column one op of the block; all ops of a
 * column do the same, and an edge inside one row is an edge inside every row.
 *
 *     block 1      dot_general  add  tanh
 *     site 0            3        4     5
 *     site 1            6        7     8
 *
 * A site may also compute ops that belong to another: cheap ones that are copied instead of being handed over. The
 * columns after `owned` are such copies.
 */
import { isContraction, isRowOp } from '../fuse/graph-uses.ts';
import type { IndexedGraph } from './indexed-graph.ts';

export interface Block {
  readonly sites: readonly (readonly number[])[];
  /** Columns before this one are ops that are computed nowhere else. */
  readonly owned: number;
}

/** The site in the middle, which the others are compared with: the first and the last are often a little different. */
export const exampleOf = (block: Pick<Block, 'sites'>): readonly number[] => block.sites[block.sites.length >> 1];

/** Whether a block holds ops whose results are stored whatever fusion does; a long chain is better left whole. */
export const endsKernels = (block: Block, { graph }: IndexedGraph): boolean =>
  exampleOf(block).some((at) => {
    const op = graph.ops[at];
    return (
      isContraction(op) ||
      op.opcode === 'reduce_window' ||
      op.opcode === 'scatter' ||
      isRowOp(op) ||
      op.opcode === 'call'
    );
  });

/** For each op of a site its column. */
export function columnsOf(site: readonly number[]): Map<number, number> {
  const columns = new Map<number, number>();
  site.forEach((op, column) => {
    columns.set(op, column);
  });
  return columns;
}

/** The sites whose edges are those of the example. */
export function equalSites(sites: readonly (readonly number[])[], indexed: IndexedGraph): (readonly number[])[] {
  const example = exampleOf({ sites });
  const exampleColumns = columnsOf(example);
  return sites.filter((site) => {
    const columns = columnsOf(site);
    return site.every((op, column) => hasEqualEdges(op, example[column], columns, exampleColumns, indexed));
  });
}

function hasEqualEdges(
  op: number,
  exampleOp: number,
  columns: ReadonlyMap<number, number>,
  exampleColumns: ReadonlyMap<number, number>,
  indexed: IndexedGraph,
): boolean {
  if (indexed.tokens[op] !== indexed.tokens[exampleOp]) return false;
  const [read, exampleRead] = [indexed.operands[op], indexed.operands[exampleOp]];
  return read.every((value, at) => {
    const place = placeOf(value, columns, indexed);
    return place === placeOf(exampleRead[at], exampleColumns, indexed);
  });
}

/** Which result of which column a value is; -1 for values from outside, which are compared elsewhere. */
export function placeOf(value: number, columns: ReadonlyMap<number, number>, indexed: IndexedGraph): number {
  const producer = indexed.producers[value];
  const column = producer < 0 ? undefined : columns.get(producer);
  if (column === undefined) return -1;
  return column * mostResults + value - indexed.firstResult[producer];
}

/** Results of one op, at most. */
const mostResults = 4096;

/** Values from outside that a block reads: one for each site, each combination once. */
export interface Input {
  readonly values: readonly number[];
}

/** What a block reads from outside. Closed values are no inputs: every site computes them. */
export function inputsOf({ sites }: Block, indexed: IndexedGraph): Map<string, Input> {
  const inputs = new Map<string, Input>();
  const columns = columnsOf(exampleOf({ sites }));
  exampleOf({ sites }).forEach((exampleOp, column) => {
    indexed.operands[exampleOp].forEach((exampleValue, at) => {
      if (placeOf(exampleValue, columns, indexed) >= 0 || indexed.isClosed(exampleValue)) return;
      const values = sites.map((site) => indexed.operands[site[column]][at]);
      inputs.set(values.join(), { values });
    });
  });
  return inputs;
}
