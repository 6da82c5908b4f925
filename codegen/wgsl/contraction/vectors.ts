/**
 * Contractions with few rows, or few columns: a matrix that is read once, multiplied by a few vectors. All threads of a
 * workgroup read the matrix as it lies in memory; each adds up a share of the steps, and shares are added in a tree.
 *
 *     matrix along the sum       64 threads beside each other read 64 fours of steps of one line, 4 lines a workgroup
 *     matrix along its lines     8 threads beside each other read 8 fours of lines (128 bytes), 32 steps a workgroup
 *
 * The side with few is unrolled. Sums of few lines are computed in parts, as with tiles.
 */
import { ceilDivDims, type Dim, dimProduct, isStatic } from '../../../base/dim.ts';
import { computeDType } from '../../../base/dtype.ts';
import type { Sum } from '../../common/products.ts';
import { Body, type LaneAxis } from '../body.ts';
import type { BufferUse, ScheduleContext, Stage } from '../schedule.ts';
import type { Shader } from '../shader.ts';
import { typeText } from '../storage.ts';
import { isDivisible, writeCounters } from './coordinates.ts';
import { type Finish, nameOfSum, planEpilogue, writeEpilogue } from './epilogue.ts';
import { type FactorPlan, fourFrom, planFactor, vectorReadsOf, writeElement, writeFactorFunction } from './factor.ts';
import { type Contraction, likelyLength } from './match.ts';
import { type Parts, planFinishing, planParts, writeKeep, writeSplitSteps } from './split.ts';
import { likelyDepth } from './tile.ts';

/** Rows, or columns, that are few. */
const mostVectors = 4;
/** Shorter sums are not shared by threads. */
const leastDepth = 64;
const workgroupSize = 256;
/** Workgroups that keep a large device busy, and rounds of the steps that each should have at least. */
const busyWorkgroups = 2 * 132;
const leastRounds = 8;

/** How threads of a workgroup share lines and steps. */
interface Sharing {
  /** Which side has few. */
  readonly few: 'rows' | 'columns';
  /** Whether neighbours in memory, and threads beside each other, are steps of the sum. */
  readonly isAlongDepth: boolean;
  /** The axis of steps that are read four at once. */
  readonly depthLanes: LaneAxis | undefined;
  /** Threads along the steps of a line, and lines of the workgroup: one a thread, or four. */
  readonly threads: number;
  readonly lines: number;
  /** Steps of the workgroup in a round. */
  readonly round: number;
}

interface VectorSum {
  readonly sum: Sum;
  readonly matrix: FactorPlan;
  readonly vector: FactorPlan;
}

/** The stages of a contraction with few rows or columns; `undefined` for one that has many of both, or short sums. */
export function planVectors(contraction: Contraction, context: ScheduleContext): readonly Stage[] | undefined {
  const { rows, columns, batches } = contraction;
  const few = isFew(rows.extent) && !(isFew(columns.extent) && columns.extent < rows.extent) ? 'rows' : 'columns';
  if (!isFew(contraction[few].extent) || likelyDepth(contraction) < leastDepth) return undefined;
  const sums = contraction.sums.map((sum): VectorSum => {
    const [left, right] = [planFactor('left', sum, rows, batches), planFactor('right', sum, columns, batches)];
    return few === 'rows' ? { sum, matrix: right, vector: left } : { sum, matrix: left, vector: right };
  });
  const sharing = shareThreads(few, sums);
  if (!sharing) return undefined;
  const long = few === 'rows' ? columns : rows;
  const tiles = ceilDivDims(long.extent, sharing.lines);
  const workgroups = likelyLength(batches) * Math.ceil(likelyLength(long) / sharing.lines);
  const most = Math.floor(likelyDepth(contraction) / (sharing.round * leastRounds));
  const splits = Math.max(1, Math.min(Math.ceil(busyWorkgroups / workgroups), most));
  const parts = splits > 1 ? planParts(contraction, splits, context) : undefined;
  const epilogue = planEpilogue(contraction, context, parts !== undefined || (few === 'rows' && !sharing.isAlongDepth));
  const vectorReads = new Set(sums.flatMap((one) => [...readsOf(one, sharing)]));
  const none = new Set<string>();
  const use: BufferUse = parts
    ? { vectorReads, vectorWrites: none, scalarWrites: none }
    : { ...epilogue.use, vectorReads: new Set([...vectorReads, ...epilogue.use.vectorReads]) };
  const stage: Stage = {
    workgroups: dimProduct([splits, batches.extent, tiles]),
    workgroupSize,
    needsAllMemory: true,
    use,
    emit(shader) {
      const out = new Body(shader, context.facts);
      const finish = parts
        ? writeKeep(shader, contraction, parts)
        : writeEpilogue(shader, contraction, context, epilogue);
      const batch = writePosition(out, contraction, tiles, sharing, parts);
      const totals = sums.map((one) => writeVectorSum(out, one, sharing, parts, batch));
      writeResults(out, sharing, totals, batch, finish);
      return out.text;
    },
  };
  return parts ? [stage, planFinishing(contraction, context, epilogue, parts)] : [stage];
}

