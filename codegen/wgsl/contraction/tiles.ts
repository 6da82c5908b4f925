/**
 * A contraction in tiles: each workgroup computes a tile of results, from tiles of both factors that its threads bring
 * to workgroup memory together.
 *
 *     where the tile is; each sum in tiles; what is done with the sums
 */
import { ceilDivDims, type Dim, mulDims } from '../../../base/dim.ts';
import { Body } from '../body.ts';
import type { ScheduleContext, Stage } from '../schedule.ts';
import { writeCounters } from './coordinates.ts';
import { planEpilogue, writeEpilogue } from './epilogue.ts';
import { planFactor } from './factor.ts';
import { type Contraction, likelyLength } from './match.ts';
import { hasBlocks, type Results, writeSum } from './sum.ts';
import { chooseTile, type Tile, threadsOf } from './tile.ts';

/** Rows of tiles that are done column by column, so that workgroups at work together read the same factors. */
const groupedRows = 8;

/** How many variables each sum takes: with partial sums of blocks, two. */
const copiesOf = ({ sums }: Contraction, context: ScheduleContext): number =>
  sums.some((sum) => hasBlocks(sum, context)) ? 2 : 1;

export function planTiles(contraction: Contraction, context: ScheduleContext): Stage | undefined {
  const tile = chooseTile(contraction, copiesOf(contraction, context));
  if (!tile) return undefined;
  const { sums, rows, columns, batches } = contraction;
  const factors = sums.map((sum) => [
    planFactor('left', sum, rows, batches),
    planFactor('right', sum, columns, batches),
  ]);
  const epilogue = planEpilogue(contraction, context);
  const [down, across] = [ceilDivDims(rows.extent, tile.rows), ceilDivDims(columns.extent, tile.columns)];
  const reads = factors.flat().flatMap(({ vectorReads }) => [...vectorReads]);
  return {
    workgroups: mulDims(batches.extent, mulDims(down, across)),
    workgroupSize: threadsOf(tile),
    needsAllMemory: true,
    use: { ...epilogue.use, vectorReads: new Set([...epilogue.use.vectorReads, ...reads]) },
    emit(shader) {
      const out = new Body(shader, context.facts);
      const batch = writePosition(out, contraction, tile, down, across);
      writeThread(out, tile);
      const totals = sums.map((sum, at) => {
        // Tiles of the sum before may still be read.
        if (at > 0) out.line('workgroupBarrier();');
        return writeSum(out, { sum, factors: factors[at], tile, batch, context });
      });
      writeResults(out, tile, totals, batch, writeEpilogue(shader, contraction, context, epilogue));
      return out.text;
    },
  };
}

/** Writes which tile of which batch the workgroup computes. Counters of the batches. */
function writePosition(out: Body, contraction: Contraction, tile: Tile, down: Dim, across: Dim): readonly string[] {
  const { shader } = out;
  const { rows, batches } = contraction;
  const [tiles, wide] = [shader.size(mulDims(down, across)), shader.size(across)];
  const isGrouped = likelyLength(rows) > groupedRows * tile.rows;
  let within = 'i32(workgroup)';
  let counters: readonly string[] = [];
  if (batches.axes.length > 0) {
    out.line(`let batch = i32(workgroup) / ${tiles};`);
    out.line(`let tile = i32(workgroup) % ${tiles};`);
    within = 'tile';
    counters = writeCounters(out, batches.axes, 'batch', 'batch_');
  }
  if (!isGrouped) {
    out.line(`let first_row = ${within} / ${wide} * ${tile.rows};`);
    out.line(`let first_column = ${within} % ${wide} * ${tile.columns};`);
    return counters;
  }
  out.line(
    `// Tiles are counted down ${groupedRows} rows of them at a time, so that neighbours share factors in the cache.`,
  );
  out.line(`let in_group = ${groupedRows} * ${wide};`);
  out.line(`let group_row = ${within} / in_group * ${groupedRows};`);
  out.line(`let group_rows = min(${shader.size(down)} - group_row, ${groupedRows});`);
  out.line(`let first_row = (group_row + ${within} % in_group % group_rows) * ${tile.rows};`);
  out.line(`let first_column = ${within} % in_group / group_rows * ${tile.columns};`);
  return counters;
}

/** Writes which results of the tile the thread computes: fours of rows and columns, as far apart as there are threads. */
function writeThread(out: Body, tile: Tile): void {
  const across = tile.columns / tile.threadColumns;
  out.line(`let thread_row = i32(local) / ${across};`);
  out.line(`let thread_column = i32(local) % ${across};`);
}

function writeResults(
  out: Body,
  tile: Tile,
  totals: readonly Results[],
  batch: readonly string[],
  call: ReturnType<typeof writeEpilogue>,
): void {
  const [rowsApart, columnsApart] = [tile.rows / tile.threadRows, tile.columns / tile.threadColumns];
  out.line('let row = first_row + thread_row * 4;');
  out.line('let column = first_column + thread_column * 4;');
  for (let i = 0; i < tile.threadRows; i++) {
    for (let j = 0; j < tile.threadColumns / 4; j++) {
      const down = Math.floor(i / 4) * 4 * rowsApart + (i % 4);
      const [row, column] = [down, j * 4 * columnsApart].map((by, at) => {
        const name = at === 0 ? 'row' : 'column';
        return by === 0 ? name : `${name} + ${by}`;
      });
      out.line(
        call(
          batch,
          row,
          column,
          totals.map((results) => results[i][j]),
        ),
      );
    }
  }
}
