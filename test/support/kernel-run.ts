/**
 * Runs a generated kernel on a WebAssembly memory beside the interpreter and compares the bytes. Buffers lie between
 * guard bytes that must not change; reads may go 16 bytes past a buffer, where these bytes are NaN patterns.
 *
 * A kernel runs in one call, in calls one after the other, and as threads may come to run it: the tiles of each phase
 * dealt in another order to hands with scratch memory of their own, which is as other work left it.
 */
import binaryen from 'binaryen';
import { evaluateDim } from '../../base/dim.ts';
import { type GeneratedKernel, generateKernel } from '../../codegen/wasm/kernel.ts';
import type { Kernel } from '../../ir/kernel.ts';
import type { BufferData } from '../../ir/kernel-interpret.ts';
import { Random } from '../../ir/ops/random.ts';
import { plainTier } from '../../runtime/program.ts';
import { engine, type KernelModule, kernelFunction, type LinearMemory } from '../../runtime/wasm/engine.ts';
import { compileModule } from '../../runtime/wasm/relaxed-simd.ts';
import { type Bindings, bindingMap, bytesOf, firstDifference, runInterpreted } from './kernel-data.ts';

/**
 * Whether kernels run at the very end of a 32-bit address space, where addresses are negative as signed numbers, and the
 * last buffer ends 16 bytes before 4 GiB. Pages that nobody touches cost nothing.
 */
let highMemory: LinearMemory | undefined;
const addressSpacePages = 65535;

/** Moves all kernels that run from now on to the end of the address space. */
export function placeHigh(): void {
  highMemory = new (engine().Memory)({ initial: addressSpacePages, maximum: addressSpacePages });
}

/** Where the runtime's first block begins; nothing is before it. */
const firstAddress = 64;
/** How far loads may go past a buffer. */
const readableSlack = 16;
const guardBytes = 64;
const guard = 0xa5;

export const generate = (kernel: Kernel): GeneratedKernel =>
  generateKernel(binaryen, kernel, { precision: 'strict', tier: plainTier });

export interface Run {
  /** The buffers after the run. */
  readonly buffers: BufferData[];
  readonly tiles: number;
}

interface Placed {
  readonly at: number;
  readonly data: BufferData;
}

interface Placement {
  readonly placed: readonly Placed[];
  /** Where the scratch memory of each hand begins, then that of the launch. */
  readonly scratchAt: readonly number[];
  readonly recordAt: number;
  readonly pages: number;
}

/** Bytes of scratch memory of each hand, then of the launch. */
type ScratchSizes = readonly number[];

/** A stretch of memory that a kernel is given, and where it ends up. */
interface Region {
  readonly size: number;
  at: number;
}

/**
 * Lays out buffers and scratch memory with guards between them, in an order that `turn` turns. The first begins where
 * the runtime's first block does, so that an address of something before it wraps around; the last ends 16 bytes before
 * the memory does. What reads further traps.
 */
function place(
  kernel: Kernel,
  inputs: readonly BufferData[],
  scratch: ScratchSizes,
  recordBytes: number,
  turn: number,
): Placement {
  const newRegion = (size: number): Region => ({ size, at: 0 });
  const own: Region[] = [];
  kernel.buffers.forEach(({ inPlaceOf }, i) => {
    own[i] = inPlaceOf === undefined ? newRegion(inputs[i].byteLength) : own[inPlaceOf];
  });
  const scratchRegions = scratch.map(newRegion);
  const record = newRegion(recordBytes);
  // Hands have scratch memory alike: that of the first is tried at the edges.
  const [mine, ...others] = scratchRegions;
  const shared = others.pop();
  const turning = [...new Set(own), ...[mine, shared].filter((region) => region !== undefined && region.size > 0)];
  const start = turn % turning.length;
  const [last, ...rest] = [...turning.slice(start), ...turning.slice(0, start)] as Region[];
  let at = firstAddress;
  const middle = [record, ...[...others, mine, shared].filter((region) => region && !turning.includes(region))];
  for (const region of [...rest.slice(0, 1), ...(middle as Region[]), ...rest.slice(1)]) {
    region.at = at;
    at = 16 * Math.ceil((at + region.size + guardBytes) / 16);
  }
  const pages = Math.ceil((at + last.size + readableSlack) / 65536);
  last.at = pages * 65536 - readableSlack - last.size;
  return {
    placed: own.map((region, i) => ({ at: region.at, data: inputs[i] })),
    scratchAt: scratchRegions.map((region) => region.at),
    recordAt: record.at,
    pages,
  };
}

/** Code that has been compiled. */
const modules = new WeakMap<Uint8Array, KernelModule>();

/** A call: which hand makes it, and its range of tiles. */
type Call = readonly [hand: number, begin: number, end: number];

/** Calls for parts of the whole range, one after the other. */
function callsInTurn(tiles: number, splits: readonly number[]): Call[] {
  const cuts = [0, ...splits.map((fraction) => Math.floor(fraction * tiles)), tiles];
  return cuts.slice(1).map((end, i): Call => [0, cuts[i], end]);
}

