/**
 * A contraction in tiles: each workgroup computes a tile of results, from tiles of both factors that its threads bring
 * to workgroup memory together.
 *
 *     where the tile is; each sum in tiles; what is done with the sums
 */
import { ceilDivDims, dimProduct, mulDims } from '../../../base/dim.ts';
import { Body } from '../body.ts';
import type { BufferUse, ScheduleContext, Stage } from '../schedule.ts';
import { writeCounters } from './coordinates.ts';
import { type Finish, planEpilogue, writeEpilogue } from './epilogue.ts';
import { planFactor } from './factor.ts';
import { type Contraction, likelyLength } from './match.ts';
import { quadsOf } from './quads.ts';
import { type Parts, planFinishing, planParts, writeKeep } from './split.ts';
import { hasBlocks, type Results, writeSum } from './sum.ts';
import { chooseTile, type Tile, threadsOf } from './tile.ts';

/** Rows of tiles that are done column by column, so that workgroups at work together read the same factors. */
const groupedRows = 8;

/** How many variables each sum takes: with partial sums of blocks, two. */
const copiesOf = ({ sums }: Contraction, context: ScheduleContext): number =>
  sums.some((sum) => hasBlocks(sum, context)) ? 2 : 1;

/** The stages of a contraction in tiles: one, or two with sums in parts. */
export function planTiles(contraction: Contraction, context: ScheduleContext): readonly Stage[] | undefined {
  const choice = chooseTile(contraction, copiesOf(contraction, context));
  if (!choice) return undefined;
  const { tile, splits } = choice;
  const { sums, rows, columns, batches } = contraction;
  const factors = sums.map((sum) => {
    const quads = quadsOf(sum, context);
    return [planFactor('left', sum, rows, batches, quads), planFactor('right', sum, columns, batches, quads)];
  });
  const epilogue = planEpilogue(contraction, context);
  const parts = splits > 1 ? planParts(contraction, splits, context) : undefined;
  const [down, across] = [ceilDivDims(rows.extent, tile.rows), ceilDivDims(columns.extent, tile.columns)];
  const vectorReads = new Set(factors.flat().flatMap((factor) => [...factor.vectorReads]));
  const none = new Set<string>();
  const use: BufferUse = parts
    ? { vectorReads, vectorWrites: none, scalarWrites: none }
    : { ...epilogue.use, vectorReads: new Set([...epilogue.use.vectorReads, ...vectorReads]) };
  const stage: Stage = {
    workgroups: dimProduct([splits, batches.extent, down, across]),
    workgroupSize: threadsOf(tile),
    needsAllMemory: true,
    use,
    emit(shader) {
      const out = new Body(shader, context.facts);
      const batch = writePosition(out, contraction, tile, parts);
      writeThread(out, tile);
      const totals = sums.map((sum, at) => {
        // Tiles of the sum before may still be read.
        if (at > 0) out.line('workgroupBarrier();');
        return writeSum(out, { sum, factors: factors[at], tile, batch, parts, context });
      });
      const finish = parts
        ? writeKeep(shader, contraction, parts)
        : writeEpilogue(shader, contraction, context, epilogue);
      writeResults(out, tile, totals, batch, finish);
      return out.text;
    },
  };
  return parts ? [stage, planFinishing(contraction, context, epilogue, parts)] : [stage];
}

/** Writes which tile of which batch, and of which part, the workgroup computes. Counters of the batches. */
function writePosition(
  out: Body,
  { rows, columns, batches }: Contraction,
  tile: Tile,
  parts: Parts | undefined,
): readonly string[] {
  const { shader } = out;
  const [down, across] = [ceilDivDims(rows.extent, tile.rows), ceilDivDims(columns.extent, tile.columns)];
  const [tiles, wide] = [shader.size(mulDims(down, across)), shader.size(across)];
  const hasBatches = batches.axes.length > 0;
  let within = 'i32(workgroup)';
  if (hasBatches || parts) {
    const part = parts ? 'part' : 'batch';
    out.line(`let ${part} = i32(workgroup) / ${tiles};`);
    out.line(`let tile = i32(workgroup) % ${tiles};`);
    if (parts) out.line(`let split = ${hasBatches ? `part / ${shader.size(batches.extent)}` : 'part'};`);
    if (parts && hasBatches) out.line(`let batch = part % ${shader.size(batches.extent)};`);
    within = 'tile';
  }
  const counters = hasBatches ? writeCounters(out, batches.axes, 'batch', 'batch_') : [];
  if (likelyLength(rows) <= groupedRows * tile.rows) {
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
  finish: Finish,
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
        finish.four(
          batch,
          row,
          column,
          totals.map((results) => results[i][j]),
        ),
      );
    }
  }
}
