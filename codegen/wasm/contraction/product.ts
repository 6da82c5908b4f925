/**
 * How each sum of a contraction is computed: which factors are read in place and which are packed, how many steps are
 * done at a time, where the sums go.
 *
 *     whole     a tile's sums stay in registers over all steps
 *     blocks    long depths: so many steps of a packed factor for all rows of a block, then the next ones
 *     steps     few rows: a few rows of a large right factor at a time are read in place, from left to right, as memory
 *               likes it; sums of a block of 256 steps wait in memory
 */
import { ceilDivDims, type Dim, dimBounds, isStatic, mulDims } from '../../../base/dim.ts';
import { byteSize, type DType } from '../../../base/dtype.ts';
import { contractionBlock, type IndexExpression } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { coefficientOf } from '../../common/linear-index.ts';
import type { Sum } from '../../common/products.ts';
import type { KernelFacts } from '../../common/walk.ts';
import type { FunctionBuilder } from '../function-builder.ts';
import type { RecordLayout } from '../record.ts';
import { type InPlace, leftInPlace, rightInPlace, stepsInPlace } from './in-place.ts';
import type { Contraction } from './match.ts';
import type { StripStrides } from './micro.ts';
import type { ContractionSchedule } from './schedule.ts';

/** Where packed right factors are: a chunk after the other or all columns, in the thread's memory or the launch's. */
export type Packing = 'chunk' | 'all' | 'shared';

export interface BlockOptions {
  /** Makes names of functions and scratch arrays unique in the module. */
  readonly prefix: string;
  readonly schedule: ContractionSchedule;
  readonly packing: Packing;
  /** Whether what is packed stays from launch to launch. */
  readonly isKept: boolean;
  /** The most rows that one call of `rows` is for. */
  readonly blockRows: number;
  /** Columns of a chunk, whose right factors should stay in the cache. */
  readonly chunk: number;
  /** Whether rows of scratch memory are likely to have zeros at their ends, steps of which can be left out. */
  readonly skipsZeros: boolean;
}

/** Results that are nothing but the sums. */
export interface Direct {
  readonly memory: string;
  readonly index: IndexExpression;
  /** Bytes from row to row. */
  readonly row: Dim;
}

/** How a sum is computed. */
export interface Product {
  readonly sum: Sum;
  /**
   * Whether steps are taken two at a time, as pairs of 16-bit integers in a lane: for narrow integers, whose products
   * and sums of two products fit 32 bits (or wrap as they should).
   */
  readonly inPairs: boolean;
  /** Steps, or pairs of them. */
  readonly depth: Dim;
  /** The factors, where they are read in place. */
  readonly left: InPlace | undefined;
  readonly right: InPlace | undefined;
  readonly order: 'whole' | 'blocks' | 'steps';
  /** Steps that are done at a time. */
  readonly steps: number;
  /** Steps at the ends of the depth are left out where the left factor is zero: a local that says whether they may. */
  readonly finite: number | undefined;
  /** Columns of a register tile: more where there are few rows, so that whole cache lines are read. */
  readonly columns: number;
  /** Where whole tiles of sums are stored at once. */
  readonly direct: Direct | undefined;
  /** Names of its scratch arrays. */
  readonly strip: string;
  readonly partial: string;
  readonly leftPanel: string;
  readonly rightPanel: string;
}

/** Elements of a step in the left panel of some rows. */
export const leftWidth = (tileRows: number): number => 4 * Math.ceil(tileRows / 4);

/** Plans a sum, without memory for it. */
export function planProduct(
  f: FunctionBuilder,
  facts: KernelFacts,
  c: Contraction,
  sum: Sum,
  options: BlockOptions,
  prefix: string,
): Product {
  const { layout } = f;
  const { schedule, packing } = options;
  const inPairs = isPairwise(layout, facts, sum);
  const depth = inPairs ? ceilDivDims(sum.depth, 2) : sum.depth;
  const left = inPairs ? undefined : leftInPlace(layout, sum, c);
  const isOwn = left?.step === 1 && facts.written.has(left.memory);
  const mayBeZero = isOwn && sum.dtype === 'float32' && packing === 'all' && options.skipsZeros;
  const mayBeSteps = packing !== 'all';
  const right = inPairs
    ? undefined
    : rightInPlace(layout, sum, c, { isChecked: mayBeZero, mayBeSteps, isKept: options.isKept });
  const steps = !mayBeSteps || !right ? undefined : stepsInPlace(right, sum, c);
  const isLong = mayBeSteps && likelyExtent(depth) > schedule.depthBlock;
  const isWide = right && likelyExtent(c.row.extent) <= 2;
  const columns = isWide ? Math.max(16, schedule.tileColumns) : schedule.tileColumns;
  const names = ['strip', 'partial', 'left', 'right'].map((name) => `${prefix}${name}`);
  return {
    sum,
    inPairs,
    depth,
    left,
    right,
    order: steps ? 'steps' : isLong ? 'blocks' : 'whole',
    steps: steps ?? schedule.depthBlock,
    finite: mayBeZero && !right ? f.newLocal('i32', 'finite') : undefined,
    columns,
    direct: steps || (isStatic(c.column.extent) && c.column.extent < columns) ? undefined : directStore(layout, c),
    strip: names[0],
    partial: names[1],
    leftPanel: names[2],
    rightPanel: names[3],
  };
}