const isFew = (extent: Dim): extent is number => isStatic(extent) && extent <= mostVectors;

/** `undefined` where matrices of several sums lie differently. */
function shareThreads(few: 'rows' | 'columns', sums: readonly VectorSum[]): Sharing | undefined {
  const [{ matrix, sum }] = sums;
  const { isAlongDepth } = matrix;
  const last = sum.reduced[sum.reduced.length - 1];
  const isSame = (other: VectorSum): boolean =>
    other.matrix.isAlongDepth === isAlongDepth && other.sum.reduced[other.sum.reduced.length - 1].name === last.name;
  if (!sums.every(isSame)) return undefined;
  if (!isAlongDepth) {
    return { few, isAlongDepth, depthLanes: undefined, threads: 32, lines: 32, round: 32 };
  }
  const depthLanes = isDivisible(last.extent, 4) ? { axis: last.name } : undefined;
  return { few, isAlongDepth, depthLanes, threads: 64, lines: 4, round: depthLanes ? 256 : 64 };
}

/** Buffers that are read four elements at once. */
function readsOf({ matrix, vector }: VectorSum, { isAlongDepth, depthLanes }: Sharing): readonly string[] {
  if (!isAlongDepth) return [...matrix.vectorReads];
  if (!depthLanes) return [];
  return [matrix, vector].flatMap(({ factor }) => [...vectorReadsOf(factor.lets, depthLanes.axis)]);
}

/** Writes which lines the thread has, and which share of the steps. Counters of the batches. */
function writePosition(
  out: Body,
  { batches }: Contraction,
  tiles: Dim,
  { isAlongDepth, threads, lines }: Sharing,
  parts: Parts | undefined,
): readonly string[] {
  const { shader } = out;
  const size = shader.size(tiles);
  const part = 'i32(workgroup) / ';
  const hasBatches = batches.axes.length > 0;
  if (parts) {
    out.line(`let part = ${part}${size};`);
    out.line(`let split = ${hasBatches ? `part / ${shader.size(batches.extent)}` : 'part'};`);
    if (hasBatches) out.line(`let batch = part % ${shader.size(batches.extent)};`);
  } else if (hasBatches) out.line(`let batch = ${part}${size};`);
  const counters = hasBatches ? writeCounters(out, batches.axes, 'batch', 'batch_') : [];
  const across = workgroupSize / threads;
  out.line(`let share = i32(local) ${isAlongDepth ? `% ${threads}` : `/ ${across}`};`);
  const line = `i32(local) ${isAlongDepth ? `/ ${threads}` : `% ${across}`}`;
  const four = isAlongDepth ? line : `${line} * 4`;
  out.line(`let line = i32(workgroup) % ${size} * ${lines} + ${four};`);
  return counters;
}