/** The tiles of each phase in pieces, each piece at random to one of the hands, in random order. */
function dealtCalls(phases: readonly number[], seed: number): Call[] {
  const random = new Random(seed);
  const calls: Call[] = [];
  let base = 0;
  for (const tiles of phases) {
    const dealt: (readonly [order: number, call: Call])[] = [];
    for (let begin = 0; begin < tiles; ) {
      const end = Math.min(tiles, begin + random.integer(1, Math.max(1, Math.ceil(tiles / 3))));
      dealt.push([random.next(), [random.integer(0, hands - 1), base + begin, base + end]]);
      begin = end;
    }
    calls.push(...dealt.sort(([a], [b]) => a - b).map(([, call]) => call));
    base += tiles;
  }
  return calls;
}

/** How the tiles are split into calls: at fractions of the whole range, or dealt to several hands by a seed. */
export type Split = readonly number[] | { readonly seed: number };

/** How many hands share a launch that is dealt. */
const hands = 3;

/**
 * Runs the code on copies of the inputs.
 * @param turn what lies first in memory, and what lies last (`place`)
 * @throws Error when bytes outside written buffers change; a trap when a read goes too far
 */
export function runGenerated(
  kernel: Kernel,
  generated: GeneratedKernel,
  inputs: readonly BufferData[],
  bindings: Bindings = {},
  split: Split = [],
  turn = 0,
): Run {
  const values = bindingMap(bindings);
  const own = evaluateDim(generated.scratchBytes, values);
  const scratch = [...Array.from({ length: hands }, () => own), evaluateDim(generated.sharedBytes, values)];
  const words = kernel.buffers.length + generated.sizes.length + 2;
  const { placed, scratchAt, recordAt, pages } = place(kernel, inputs, scratch, 4 * words * hands, turn);
  const { Memory } = engine();
  const base = highMemory ? (addressSpacePages - pages) * 65536 : 0;
  const memory = highMemory ?? new Memory({ initial: pages, maximum: pages });
  const bytes = new Uint8Array(memory.buffer, base);
  bytes.fill(guard);
  kernel.buffers.forEach(({ inPlaceOf }, i) => {
    if (inPlaceOf === undefined) bytes.set(bytesOf(placed[i].data), placed[i].at);
  });
  const shown = [...placed.map(({ at }) => base + at), ...generated.sizes.map((size) => evaluateDim(size, values))];
  const records = scratchAt.slice(0, hands).flatMap((at) => [...shown, base + at, base + scratchAt[hands]]);
  new Uint32Array(memory.buffer, base + recordAt, records.length).set(records);
  const before = bytes.slice();
  let module = modules.get(generated.code);
  if (!module) {
    module = compileModule(generated.code);
    modules.set(generated.code, module);
  }
  const run = kernelFunction(module, memory);
  const phases = generated.phases.map((phase) => evaluateDim(phase.tiles, values));
  const tiles = phases.reduce((sum, count) => sum + count, 0);
  const calls = 'seed' in split ? dealtCalls(phases, split.seed) : callsInTurn(tiles, split);
  for (const [hand, begin, end] of calls) run(base + recordAt + 4 * words * hand, begin, end);
  const after = new Uint8Array(memory.buffer, base);
  const masked = after.slice();
  const restore = (from: number, length: number): void => masked.set(before.subarray(from, from + length), from);
  kernel.buffers.forEach(({ access }, i) => {
    if (access !== 'read') restore(placed[i].at, placed[i].data.byteLength);
  });
  scratchAt.forEach((at, i) => {
    restore(at, scratch[i]);
  });
  if (Buffer.compare(masked, before) !== 0) {
    const at = masked.findIndex((byte, i) => byte !== before[i]);
    throw new Error(`kernel ${kernel.name} wrote to byte ${at}, outside its buffers (${placed.map((p) => p.at)})`);
  }
  const buffers = placed.map(({ at, data }) => {
    const copy = data.slice();
    bytesOf(copy).set(after.subarray(at, at + data.byteLength));
    return copy;
  });
  return { buffers, tiles };
}

/** Distance in units in the last place of float32. */
export function ulpDistance(a: number, b: number): number {
  if (Object.is(a, b) || (Number.isNaN(a) && Number.isNaN(b)) || a === b) return 0;
  const order = (value: number): number => {
    const bits = new Int32Array(new Float32Array([value]).buffer)[0];
    return bits < 0 ? -(bits & 0x7fffffff) : bits;
  };
  return Math.abs(order(a) - order(b));
}

const splitsTried: readonly Split[] = [[], [0.5], { seed: 1 }, [0.2, 0.25, 0.9], { seed: 2 }];

/**
 * Generates a kernel, runs it whole, in splits and dealt, with each buffer and scratch memory first and last in memory,
 * and compares with the interpreter.
 * @returns the difference, or `undefined` when all bytes are equal
 */
export function compareWithInterpreter(
  kernel: Kernel,
  inputs: readonly BufferData[],
  bindings: Bindings = {},
  generated: GeneratedKernel = generate(kernel),
): string | undefined {
  const expected = runInterpreted(kernel, inputs, bindings);
  const ways = Math.max(kernel.buffers.length + 2, splitsTried.length);
  for (let way = 0; way < ways; way++) {
    const split = splitsTried[way % splitsTried.length];
    const { buffers } = runGenerated(kernel, generated, inputs, bindings, split, way);
    for (let i = 0; i < buffers.length; i++) {
      if (kernel.buffers[i].access === 'read') continue;
      const difference = firstDifference(buffers[i], expected[i]);
      if (difference) return `${kernel.buffers[i].name}, split ${JSON.stringify(split)}, ${difference}`;
    }
  }
  return undefined;
}
