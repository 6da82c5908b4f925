/**
 * Kernel → WASM. The module imports `kiln.memory` and exports `run(record: i32, begin: i32, end: i32)`, which does the
 * tiles from `begin` to `end`; any split of the range [0, tiles) into calls gives the same bytes.
 */
import { addDims, type Dim, isStatic } from '../../base/dim.ts';
import { byteSize } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import type { Kernel, KernelNode } from '../../ir/kernel.ts';
import { blockTransposes } from '../common/block.ts';
import { flopsOf } from '../common/cost.ts';
import { axesOfIndex } from '../common/linear-index.ts';
import { normalizeNodes } from '../common/normalize.ts';
import { splitUnits, type Unit } from '../common/units.ts';
import {
  axesOf,
  axisExtents,
  type KernelFacts,
  longestAxis,
  valueDTypes,
  walk,
  writtenMemory,
} from '../common/walk.ts';
import { buildContraction } from './contraction/emit.ts';
import { matchContraction } from './contraction/match.ts';
import { Environment } from './environment.ts';
import { FunctionBuilder } from './function-builder.ts';
import type { Binaryen, Module } from './math/emitter.ts';
import { NestEmitter } from './nest.ts';
import { planNodes } from './plan.ts';
import { RecordLayout } from './record.ts';
import { emitTiles, tileUnit } from './tiles.ts';

/** What shapes the code beside the kernel; part of its hash. */
export interface KernelOptions {
  readonly precision: 'fast' | 'strict';
}

export interface GeneratedKernel {
  readonly code: Uint8Array;
  /** Sizes the code reads from its record, in order. */
  readonly sizes: readonly Dim[];
  readonly tiles: Dim;
  readonly scratchBytes: Dim;
  readonly flops: Dim;
  /** The module as WebAssembly text. */
  text(): string;
}

/**
 * Generates the code of a kernel. Both precisions give the same code: nothing here contracts or reassociates.
 * @throws KilnError `unsupported_dtype`; `invalid_size` for an axis that is too long to count
 */
export function generateKernel(binaryen: Binaryen, kernel: Kernel, _options: KernelOptions): GeneratedKernel {
  const { module, layout, tiles } = buildModule(binaryen, kernel, false);
  const code = module.emitBinary();
  module.dispose();
  return {
    code,
    sizes: layout.sizes,
    tiles,
    scratchBytes: layout.scratchBytes,
    flops: flopsOf(kernel.body),
    text: () => {
      const named = buildModule(binaryen, kernel, true).module;
      const text = named.emitText();
      named.dispose();
      return text;
    },
  };
}

interface BuiltModule {
  readonly module: Module;
  readonly layout: RecordLayout;
  readonly tiles: Dim;
}

function buildModule(binaryen: Binaryen, kernel: Kernel, named: boolean): BuiltModule {
  const written = writtenMemory(kernel);
  const units = unitsOf(kernel, written);
  const body = units.flatMap(({ lets, nodes }) => [...lets, ...nodes]);
  checkExtents(kernel, body);
  const facts: KernelFacts = {
    extents: axisExtents(body),
    written,
    dtypes: valueDTypes(body),
  };
  const layout = new RecordLayout(kernel, named);
  const module = newModule(binaryen);
  const scratch = new Set(kernel.scratch.map(({ name }) => name));
  const parts = units.map((unit, i) => buildUnit(binaryen, module, layout, facts, unit, scratch, `c${i}_`));
  const tiles = parts.reduce<Dim>((sum, part) => addDims(sum, part.tiles), 0);
  const dispatch = parts.length === 1 ? undefined : buildDispatch(binaryen, module, layout, parts);
  parts.forEach(({ builder, helpers }, i) => {
    for (const [name, helper] of helpers) helper.finish(name);
    builder.finish(dispatch ? `part${i}` : 'run');
  });
  dispatch?.finish('run');
  module.addFunctionExport('run', 'run');
  return { module, layout, tiles };
}

