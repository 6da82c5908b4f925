/**
 * Kernel → WASM. The module imports `kiln.memory` and exports `run(record: i32, begin: i32, end: i32)`, which does the
 * tiles from `begin` to `end`. The tiles of a phase may be done in any order by any threads; a phase begins when the
 * one before it has ended.
 *
 *     parts of a kernel     first phases    second phases
 *       matmul                pack            compute           tiles [0, t0 + t1): phase 0 is pack and sums,
 *       a sum               sums                              phase 1 is compute
 */
import { addDims, type Dim, equalDims, isStatic } from '../../base/dim.ts';
import { internalError } from '../../base/error.ts';
import type { Kernel, KernelScratch } from '../../ir/kernel.ts';
import type { WasmTier } from '../../runtime/program.ts';
import { flopsOf, likelyExtent } from '../common/cost.ts';
import { checkExtents } from '../common/extents.ts';
import { type Unit, unitsOf } from '../common/units.ts';
import {
  addedProducts,
  axisExtents,
  type KernelFacts,
  valueDTypes,
  walk,
  writtenBy,
  writtenMemory,
} from '../common/walk.ts';
import { ColumnEmitter, type Columns, matchColumns, tileColumns } from './columns.ts';
import { buildContraction } from './contraction/emit.ts';
import { type Contraction, matchContraction } from './contraction/match.ts';
import { type ContractionSchedule, checkSchedule, defaultSchedule, scheduleKey } from './contraction/schedule.ts';
import { Environment } from './environment.ts';
import { FunctionBuilder } from './function-builder.ts';
import type { Binaryen, Module } from './math/emitter.ts';
import { NestEmitter } from './nest.ts';
import { type NestSchedule, nestScheduleKey } from './nest-schedule.ts';
import { emitPartials, matchPartials, type Partials } from './partials.ts';
import { type Plan, planNodes } from './plan.ts';
import { RecordLayout } from './record.ts';
import { buildRows } from './rows/emit.ts';
import { matchRows, type RowKernel } from './rows/match.ts';
import { Helpers } from './sort/emit.ts';
import { emitTiles, tileUnit } from './tiles.ts';
import { emitTranspose, matchTranspose, type Transpose, tileTranspose } from './transpose.ts';
import { loopsOverScratch, widenScratch } from './wide-scratch.ts';
import { buildWindow } from './window/emit.ts';
import { matchWindow } from './window/match.ts';
import { matchWindowReduction, type WindowReduction } from './window/match-reduction.ts';
import { buildWindowReduction } from './window/reduction.ts';
import { buildWinograd, winogradCut } from './window/winograd.ts';

/** What shapes the code beside the kernel; part of its hash. */
export interface KernelOptions {
  readonly precision: 'fast' | 'strict';
  readonly tier: WasmTier;
  /** The schedule of its contractions, where it was measured; without it one is chosen by the sizes. */
  readonly contraction?: ContractionSchedule;
  /** The same of its other loops. */
  readonly nest?: NestSchedule;
}

/** Whether code may fuse multiplications with additions, which leave other last bits. */
export const mayFuse = ({ precision, tier }: KernelOptions): boolean => precision === 'fast' && tier.relaxedSimd;

/** What of the options shapes code; part of a kernel's hash. */
export const optionsKey = (options: KernelOptions): string =>
  `${options.precision}${mayFuse(options) ? ' fma' : ''}${options.tier.threads ? ' shared' : ''}` +
  (options.contraction ? ` ${scheduleKey(options.contraction)}` : '') +
  (options.nest ? ` ${nestScheduleKey(options.nest)}` : '');

/** A stretch of tiles that may run in any order (`KernelPhase` of the program). */
export interface TilePhase {
  readonly tiles: Dim;
  /** Tiles in a row that share work. */
  readonly group: Dim;
}

export interface GeneratedKernel {
  readonly code: Uint8Array;
  /** Sizes the code reads from its record, in order. */
  readonly sizes: readonly Dim[];
  readonly phases: readonly TilePhase[];
  readonly scratchBytes: Dim;
  readonly sharedBytes: Dim;
  /** Bytes of the buffer behind its own, where packed factors are kept (`Kernel.packed`). */
  readonly packedBytes: Dim;
  readonly flops: Dim;
  /** The module as WebAssembly text. */
  text(): string;
}

