/**
 * The chain `relu(tanh(2x+1)*x)` by hand: the yardstick of compiled elementwise kernels, in plain SIMD128, one thread.
 *
 * What makes it fast: tanh as a rational function of seven and four terms between clamps (pmin and pmax are one
 * instruction each, min and max about six in V8); constants in locals that are set before the loop; six vectors a
 * round, over which V8 spreads the reloads of constants that do not stay in registers; calls of 65,536 elements, so
 * that the engine switches to optimised code between calls. tanh is off by up to 7 ULP (that of the compiler by 2.5).
 *
 *     const chain = await handwrittenChain(Float32Array.of(0.5, -0.5, 1, 2));
 *     chain.run();
 *     chain.result();                                                  // 0.4820, 0, 0.9951, 1.9998
 */
import { createMemory, instantiate, type WasmMemory } from '../instantiate.ts';

/** tanh(a) / a as a quotient of polynomials in a^2: a minimax fit of the relative error up to 9.02 (2^-27.1). */
const numerator = [
  0.9999999932263242, 0.1308315952839651, 0.0031030043272591173, 1.1144287466831852e-5, -2.0184094998694346e-8,
  5.257838637103631e-11, -8.436191390112692e-14,
];
const denominator = [1, 0.4641648648930839, 0.024491392856345356, 0.00025447555371124026];

/** From here on tanh rounds to 1. */
const saturation = 9.02;

const vectorsPerRound = 6;
const elementsPerCall = 65536;

/** The module as WebAssembly text: `run(input, output, end)`, addresses of whole vectors, `end` that of the input. */
export function chainText(): string {
  const constants = new Set<number>();
  const constant = (value: number): string => {
    constants.add(value);
    return `(local.get $c${[...constants].indexOf(value)})`;
  };
  const add = (a: string, b: string): string => `(f32x4.add ${a} ${b})`;
  const multiply = (a: string, b: string): string => `(f32x4.mul ${a} ${b})`;
  const horner = (z: string, coefficients: readonly number[]): string =>
    coefficients
      .slice(0, -1)
      .reduceRight((sum, c) => add(multiply(sum, z), constant(c)), constant(coefficients[coefficients.length - 1]));

  const round = (vectors: number): string => {
    const copies = Array.from({ length: vectors }, (_, i) => i);
    const loads = copies.map((i) => `(local.set $x${i} (v128.load offset=${16 * i} (local.get $input)))`);
    const clamps = copies.map((i) => {
      const sum = add(multiply(`(local.get $x${i})`, constant(2)), constant(1));
      const below = `(f32x4.pmin ${sum} ${constant(saturation)})`;
      return `(local.set $a${i} (f32x4.pmax ${below} ${constant(-saturation)}))`;
    });
    const rest = copies.map((i) => {
      const [x, a, z] = [`(local.get $x${i})`, `(local.get $a${i})`, `(local.get $z${i})`];
      const tanh = `(f32x4.div ${multiply(a, horner(z, numerator))} ${horner(z, denominator)})`;
      const relu = `(f32x4.pmax ${multiply(tanh, x)} ${constant(0)})`;
      return `(local.set $z${i} ${multiply(a, a)}) (v128.store offset=${16 * i} (local.get $output) ${relu})`;
    });
    const step = ['input', 'output'].map(
      (name) => `(local.set $${name} (i32.add (local.get $${name}) (i32.const ${16 * vectors})))`,
    );
    return [...loads, ...clamps, ...rest, ...step].join('\n');
  };
  const loop = (name: string, vectors: number): string => {
    const next = `(i32.add (local.get $input) (i32.const ${16 * vectors}))`;
    return `(block $${name}_end (loop $${name}
      (br_if $${name}_end (i32.gt_u ${next} (local.get $end)))
      ${round(vectors)}
      (br $${name})))`;
  };
  const loops = [loop('main', vectorsPerRound), loop('tail', 1)].join('\n');
  const locals = [
    ...Array.from({ length: vectorsPerRound }, (_, i) => [`$x${i}`, `$a${i}`, `$z${i}`]).flat(),
    ...[...constants].map((_, i) => `$c${i}`),
  ];
  const set = [...constants].map((c, i) => `(local.set $c${i} (v128.const f32x4 ${c} ${c} ${c} ${c}))`);
  return `(module
    (import "env" "memory" (memory 1))
    (func (export "run") (param $input i32) (param $output i32) (param $end i32)
      ${locals.map((local) => `(local ${local} v128)`).join(' ')}
      ${set.join('\n')}
      ${loops}))`;
}

/** Instantiates the kernel on a memory; the function takes addresses and a number of elements, a multiple of four. */
export async function instantiateChain(
  memory: WasmMemory,
): Promise<(input: number, output: number, elements: number) => void> {
  const { default: binaryen } = await import('binaryen');
  const module = binaryen.parseText(chainText());
  module.setFeatures(binaryen.Features.SIMD128);
  const { run } = instantiate(module.emitBinary(), memory);
  module.dispose();
  return (input, output, elements) => {
    for (let done = 0; done < elements; done += elementsPerCall) {
      const count = Math.min(elementsPerCall, elements - done);
      run(input + 4 * done, output + 4 * done, input + 4 * (done + count));
    }
  };
}

export interface HandwrittenChain {
  /** Computes the whole chain once. */
  run(): void;
  /** A copy of what the last run computed. */
  result(): Float32Array;
}

/** The kernel on a memory of its own that holds `data`, whose length must be a multiple of four. */
export async function handwrittenChain(data: Float32Array): Promise<HandwrittenChain> {
  const bytes = data.byteLength;
  // A little apart, so that input and output do not compete for the same sets of the cache.
  const output = bytes + 2112;
  const memory = createMemory(Math.ceil((output + bytes) / 65536));
  new Float32Array(memory.buffer, 0, data.length).set(data);
  const run = await instantiateChain(memory);
  return {
    run: () => run(0, output, data.length),
    result: () => new Float32Array(memory.buffer, output, data.length).slice(),
  };
}