/** Refuses axes too long to count. Extents with symbols are checked where they become numbers. */
function checkExtents({ name, buffers }: Kernel, body: readonly KernelNode[]): void {
  // It never runs: allocating the buffer fails first, and says so better.
  if (buffers.some(({ size, dtype }) => isStatic(size) && size * byteSize(dtype) > 2 ** 32)) return;
  for (const node of walk(body)) {
    for (const { extent } of axesOf(node)) {
      if (!isStatic(extent) || extent <= longestAxis) continue;
      throw new KilnError('invalid_size', `${name}: an axis is longer than a kernel can count`, {
        given: `${extent} elements`,
        expected: `at most ${longestAxis}`,
        hint: 'work on parts of the array',
      });
    }
  }
}

/**
 * The parts of a kernel, normalised. What becomes of one independent node stays in one part: normalising takes loops
 * apart, and their pieces share scratch memory.
 */
function unitsOf({ body, independent }: Kernel, written: ReadonlySet<string>): readonly Unit[] {
  const normalized = (nodes: readonly KernelNode[]): readonly KernelNode[] =>
    blockTransposes(normalizeNodes(nodes, written));
  if (!independent) return splitUnits(normalized(body), false, written);
  return splitUnits(body, true, written).flatMap(({ lets, nodes }) =>
    splitUnits([...lets, ...normalized(nodes)], false, written),
  );
}

function newModule(binaryen: Binaryen): Module {
  const module = new binaryen.Module();
  const { SIMD128, BulkMemory, SignExt, NontrappingFPToInt, MutableGlobals } = binaryen.Features;
  module.setFeatures(SIMD128 | BulkMemory | SignExt | NontrappingFPToInt | MutableGlobals);
  module.setMemory(1, -1, null, []);
  module.addMemoryImport('0', 'kiln', 'memory', false);
  return module;
}

const runParameters = ['record', 'begin', 'end'] as const;

interface Part {
  readonly builder: FunctionBuilder;
  readonly tiles: Dim;
  /** Functions of its own, by name. */
  readonly helpers: readonly (readonly [string, FunctionBuilder])[];
}

function buildUnit(
  binaryen: Binaryen,
  module: Module,
  layout: RecordLayout,
  facts: KernelFacts,
  unit: Unit,
  scratch: ReadonlySet<string>,
  prefix: string,
): Part {
  const builder = new FunctionBuilder(binaryen, module, layout, runParameters);
  const contraction = matchContraction(unit, facts.written);
  if (contraction) return buildContraction(builder, facts, contraction, prefix);
  const fixed = new Set([...walk(unit.nodes)].filter((node) => isRepeatedOverScratch(node, scratch)));
  const plan = planNodes(unit.nodes, fixed);
  const emitter = new NestEmitter(new Environment(builder, facts), plan);
  const tiling = tileUnit(unit, plan);
  emitTiles(emitter, unit, tiling);
  return { builder, tiles: tiling.tiles, helpers: [] };
}

/**
 * Whether every round of a loop writes the same elements of scratch memory. Such a loop can not run across the lanes:
 * they share the memory.
 */
function isRepeatedOverScratch(node: KernelNode, scratch: ReadonlySet<string>): boolean {
  if (node.kind !== 'loop') return false;
  return [...walk(node.body)].some(
    (inner) => inner.kind === 'store' && scratch.has(inner.memory) && !axesOfIndex(inner.index).has(node.axis.name),
  );
}

/** `run` of a kernel with several parts: each part gets its share of the range. */
function buildDispatch(
  binaryen: Binaryen,
  module: Module,
  layout: RecordLayout,
  parts: readonly Part[],
): FunctionBuilder {
  const f = new FunctionBuilder(binaryen, module, layout, runParameters);
  const { i32 } = module;
  let base: Dim = 0;
  parts.forEach(({ tiles }, i) => {
    const start = base;
    const least = (a: () => number, b: () => number): number => module.select(i32.lt_s(a(), b()), a(), b());
    const greatest = (a: () => number, b: () => number): number => module.select(i32.gt_s(a(), b()), a(), b());
    const shifted = (parameter: number) => (): number => i32.sub(f.get(parameter), f.size(start));
    const from = f.let(
      'i32',
      greatest(shifted(1), () => f.i32(0)),
    );
    const to = f.let(
      'i32',
      least(shifted(2), () => f.size(tiles)),
    );
    const call = module.call(`part${i}`, [f.get(0), f.get(from), f.get(to)], binaryen.none);
    f.statement(module.if(i32.lt_s(f.get(from), f.get(to)), call));
    base = addDims(base, tiles);
  });
  return f;
}