/**
 * Generates the code of a kernel. Code for `fast` has shorter ways to some functions, and contracts products and sums
 * where the tier can.
 * @throws KilnError `unsupported_dtype`; `invalid_size` for an axis that is too long to count
 */
export function generateKernel(binaryen: Binaryen, kernel: Kernel, options: KernelOptions): GeneratedKernel {
  const { module, layout, phases } = buildModule(binaryen, kernel, options, false);
  const code = module.emitBinary();
  module.dispose();
  return {
    code,
    sizes: layout.sizes,
    phases,
    // Packing computes in registers; what is reserved beside it is for the work.
    scratchBytes: kernel.packed === 'make' ? 0 : layout.scratchBytes,
    sharedBytes: kernel.packed ? 0 : layout.sharedBytes,
    packedBytes: kernel.packed ? layout.sharedBytes : 0,
    flops: kernel.packed === 'make' ? layout.sharedBytes : flopsOf(kernel.body),
    text: () => kernelText(binaryen, kernel, options),
  };
}

/** The code of a kernel as WebAssembly text, with names. */
export function kernelText(binaryen: Binaryen, kernel: Kernel, options: KernelOptions): string {
  const { module } = buildModule(binaryen, kernel, options, true);
  const text = module.emitText();
  module.dispose();
  return text;
}

interface BuiltModule {
  readonly module: Module;
  readonly layout: RecordLayout;
  readonly phases: readonly TilePhase[];
}

function buildModule(binaryen: Binaryen, kernel: Kernel, options: KernelOptions, named: boolean): BuiltModule {
  const written = writtenMemory(kernel);
  const { units, scratch } = prepareUnits(unitsOf(kernel, written), kernel, written);
  const body = units.flatMap(({ lets, nodes }) => [...lets, ...nodes]);
  checkExtents(kernel, body);
  const facts: KernelFacts = {
    extents: axisExtents(body),
    written,
    dtypes: valueDTypes(body),
    products: mayFuse(options) ? addedProducts(body) : new Map(),
  };
  const layout = new RecordLayout(
    { ...kernel, scratch },
    { named, isFast: options.precision === 'fast', mayFuse: mayFuse(options) },
  );
  const module = newModule(binaryen, options.tier);
  const parts = units.map((unit, i): Part => {
    const builder = new FunctionBuilder(binaryen, module, layout, runParameters);
    return buildUnit(
      builder,
      facts,
      unit,
      { ...options, ...(kernel.packed && { packed: kernel.packed }) },
      prefixOf(i),
    );
  });
  const dispatch = parts.length === 1 ? undefined : buildDispatch(binaryen, module, layout, parts);
  parts.forEach(({ builder, helpers }, i) => {
    for (const [name, helper] of helpers) helper.finish(name);
    builder.finish(dispatch ? `part${i}` : 'run');
  });
  dispatch?.finish('run');
  module.addFunctionExport('run', 'run');
  return { module, layout, phases: phasesOf(parts) };
}

/** Refuses axes too long to count. Extents with symbols are checked where they become numbers. */
function newModule(binaryen: Binaryen, { threads, relaxedSimd }: WasmTier): Module {
  const module = new binaryen.Module();
  const { SIMD128, RelaxedSIMD, BulkMemory, SignExt, NontrappingFPToInt, MutableGlobals } = binaryen.Features;
  const always = SIMD128 | BulkMemory | SignExt | NontrappingFPToInt | MutableGlobals;
  module.setFeatures(always | (relaxedSimd ? RelaxedSIMD : 0) | (threads ? binaryen.Features.Atomics : 0));
  // A shared memory says how far it grows, and a module takes any that grows no further than it says.
  module.setMemory(1, threads ? 65536 : -1, null, [], threads);
  module.addMemoryImport('0', 'kiln', 'memory', threads);
  return module;
}

/** Makes the names of a unit's functions and scratch arrays unique. */
const prefixOf = (unit: number): string => `c${unit}_`;

/** A unit with its schedule: contractions and rows of contractions have templates, everything else a plan. */
interface PreparedUnit extends Unit {
  readonly contraction?: Contraction;
  readonly rows?: RowKernel;
  readonly windows?: WindowReduction;
  readonly transpose?: Transpose;
  readonly columns?: Columns;
  readonly partials?: Partials;
  readonly plan?: Plan;
}

