/**
 * Runs modules on the session's device as users' functions run: optimisation passes, lowering, code generation, and the
 * runtime. The last word of the end-to-end tests.
 *
 *     await runModule(module, inputs, { precision: 'strict' })         // one Literal for each result
 *     await runEager(module, inputs, 'strict')                         // each op a program of its own
 */
import { evaluateDim } from '../../base/dim.ts';
import { loadBinaryen } from '../../codegen/wasm/load.ts';
import { generateProgram as generateWasm } from '../../codegen/wasm/program.ts';
import { generateProgram as generateWgsl } from '../../codegen/wgsl/program.ts';
import { denseData, elementCount } from '../../ir/literal.ts';
import { type Literal, type Module, mainOf, type Value } from '../../ir/types.ts';
import { lowerModule } from '../../passes/lower-module.ts';
import { runPasses } from '../../passes/manager.ts';
import { optimizePipeline } from '../../passes/optimize/index.ts';
import type { Device } from '../../runtime/device.ts';
import { decodeElements, encodeElements } from '../../runtime/elements.ts';
import type { Program } from '../../runtime/program.ts';
import { currentDevice } from '../../runtime/session.ts';
import { runPrimitive } from '../../tracer/eager.ts';
import { CompiledSource, programKey } from '../../tracer/program-cache.ts';
import { type Precision, setDefaultPrecision } from '../../tracer/settings.ts';
import { Tensor } from '../../tracer/tensor.ts';
import { bindSymbols } from './run-lowered.ts';

const binaryen = await loadBinaryen();

export interface DeviceRunOptions {
  readonly precision: Precision;
  /** `none`: one kernel for each op of the optimised graph. */
  readonly fusion?: 'full' | 'none';
  /** For each input, whether the program may overwrite it. */
  readonly donated?: readonly boolean[];
}

/** The program of a module; with full fusion by the very function that compiles users' functions. */
export function compileModule(module: Module, options: DeviceRunOptions): Program {
  const { precision, fusion = 'full' } = options;
  const device = currentDevice();
  const donated = options.donated ?? mainOf(module).graph.parameters.map(() => false);
  if (fusion === 'full') {
    const options = { name: 'test', precision, donated, device };
    return new CompiledSource(programKey(module, options), { module }, options).prepareSync();
  }
  const context = { precision, verify: true, constantBudget: 65_536 };
  const optimized = runPasses(module, optimizePipeline, context);
  const lowered = lowerModule(optimized, { name: 'test', donated, precision, fusion });
  const { tier } = device;
  return tier.target === 'wasm'
    ? generateWasm(binaryen, lowered, { precision, tier }).program
    : generateWgsl(lowered, { precision, tier }).program;
}

/** Fills free memory with NaN patterns, so that reading what nobody wrote shows. */
export function poisonMemory(device: Device = currentDevice(), bytes = 1 << 20): void {
  device.upload('uint8', [bytes], new Uint8Array(bytes).fill(0xff)).dispose();
}

const bytesOf = (array: Literal): Uint8Array => encodeElements(array.dtype, denseData(array));

/**
 * Runs a program of a module.
 * @throws Error when it wrote into an input that was not given up
 */
export async function runProgram(
  program: Program,
  { parameters, results }: { readonly parameters: readonly Value[]; readonly results: readonly Value[] },
  inputs: readonly Literal[],
): Promise<Literal[]> {
  const device = currentDevice();
  const bindings = bindSymbols(
    parameters.map(({ type }) => type),
    inputs,
  );
  const outputs = results.map(({ type }) => ({
    dtype: type.dtype,
    shape: type.shape.map((size) => evaluateDim(size, bindings)),
  }));
  poisonMemory(device);
  const given = inputs.map((input) => device.upload(input.dtype, input.shape, bytesOf(input)));
  const source = { name: program.name, program, prepare: () => Promise.resolve(program), prepareSync: () => program };
  const handles = device.run(source, given, outputs);
  const values = await Promise.all(
    handles.map(async (handle, i) => ({
      ...outputs[i],
      data: decodeElements(handle.dtype, await device.read(handle)),
    })),
  );
  for (const [i, { donated }] of program.inputs.entries()) {
    if (donated) continue;
    const [now, before] = [await device.read(given[i]), bytesOf(inputs[i])];
    if (!now.every((byte, at) => byte === before[at])) throw new Error(`input ${i} was overwritten`);
  }
  for (const handle of [...handles, ...given]) handle.dispose();
  return values as unknown as Literal[];
}

/** Compiles a module and runs it. */
export const runModule = (module: Module, inputs: readonly Literal[], options: DeviceRunOptions): Promise<Literal[]> =>
  runProgram(compileModule(module, options), mainOf(module).graph, inputs);

/** Runs a module op by op, each a program of its own, as eager gradients do. */
export async function runEager(module: Module, inputs: readonly Literal[], precision: Precision): Promise<Literal[]> {
  const { graph } = mainOf(module);
  const device = currentDevice();
  const values = new Map<Value, Tensor>();
  graph.parameters.forEach((parameter, i) => {
    const { dtype, shape } = inputs[i];
    values.set(parameter, Tensor.of(dtype, shape, device.upload(dtype, shape, bytesOf(inputs[i]))));
  });
  setDefaultPrecision(precision);
  try {
    for (const { opcode, operands, attributes, results } of graph.ops) {
      const tensors = operands.map((operand) => values.get(operand)!);
      values.set(results[0], runPrimitive(opcode, tensors, attributes));
    }
  } finally {
    setDefaultPrecision('fast');
  }
  const read = graph.results.map((result) => values.get(result)!);
  const literals = await Promise.all(
    read.map(async (tensor) => ({ dtype: tensor.dtype, shape: tensor.shape, data: await tensor.data() })),
  );
  for (const tensor of values.values()) tensor.dispose();
  return literals as unknown as Literal[];
}

/** What differs between two lists of arrays, bit for bit but for which NaN it is; `undefined` when nothing does. */
export function bitDifference(given: readonly Literal[], expected: readonly Literal[]): string | undefined {
  if (given.length !== expected.length) return `${given.length} results instead of ${expected.length}`;
  for (let r = 0; r < given.length; r++) {
    const [a, b] = [given[r], expected[r]];
    if (a.dtype !== b.dtype || String(a.shape) !== String(b.shape)) {
      return `result ${r} is ${a.dtype}[${a.shape}] instead of ${b.dtype}[${b.shape}]`;
    }
    const [x, y] = [denseData(a), denseData(b)];
    for (let i = 0; i < elementCount(a.shape); i++) {
      if (!Object.is(x[i], y[i])) return `result ${r}, element ${i} is ${x[i]} instead of ${y[i]}`;
    }
  }
  return undefined;
}
