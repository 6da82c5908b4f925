/**
 * A sum of products in tiles. While one pair of tiles is multiplied, the next one is on its way in registers.
 *
 *     read the first elements
 *     for each step { put them into one half; barrier; read the next ones; multiply the tiles of that half }
 *
 * One barrier a step is enough: a half is filled two steps after it was last read, with a barrier in between.
 */
import { ceilDivDims } from '../../../base/dim.ts';
import { computeDType, isFloat } from '../../../base/dtype.ts';
import { contractionBlock } from '../../../ir/kernel.ts';
import type { Sum } from '../../common/products.ts';
import type { Body } from '../body.ts';
import type { ScheduleContext } from '../schedule.ts';
import { typeText } from '../storage.ts';
import { mayBeZero } from './coordinates.ts';
import { nameOfSum } from './epilogue.ts';
import { type FactorPlan, FactorTile } from './factor.ts';
import { quadProducts } from './quads.ts';
import { type Parts, writeSplitSteps } from './split.ts';
import type { Tile } from './tile.ts';

/** Variables of a thread's results: for each row the vectors of its columns. */
export type Results = readonly (readonly string[])[];

/** Whether products are added in blocks, each of which begins at zero. */
export function hasBlocks({ dtype, depth }: Sum, { options }: ScheduleContext): boolean {
  return options.precision === 'strict' && isFloat(dtype) && !(typeof depth === 'number' && depth <= contractionBlock);
}

export interface TiledSum {
  readonly sum: Sum;
  readonly factors: readonly FactorPlan[];
  readonly tile: Tile;
  /** Counters of the batches. */
  readonly batch: readonly string[];
  /** The parts of which the workgroup computes one, `split` by its number. */
  readonly parts: Parts | undefined;
  readonly context: ScheduleContext;
}

/** Writes a sum of products over all steps, of the tile from `first_row` and `first_column` on. */
export function writeSum(out: Body, { sum, factors: plans, tile, batch, parts, context }: TiledSum): Results {
  const { shader } = out;
  const type = typeText(computeDType(sum.dtype), 4);
  const factors = plans.map((plan) => new FactorTile(shader, context.facts, plan, tile));
  const totals = declareResults(out, tile, nameOfSum(sum), type);
  for (const factor of factors) factor.writePlaces(out, batch);
  const all = ceilDivDims(sum.depth, plans[0].quads ? 4 * tile.depth : tile.depth);
  const [first, end] = parts ? writeSplitSteps(out, all, parts) : ['0', shader.size(all)];
  const readFirst = (declaration: 'var ' | ''): void => {
    for (const factor of factors) factor.writeLoads(out, parts ? `${first} * ${tile.depth}` : '0', declaration);
  };
  if (parts || mayBeZero(sum.depth)) {
    for (const factor of factors) factor.writeNext(out);
    out.block(`if (${first} < ${end})`, () => readFirst(''));
  } else readFirst('var ');
  const sweep = (from: string, to: string, into: Results): void => {
    out.line('// Two tiles take turns: while one is multiplied, elements of the next are on their way.');
    out.block(`for (var step = ${from}; step < ${to}; step++)`, () => {
      for (const factor of factors) factor.writeStores(out);
      out.line('workgroupBarrier();');
      out.block(`if (step + 1 < ${end})`, () => {
        for (const factor of factors) factor.writeLoads(out, `(step + 1) * ${tile.depth}`);
      });
      out.block(`for (var k = 0; k < ${tile.depth}; k++)`, () => writeProducts(out, factors, tile, into));
    });
  };
  if (!hasBlocks(sum, context)) {
    sweep(first, end, totals);
    return totals;
  }
  const inBlock = contractionBlock / tile.depth;
  out.block(`for (var block = ${first}; block < ${end}; block += ${inBlock})`, () => {
    const partials = declareResults(out, tile, 'partial', type);
    sweep('block', `min(block + ${inBlock}, ${end})`, partials);
    totals.forEach((row, i) => {
      row.forEach((total, j) => {
        out.line(`${total} += ${partials[i][j]};`);
      });
    });
  });
  return totals;
}

function declareResults(out: Body, tile: Tile, prefix: string, type: string): Results {
  return Array.from({ length: tile.threadRows }, (_, row) =>
    Array.from({ length: tile.threadColumns / 4 }, (_unused, column) => {
      const name = out.unique(`${prefix}_${row}_${column * 4}`);
      out.line(`var ${name} = ${type}();`);
      return name;
    }),
  );
}

/** Writes the products of one step of the tiles. */
function writeProducts(out: Body, [left, right]: readonly FactorTile[], tile: Tile, into: Results): void {
  const { quads } = left.plan;
  const [rowsApart, columnsApart] = [tile.rows / tile.threadRows, tile.columns / tile.threadColumns];
  const at = (thread: string, group: number, apart: number): string =>
    group === 0 ? thread : `${thread} + ${group * apart}`;
  for (let group = 0; group * 4 < tile.threadRows; group++) {
    out.line(`let left_${group * 4} = ${left.read('k', at('thread_row', group, rowsApart))};`);
  }
  for (let group = 0; group * 4 < tile.threadColumns; group++) {
    out.line(`let right_${group * 4} = ${right.read('k', at('thread_column', group, columnsApart))};`);
  }
  into.forEach((row, i) => {
    row.forEach((name, j) => {
      const [a, b] = [`left_${i - (i % 4)}.${'xyzw'[i % 4]}`, `right_${j * 4}`];
      out.line(`${name} += ${quads ? quadProducts(out.shader, quads, a, b) : `${a} * ${b}`};`);
    });
  });
}