/**
 * Finds the schedules of units. Where a loop over scratch rows runs across the lanes, each lane gets rows of its own;
 * blocks of rows have scratch arrays of their own altogether.
 */
function prepareUnits(
  units: readonly Unit[],
  kernel: Kernel,
  written: ReadonlySet<string>,
): { readonly units: readonly PreparedUnit[]; readonly scratch: readonly KernelScratch[] } {
  let { scratch } = kernel;
  const prepared = units.map((unit, i): PreparedUnit => {
    const contraction = matchContraction(unit, written);
    if (contraction) return { ...unit, contraction };
    const rows = matchRows(unit, { kernel, written, prefix: prefixOf(i) });
    if (rows) return { ...unit, rows };
    const windows = matchWindowReduction(unit, written);
    if (windows) return { ...unit, windows };
    const transpose = matchTranspose(unit, kernel);
    if (transpose) return { ...unit, transpose, plan: planNodes(unit.nodes, new Set()) };
    const plan = planNodes(unit.nodes, new Set());
    const columns = matchColumns(unit, plan, kernel);
    if (columns) return { ...unit, columns, plan };
    const partials = matchPartials(unit, plan);
    if (partials) return { ...unit, partials, plan };
    const widened = widenScratch(unit.nodes, scratch, plan);
    if (!widened) return { ...unit, plan };
    scratch = widened.scratch;
    const { nodes } = widened;
    return { ...unit, nodes, plan: planNodes(nodes, loopsOverScratch(nodes, scratch)) };
  });
  const stored = new Set<string>();
  for (const node of walk(prepared.flatMap(({ nodes, rows }) => (rows ? [] : nodes)))) {
    for (const memory of writtenBy(node)) stored.add(memory);
  }
  return { units: prepared, scratch: scratch.filter(({ name }) => stored.has(name)) };
}

/** The factors of a contraction that code packs before it multiplies. */
export interface RightFactors {
  /** The buffers that they are computed from, by number. */
  readonly reads: readonly number[];
  /** How many rows are multiplied by one of them. */
  readonly rows: number;
}

/** The contraction that a kernel is, if it is nothing else and code for it follows a schedule. */
export function plainContraction(kernel: Kernel): Contraction | undefined {
  const written = writtenMemory(kernel);
  const units = unitsOf(kernel, written);
  const contraction = units.length === 1 ? matchContraction(units[0], written) : undefined;
  return contraction && !matchWindow(contraction) ? contraction : undefined;
}

/** Whether a kernel is a single nest of loops with a reduction in it, whose code follows a schedule. */
export function isPlainReduction(kernel: Kernel): boolean {
  const written = writtenMemory(kernel);
  const { units } = prepareUnits(unitsOf(kernel, written), kernel, written);
  const [{ rows, windows, contraction, transpose, columns, partials, nodes }] = units;
  if (units.length !== 1 || rows || windows || contraction || transpose || columns || partials) return false;
  return [...walk(nodes)].some((node) => node.kind === 'reduce');
}

/** The right factors of a kernel that is a contraction and nothing else. */
export function rightFactors(kernel: Kernel): RightFactors | undefined {
  const contraction = plainContraction(kernel);
  if (!contraction) return undefined;
  const { sums, outer, row } = contraction;
  const memories = new Set<string>();
  for (const { right } of sums) {
    for (const { expression } of right.lets) if (expression.kind === 'load') memories.add(expression.memory);
  }
  const reads = [...memories].map((memory) => kernel.buffers.findIndex(({ name }) => name === memory));
  const others = outer.filter(({ name }) => !sums.some(({ right }) => right.axes.has(name)));
  return { reads, rows: [row, ...others].reduce((product, { extent }) => product * likelyExtent(extent), 1) };
}

const runParameters = ['record', 'begin', 'end'] as const;

/** The function of a unit. Its range is its phases one after the other. */
interface Part {
  readonly builder: FunctionBuilder;
  readonly phases: readonly TilePhase[];
  /** Functions of its own, by name. */
  readonly helpers: readonly (readonly [string, FunctionBuilder])[];
}

