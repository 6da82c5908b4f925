/**
 * A network of layers in every way of compiling it that must give the same, and what is different in words: op by op,
 * whole, with parts of the compiler left out, within less memory, with inputs given up, called again, at symbolic
 * sizes.
 *
 *     faultOfLayers(randomLayers(7), new Random(7))
 */
import { dim } from '../../base/dim.ts';
import { KilnError } from '../../base/error.ts';
import { variants } from '../../bench/ablation/variants.ts';
import { traceModel } from '../../bench/models/trace.ts';
import { type Tensor, tree } from '../../index.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { elementAt, elementCount } from '../../ir/literal.ts';
import type { Random } from '../../ir/ops/random.ts';
import { type Literal, type Module, mainOf } from '../../ir/types.ts';
import { runPasses } from '../../passes/manager.ts';
import { inlineCalls } from '../../passes/optimize/index.ts';
import { footprintOf } from '../../runtime/footprint.ts';
import type { Program } from '../../runtime/program.ts';
import { currentDevice } from '../../runtime/session.ts';
import { type CompileRequest, compile } from '../../tracer/compiler.ts';
import { runEager, runProgram } from './device-run.ts';
import { atSize, differs, distantFrom } from './every-way.ts';
import type { RandomLayers } from './random-layers.ts';

export interface LayersCase {
  readonly module: Module;
  readonly inputs: readonly Literal[];
  /** Whether elements may be NaN or infinite: results are then compared for which of them are. */
  readonly special: boolean;
}

/** The inputs of a network; with `special`, now and then NaN, an infinity or -0 among them. */
export async function layersCase(network: RandomLayers, random: Random, special: boolean): Promise<LayersCase> {
  const model = network.model();
  const tensors = tree.leaves(model.make(random.integer(0, 1000)) as Tensor[]) as Tensor[];
  const read = (await Promise.all(tensors.map((tensor) => tensor.data()))) as Float32Array[];
  const inputs = tensors.map((tensor, at): Literal => {
    const data = Float64Array.from(read[at]);
    if (special && tensor.dtype === 'float32' && random.boolean(0.3)) {
      for (let i = random.integer(1, 3); i > 0 && data.length > 0; i--) {
        data[random.integer(0, data.length - 1)] = random.pick([Number.NaN, Infinity, -Infinity, -Infinity, -0, 0]);
      }
    }
    return { dtype: tensor.dtype, shape: tensor.shape, data };
  });
  for (const tensor of tensors) tensor.dispose();
  return { module: traceModel(model), inputs, special };
}

const flat = (module: Module): Module =>
  runPasses(module, [inlineCalls], { precision: 'strict', verify: true, constantBudget: 65_536 });

const peakOf = (program: Program): number =>
  footprintOf(program, new Map(program.symbols.map(({ name, max }) => [name, max]))).peak;

const names = variants().filter(({ name }) => name !== 'inlineCalls');

export type LayerWay = readonly [name: string, options: Partial<Omit<CompileRequest, 'tier'>>];

/** Ways to compile that must not change a bit. */
function waysOf(random: Random, count: number, inputs: number, peak: number): LayerWay[] {
  const donated = Array.from({ length: inputs }, () => random.boolean());
  const left = Array.from({ length: count }, () => random.pick(names));
  const share = 0.5 + random.next() / 2;
  const memoryBudget = Math.max(1, Math.floor(peak * share));
  const others: LayerWay[] = [
    ['with inputs given up', { donated }],
    ['with inputs given up', { donated }],
    [`within ${share.toFixed(2)} of the memory`, { memoryBudget }],
    [`within ${share.toFixed(2)} of the memory, inputs given up`, { memoryBudget, donated }],
  ];
  return [...left.map(({ name, without }): LayerWay => [`without ${name}`, { without }]), random.pick(others)];
}

/** A program, or nothing where its budget can not be met. */
function programOf(
  module: Module,
  precision: 'fast' | 'strict',
  options: Partial<Omit<CompileRequest, 'tier'>>,
): Program | undefined {
  const donated = mainOf(module).graph.parameters.map(() => false);
  try {
    return compile({ module, name: 'layers', precision, donated, tier: currentDevice().tier, ...options }).program;
  } catch (error) {
    if (error instanceof KilnError && error.code === 'memory_budget') return undefined;
    throw error;
  }
}

