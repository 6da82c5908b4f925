/**
 * Whole random graphs, the same in every way of running them: op by op, compiled without fusion and with it, at several
 * sizes from one program, with inputs given up; and close to the reference evaluator, gradients included. A failure
 * prints the seed and the smallest module that still fails.
 */
import { describe, expect, test } from 'vitest';
import { isFloat } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { elementCount, literal } from '../../ir/literal.ts';
import type { Opcode } from '../../ir/opcodes.ts';
import { Random } from '../../ir/ops/random.ts';
import { printModule } from '../../ir/printer.ts';
import { type Graph, type Literal, type Module, mainOf } from '../../ir/types.ts';
import { vjpGraph } from '../../passes/grad/index.ts';
import { compileModule, runModule, runProgram } from '../support/device-run.ts';
import { atSize, differentWays, differs, distantFrom } from '../support/every-way.ts';
import { type RandomModuleOptions, randomModule } from '../support/random-graph.ts';
import { caseCount } from '../support/runs.ts';
import { type Runnable, shrink } from '../support/shrink.ts';

const firstSeed = Number(process.env.KILN_TEST_SEED ?? 0);
const seeds = (some: number, all: number): number[] =>
  Array.from({ length: caseCount(some, all) }, (_, i) => firstSeed + i);

const moduleOf = (graph: Graph): Module => ({ functions: [{ name: 'main', graph }], main: 'main' });

/** A random graph whose results are all values that nothing else uses, so that no op is dead. */
function randomGraph(seed: number, options: RandomModuleOptions): Runnable {
  const { module, inputs } = randomModule(seed, options);
  const { parameters, ops } = mainOf(module).graph;
  const used = new Set(ops.flatMap((op) => op.operands));
  const results = ops.flatMap((op) => op.results).filter((value) => !used.has(value));
  return { module: moduleOf({ parameters, ops, results: results.length > 0 ? results : [parameters[0]] }), inputs };
}

type Check = (runnable: Runnable) => Promise<string | undefined>;

const message = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

interface Fault {
  /** Of the kind of its exception, or 'difference': a smaller module must fail in the same way. */
  readonly kind: string;
  readonly text: string;
}

/** What is wrong with a module, an exception included. */
async function faultOf(check: Check, runnable: Runnable): Promise<Fault | undefined> {
  try {
    const text = await check(runnable);
    return text === undefined ? undefined : { kind: 'difference', text };
  } catch (error) {
    if (error instanceof KilnError) return { kind: error.code, text: message(error) };
    return { kind: 'exception', text: message(error) };
  }
}

async function checkAll(numbers: readonly number[], make: (seed: number) => Runnable, check: Check): Promise<void> {
  for (const seed of numbers) {
    const whole = make(seed);
    const fault = await faultOf(check, whole);
    if (fault === undefined) continue;
    const small = await shrink(whole, async (candidate) => (await faultOf(check, candidate))?.kind === fault.kind);
    const inputs = small.inputs.map(({ data }) => `[${Array.from(data)}]`).join('\n');
    const text = (await faultOf(check, small))?.text;
    expect.fail(`seed ${seed}: ${text}\n${printModule(small.module)}\n${inputs}\nwhole graph: ${fault.text}`);
  }
}

/** NaN bits are not part of the meaning, but `bitcast_convert` would show them. */
const withoutBits = (opcode: Opcode): boolean => opcode !== 'bitcast_convert';

const sameInAllWays: Check = ({ module, inputs }) => differentWays(module, inputs);

describe('strict: op by op, without fusion and with it, the same bits', () => {
  test('ordinary values', async () => {
    await checkAll(seeds(24, 1500), (seed) => randomGraph(seed, { ops: 16 }), sameInAllWays);
  });

  test('NaN, infinities, -0, extreme integers, empty arrays', async () => {
    await checkAll(
      seeds(16, 1500),
      (seed) => randomGraph(seed, { ops: 12, special: true, allow: withoutBits }),
      sameInAllWays,
    );
  });
});