function buildUnit(
  builder: FunctionBuilder,
  facts: KernelFacts,
  unit: PreparedUnit,
  options: KernelOptions & Pick<Kernel, 'packed'>,
  prefix: string,
): Part {
  const { rows, windows, contraction, transpose, columns, partials, plan } = unit;
  if (rows) return buildRows(builder, facts, rows, prefix);
  if (windows) return buildWindowReduction(builder, facts, unit, windows, prefix);
  if (contraction) {
    const window = matchWindow(contraction);
    const cut = window && options.precision === 'fast' ? winogradCut(window) : undefined;
    if (window && cut) return buildWinograd(builder, facts, window, cut, prefix);
    if (window) return buildWindow(builder, facts, window, prefix);
    const schedule = checkSchedule(options.contraction ?? defaultSchedule(contraction));
    const { packed } = options;
    return buildContraction(builder, facts, contraction, { schedule, prefix, ...(packed && { packed }) });
  }
  if (!plan) throw internalError('a part of a kernel has no schedule');
  const helpers = new Helpers(prefix);
  const scheduled = plan.scheduled(options.nest);
  const emitter = new NestEmitter(new Environment(builder, facts), scheduled, helpers);
  if (partials) {
    const phases = emitPartials(emitter, unit, partials, prefix).map((tiles) => ({ tiles, group: 1 }));
    return { builder, phases, helpers: helpers.all };
  }
  if (columns) {
    const tiling = tileColumns(columns);
    const sweeps = new ColumnEmitter(emitter, columns, tiling.columns, prefix);
    emitTiles(emitter, unit, tiling, (span) => sweeps.emit(span));
    return { builder, phases: [{ tiles: tiling.tiles, group: 1 }], helpers: helpers.all };
  }
  const tiling = transpose ? tileTranspose(transpose) : tileUnit(unit, scheduled);
  if (transpose) emitTranspose(emitter, unit, transpose, tiling);
  else emitTiles(emitter, unit, tiling);
  return { builder, phases: [{ tiles: tiling.tiles, group: 1 }], helpers: helpers.all };
}

/** The phases of a kernel: the first of all parts together, then the second, and so on. */
function phasesOf(parts: readonly Part[]): TilePhase[] {
  const count = Math.max(0, ...parts.map(({ phases }) => phases.length));
  return Array.from({ length: count }, (_, at): TilePhase => {
    const together = parts.flatMap(({ phases }) => phases.slice(at, at + 1));
    const tiles = together.reduce<Dim>((sum, phase) => addDims(sum, phase.tiles), 0);
    // Parts with groups of different sizes: the larger groups are the dearer ones to cut.
    const largest = Math.max(...together.map(({ group }) => (isStatic(group) ? group : 1)));
    const group = together.length === 1 ? together[0].group : largest;
    return { tiles, group };
  });
}

/** `run` of a kernel with several parts: each part gets its share of the range, phase by phase. */
function buildDispatch(
  binaryen: Binaryen,
  module: Module,
  layout: RecordLayout,
  parts: readonly Part[],
): FunctionBuilder {
  const f = new FunctionBuilder(binaryen, module, layout, runParameters);
  const { i32 } = module;
  /** Where the next tiles begin in the kernel's range, and in each part's own. */
  let base: Dim = 0;
  const own = parts.map((): Dim => 0);
  const count = phasesOf(parts).length;
  for (let phase = 0; phase < count; phase++) {
    parts.forEach(({ phases }, i) => {
      if (phase >= phases.length) return;
      const { tiles } = phases[phase];
      const [start, ownStart] = [base, own[i]];
      const shifted = (parameter: number) => (): number => i32.sub(f.get(parameter), f.size(start));
      const from = f.let(
        'i32',
        f.greatest(shifted(1), () => f.i32(0)),
      );
      const to = f.let(
        'i32',
        f.least(shifted(2), () => f.size(tiles)),
      );
      const inPart = (tile: number): number => {
        return equalDims(ownStart, 0) ? f.get(tile) : i32.add(f.get(tile), f.size(ownStart));
      };
      const call = module.call(`part${i}`, [f.get(0), inPart(from), inPart(to)], binaryen.none);
      f.statement(module.if(i32.lt_s(f.get(from), f.get(to)), call));
      base = addDims(base, tiles);
      own[i] = addDims(ownStart, tiles);
    });
  }
  return f;
}