/** Whether both factors of a sum fit 16 bits. */
function isPairwise(layout: RecordLayout, { dtypes }: KernelFacts, { dtype, reduced, left, right }: Sum): boolean {
  if (dtype === 'float32' || reduced.length !== 1) return false;
  return [left, right].every(({ value, lets }) => {
    const expression = lets.find(({ id }) => id === value)?.expression;
    if (expression?.kind === 'load') return isNarrow(layout.dtypeOf(expression.memory));
    if (expression?.kind !== 'apply' || expression.opcode !== 'convert') return false;
    const from = dtypes.get(expression.operands[0]);
    return from !== undefined && isNarrow(from);
  });
}

const isNarrow = (dtype: DType): boolean => dtype === 'int8' || dtype === 'uint8' || dtype === 'int16';

/** The one store that an epilogue is, of nothing but the sum and in vectors of columns. */
function directStore(layout: RecordLayout, { sums, row, column, lets, epilogue }: Contraction): Direct | undefined {
  const [sum] = sums;
  const [store] = epilogue;
  if (sums.length !== 1 || lets.length > 0 || epilogue.length !== 1 || store.kind !== 'store') return undefined;
  const { memory, index, value, combine, when } = store;
  if (value !== sum.result || combine !== 'assign' || when !== undefined) return undefined;
  if (layout.dtypeOf(memory) !== sum.dtype || !index.terms.every(({ factor }) => factor.kind === 'axis'))
    return undefined;
  const [own, across] = [coefficientOf(index, column.name), coefficientOf(index, row.name)];
  if (own !== 1 || across === undefined) return undefined;
  return { memory, index, row: mulDims(across, byteSize(sum.dtype)) };
}

/** Reserves the scratch memory of a sum. `rows` of sums wait in its strip. */
export function reserve(
  layout: RecordLayout,
  c: Contraction,
  product: Product,
  options: BlockOptions,
  rows: number,
): void {
  const { sum, depth, left, right, strip, partial, leftPanel, rightPanel } = product;
  const { schedule, chunk, blockRows, packing } = options;
  const { tileRows, tileColumns } = schedule;
  layout.addScratch(strip, sum.dtype, rows * chunk);
  if (hasPartial(product)) layout.addScratch(partial, sum.dtype, rows * chunk);
  const panels = Math.ceil(blockRows / tileRows);
  if (!left) layout.addScratch(leftPanel, sum.dtype, mulDims(depth, panels * leftWidth(tileRows)));
  if (right) return;
  const all = mulDims(ceilDivDims(c.column.extent, tileColumns), tileColumns);
  if (packing !== 'shared') layout.addScratch(rightPanel, sum.dtype, mulDims(depth, packing === 'all' ? all : chunk));
  else layout.addShared(rightPanel, sum.dtype, mulDims(mulDims(depth, all), sharedRights(c)));
}

/** Whether the sums of a block of steps wait beside those of the blocks before. */
export const hasPartial = ({ sum, order }: Product): boolean =>
  order === 'steps' && sum.dtype === 'float32' && dimBounds(sum.depth)[1] > contractionBlock;

/** Right factors that a launch has: positions on the outer axes that any of them depends on. */
export const sharedRights = (c: Contraction): Dim =>
  c.outer.filter((axis) => dependsOn(c, axis.name)).reduce<Dim>((product, { extent }) => mulDims(product, extent), 1);

/** Whether right factors depend on an outer axis. */
export const dependsOn = ({ sums }: Contraction, axis: string): boolean =>
  sums.some(({ right }) => right.axes.has(axis));

/** Distances in bytes between what a strip reads and writes. */
export function stridesOf(product: Product, { schedule, chunk }: BlockOptions, isDirect: boolean): StripStrides {
  const { sum, depth, left, right, columns, direct } = product;
  const bytes = byteSize(sum.dtype);
  const { tileRows, tileColumns } = schedule;
  return {
    leftRow: left ? mulDims(left.own, bytes) : bytes,
    leftStep: left ? mulDims(left.step, bytes) : leftWidth(tileRows) * bytes,
    rightStep: right ? mulDims(right.step, byteSize(right.stored)) : tileColumns * bytes,
    rightTile: right ? columns * byteSize(right.stored) : mulDims(depth, tileColumns * bytes),
    resultRow: isDirect && direct ? direct.row : chunk * bytes,
  };
}

/** The counts, ascending, that a last tile of an extent may have; the full one always where it can occur. */
export function variants(extent: Dim, full: number): number[] {
  if (!isStatic(extent)) return Array.from({ length: full }, (_, i) => i + 1);
  const counts = extent % full === 0 ? [] : [extent % full];
  return extent >= full ? [...counts, full] : counts;
}