/** @param left how many parts of the compiler are left out by turns */
export async function faultOfLayers(
  { module, inputs, special }: LayersCase,
  random: Random,
  left = 2,
): Promise<string | undefined> {
  const other = (given: readonly Literal[], expected: readonly Literal[]): string | undefined =>
    differs(given, expected, plain, inputs);
  const { graph } = mainOf(module);
  const plain = flat(module);
  const strict = programOf(module, 'strict', {})!;
  const base = await runProgram(strict, graph, inputs);
  const alone = other(base, await runEager(plain, inputs, 'strict'));
  if (alone) return `strict against op by op: ${alone}`;
  const fast = programOf(module, 'fast', {})!;
  const fastBase = await runProgram(fast, graph, inputs);
  for (const [precision, given] of [
    ['strict', base],
    ['fast', fastBase],
  ] as const) {
    const fault = special ? otherKinds(given, plain, inputs) : distantFrom(given, plain, inputs);
    if (fault) return `${precision} against the reference: ${fault}`;
  }
  for (const [name, options] of waysOf(random, left, inputs.length, peakOf(strict))) {
    const program = programOf(module, 'strict', options);
    if (!program) continue;
    if (options.memoryBudget !== undefined && peakOf(program) > options.memoryBudget) return `${name}: takes more`;
    const fault = other(await runProgram(program, graph, inputs), base);
    if (fault) return `strict, ${name}: ${fault}`;
    if (special || !random.boolean(0.3)) continue;
    const quick = programOf(module, 'fast', options);
    const far = quick && distantFrom(await runProgram(quick, graph, inputs), plain, inputs);
    if (far) return `fast, ${name}: ${far}`;
  }
  const again =
    other(await runProgram(strict, graph, inputs), base) ?? other(await runProgram(fast, graph, inputs), fastBase);
  return again && `called again: ${again}`;
}

/** Where the reference is surely NaN, infinite or neither, and the result is not of that kind. */
function otherKinds(given: readonly Literal[], module: Module, inputs: readonly Literal[]): string | undefined {
  const [double, rounded] = (['double', 'rounded'] as const).map((mode) => evaluateModule(module, inputs, { mode }));
  const kind = (x: number): string => (Number.isNaN(x) ? 'NaN' : Number.isFinite(x) ? 'finite' : String(x));
  for (let r = 0; r < given.length; r++) {
    for (let i = 0; i < elementCount(given[r].shape); i++) {
      const [x, y, z] = [given, double, rounded].map((results) => elementAt(results[r], i));
      if (kind(y) === kind(z) && kind(x) !== kind(y)) return `result ${r}, element ${i} is ${x} instead of ${y}`;
    }
  }
  return undefined;
}

/** One program of symbolic sizes at several: close to the reference, and in strict mode as one made for the sizes. */
export async function faultOfSymbolicLayers(
  network: RandomLayers,
  random: Random,
  precision: 'fast' | 'strict',
): Promise<string | undefined> {
  const [batch, time] = [random.boolean(), random.boolean() && !network.text.includes('cumulative')];
  const symbols = {
    batch: batch || !time ? dim('B', { min: 1, max: 8 }) : network.sizes.batch,
    time: time ? dim('T', { min: 1, max: 128 }) : network.sizes.time,
  };
  const module = traceModel(network.model(symbols));
  const { graph } = mainOf(module);
  const program = programOf(module, precision, {})!;
  const plain = flat(module);
  for (let call = 0; call < 3; call++) {
    const sizes = {
      batch: typeof symbols.batch === 'number' ? symbols.batch : random.integer(1, 4),
      time: typeof symbols.time === 'number' ? symbols.time : random.pick([1, 2, 3, 4, 5, 8, 9, 17, 32, 41]),
    };
    const tensors = tree.leaves(network.model(sizes).make(call) as Tensor[]) as Tensor[];
    const read = (await Promise.all(tensors.map((tensor) => tensor.data()))) as Float32Array[];
    const inputs = tensors.map(
      ({ dtype, shape }, at): Literal => ({ dtype, shape, data: Float64Array.from(read[at]) }),
    );
    const given = await runProgram(program, graph, inputs);
    const bindings = new Map(Object.entries({ B: sizes.batch, T: sizes.time }));
    const fixed = atSize(mainOf(plain).graph, bindings);
    const exact = precision === 'strict' && sizes.batch > 1 && sizes.time > 1;
    const fault =
      distantFrom(given, fixed, inputs) ??
      (exact
        ? differs(given, await runProgram(programOf(fixed, 'strict', {})!, mainOf(fixed).graph, inputs), fixed, inputs)
        : undefined);
    if (fault) return `${precision}, B ${sizes.batch}, T ${sizes.time}: ${fault}`;
  }
  return undefined;
}