describe.each(['fast', 'strict'] as const)('%s: close to the reference', (precision) => {
  test('values', async () => {
    const close: Check = async ({ module, inputs }) =>
      distantFrom(await runModule(module, inputs, { precision }), module, inputs);
    await checkAll(seeds(16, 1500), (seed) => randomGraph(seed, { ops: 16, smooth: true }), close);
  });

  test('gradients', async () => {
    const close: Check = async ({ module, inputs }) => {
      const differentiated = gradientOf({ module, inputs });
      if (!differentiated) return undefined;
      const given = await runModule(differentiated.module, differentiated.inputs, { precision });
      return distantFrom(given, differentiated.module, differentiated.inputs);
    };
    await checkAll(seeds(12, 1000), (seed) => randomGraph(seed, { ops: 10, smooth: true }), close);
  });
});

test('gradients in strict mode: op by op and compiled, the same bits', async () => {
  const same: Check = async (runnable) => {
    const differentiated = gradientOf(runnable);
    return differentiated && sameInAllWays(differentiated);
  };
  await checkAll(seeds(6, 500), (seed) => randomGraph(seed, { ops: 8, smooth: true }), same);
});

/** The module of the gradients of all float results for all float parameters, with random cotangents. */
function gradientOf({ module, inputs }: Runnable): Runnable | undefined {
  const { graph } = mainOf(module);
  const wrt = graph.parameters.flatMap(({ type }, i) => (isFloat(type.dtype) ? [i] : []));
  const outputs = graph.results.flatMap(({ type }, i) => (isFloat(type.dtype) ? [i] : []));
  if (wrt.length === 0 || outputs.length === 0) return undefined;
  const random = new Random(firstSeed, { special: false });
  const cotangents = outputs.map((i) =>
    random.literal(graph.results[i].type.dtype, graph.results[i].type.shape.map(Number)),
  );
  const differentiated = differentiate(graph, wrt, outputs);
  return differentiated && { module: moduleOf(differentiated), inputs: [...inputs, ...cotangents] };
}

/** `undefined` for graphs with an op that has no gradient, such as a scatter that takes the least. */
function differentiate(graph: Graph, wrt: readonly number[], outputs: readonly number[]): Graph | undefined {
  try {
    return vjpGraph(graph, { wrt, outputs });
  } catch (error) {
    if (error instanceof KilnError && error.code === 'not_differentiable') return undefined;
    throw error;
  }
}

/**
 * One program at several sizes, against the reference; in strict mode also against a program made for each size, bit
 * for bit. Size 1 is compared with the reference only: axes known to have it are dropped before the order of a sum is
 * settled.
 */
describe('symbolic sizes: one program at several sizes', () => {
  test.each(['fast', 'strict'] as const)('%s', async (precision) => {
    const check: Check = async ({ module, inputs }) => {
      const program = compileModule(module, { precision });
      const { graph } = mainOf(module);
      for (const size of multiplies(graph) ? [1, 2, 5] : [1, 2, 5, 64]) {
        const resized = resize(graph, inputs, size);
        const given = await runProgram(program, graph, resized);
        const fixed = precision === 'strict' && size > 1 ? atSize(graph, new Map([['B', size]])) : undefined;
        const fault =
          distantFrom(given, module, resized) ??
          (fixed && differs(given, await runModule(fixed, resized, { precision }), fixed, resized));
        if (fault) return `at size ${size}: ${fault}`;
      }
      return undefined;
    };
    await checkAll(seeds(10, 600), (seed) => randomGraph(seed, { ops: 10, smooth: true, symbolic: true }), check);
  });
});

/** Whether there are products of many elements, which leave the range of float32 when there are too many. */
const multiplies = ({ ops }: Graph): boolean =>
  ops.some(({ attributes }) => 'kind' in attributes && ['product', 'multiply'].includes(attributes.kind));

/** Inputs with another size of `B`, elements repeated as needed. */
function resize({ parameters }: Graph, inputs: readonly Literal[], size: number): Literal[] {
  return parameters.map(({ type: { dtype, shape } }, i) => {
    const sizes = shape.map((d) => (typeof d === 'number' ? d : size));
    const data = Float64Array.from(
      { length: elementCount(sizes) },
      (_, k) => inputs[i].data[k % inputs[i].data.length],
    );
    return literal(dtype, sizes, data);
  });
}