/** Writes a sum for each of the few. Names of the totals, which threads with the first share have. */
function writeVectorSum(
  out: Body,
  { sum, matrix, vector }: VectorSum,
  { isAlongDepth, depthLanes, threads, round }: Sharing,
  parts: Parts | undefined,
  batch: readonly string[],
): readonly string[] {
  const { shader, facts } = out;
  const dtype = computeDType(sum.dtype);
  const lanes = depthLanes || !isAlongDepth ? 4 : 1;
  const load = isAlongDepth
    ? writeElement(shader, facts, matrix, depthLanes, 1).name
    : writeFactorFunction(shader, facts, matrix, 1);
  const loadVector = writeElement(shader, facts, vector, depthLanes, 1).name;
  const flat = out.unique('place');
  const last = shader.size(matrix.side.extent);
  out.line(`let ${flat} = ${isAlongDepth ? `min(line, ${last} - 1)` : fourFrom(shader, matrix, 'line', 32)};`);
  const place = writeCounters(out, matrix.side.axes, flat, 'line_');
  const count = Number(vector.side.extent);
  const names = Array.from({ length: count }, (_, i) => out.unique(`${nameOfSum(sum)}_${i}`));
  const places = names.map((_, i) => writeCounters(out, vector.side.axes, `${i}`, 'vector_'));
  for (const name of names) out.line(`var ${name} = ${typeText(dtype, lanes)}();`);
  const [first, end] = parts ? writeSplitSteps(out, ceilDivDims(sum.depth, round), parts) : [undefined, undefined];
  const own = depthLanes ? 'share * 4' : 'share';
  const from = first === undefined ? own : `${first} * ${round} + ${own}`;
  const depth = shader.size(sum.depth);
  const to = end === undefined ? depth : `min(${end} * ${round}, ${depth})`;
  out.block(`for (var step = ${from}; step < ${to}; step += ${round})`, () => {
    out.line(`let element = ${load}(${[...batch, ...place, 'step'].join(', ')});`);
    names.forEach((name, i) => {
      out.line(`${name} += element * ${loadVector}(${[...batch, ...places[i], 'step'].join(', ')});`);
    });
  });
  const type = typeText(dtype, isAlongDepth ? 1 : 4);
  const addUp = writeAddUp(shader, type, threads, isAlongDepth ? 1 : workgroupSize / threads);
  return names.map((name) => {
    const total = out.unique('total');
    const own = isAlongDepth && lanes === 4 ? `dot(${name}, ${typeText(dtype, 4)}(1))` : name;
    out.line(`let ${total} = ${addUp}(local, share, ${own});`);
    return total;
  });
}

/** The function that adds the shares of all threads of a line: the one with the first share has the sum. Its name. */
function writeAddUp(shader: Shader, type: string, threads: number, apart: number): string {
  const suffix = type.replace(/\W/g, '');
  const memory = shader.declare(
    `shares_${suffix}`,
    `var<workgroup> shares_${suffix}: array<${type}, ${workgroupSize}>;`,
  );
  const name = `add_shares_${suffix}_${threads}`;
  return shader.helper(
    name,
    `
fn ${name}(local: u32, share: i32, value: ${type}) -> ${type} {
  ${memory}[local] = value;
  workgroupBarrier();
  for (var half = ${threads / 2}; half > 0; half /= 2) {
    if (share < half) {
      ${memory}[local] += ${memory}[local + u32(half${apart === 1 ? '' : ` * ${apart}`})];
    }
    workgroupBarrier();
  }
  return ${memory}[local];
}`,
  );
}

function writeResults(
  out: Body,
  { few, isAlongDepth }: Sharing,
  totals: readonly (readonly string[])[],
  batch: readonly string[],
  finish: Finish,
): void {
  out.block('if (share == 0)', () => {
    totals[0].forEach((_, i) => {
      const values = totals.map((names) => names[i]);
      const at = (line: string): [string, string] => (few === 'rows' ? [`${i}`, line] : [line, `${i}`]);
      if (isAlongDepth) out.line(finish.one(batch, ...at('line'), values));
      else if (few === 'rows') out.line(finish.four(batch, ...at('line'), values));
      else {
        for (let lane = 0; lane < 4; lane++) {
          const lanes = values.map((value) => `${value}[${lane}]`);
          out.line(finish.one(batch, ...at(lane === 0 ? 'line' : `line + ${lane}`), lanes));
        }
      }
    });
  });
}
