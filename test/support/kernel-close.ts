/**
 * Whether the floats that a device computed are as close to the interpreter's as the roundings of its ops allow. How
 * far that is, the interpreter itself shows: it runs the kernel several times with every op off by what its row in
 * `wgslUlp` allows, up or down at random (Monte Carlo arithmetic: Parker, Pierce and Eggert, 2000). Cancellation, long
 * sums and steep functions are in it.
 *
 *     const expected = expectationOf(kernel, inputs, bindings);
 *     closeToInterpreter(kernel, buffersOfTheDevice, expected)     // undefined, or 'y: element 3: got …, expected …'
 *
 * Integers, bools and what ops without rounding give are the same in all runs, and must be the very values. NaN is NaN;
 * a zero may have either sign, and what is subnormal may be zero (https://www.w3.org/TR/WGSL/#floating-point-evaluation).
 */
import { decodeBfloat16, decodeFloat16 } from '../../base/half.ts';
import type { Kernel, KernelBuffer } from '../../ir/kernel.ts';
import type { BufferData } from '../../ir/kernel-interpret.ts';
import { Random } from '../../ir/ops/random.ts';
import { type Bindings, runInterpreted } from './kernel-data.ts';
import { disturbance } from './tolerance.ts';

export interface Expectation {
  readonly exact: readonly BufferData[];
  /** The buffers of the disturbed runs. */
  readonly disturbed: readonly (readonly BufferData[])[];
}

const disturbedRuns = 3;
/** How many times the farthest of the disturbed runs a result may be off. */
const safety = 8;
const smallestNormal = 2 ** -126;

export function expectationOf(kernel: Kernel, inputs: readonly BufferData[], bindings: Bindings): Expectation {
  const exact = runInterpreted(kernel, inputs, bindings);
  const disturbed = Array.from({ length: disturbedRuns }, (_, run) => {
    const random = new Random(run + 1);
    return runInterpreted(kernel, inputs, bindings, (opcode, value) => disturbance(opcode, value, random));
  });
  return { exact, disturbed };
}

function decoded({ dtype }: KernelBuffer, data: BufferData, i: number): number {
  if (dtype === 'float16') return decodeFloat16(data[i]);
  return dtype === 'bfloat16' ? decodeBfloat16(data[i]) : data[i];
}

/** The distance to the next number that a float dtype has, relative to the number; 0 for other dtypes. */
const spacings: Readonly<Partial<Record<KernelBuffer['dtype'], number>>> = {
  float32: 2 ** -23,
  float16: 2 ** -10,
  bfloat16: 2 ** -7,
};

/**
 * How far disturbed runs go in most elements of a buffer, relative to the element. In a single element they may all end
 * near the exact result by chance.
 */
function usualReach(buffer: KernelBuffer, exact: BufferData, disturbed: readonly BufferData[]): number {
  const reaches: number[] = [];
  for (let i = 0; i < exact.length; i++) {
    const b = decoded(buffer, exact, i);
    const reach = Math.max(...disturbed.map((run) => Math.abs(decoded(buffer, run, i) - b))) / Math.abs(b);
    if (reach > 0 && reach < Infinity) reaches.push(reach);
  }
  return reaches.length === 0 ? 0 : reaches.sort((a, b) => a - b)[reaches.length >> 1];
}

/** The first difference, in words; `undefined` when there is none. */
export function closeToInterpreter(
  kernel: Kernel,
  given: readonly BufferData[],
  { exact, disturbed }: Expectation,
): string | undefined {
  for (const [at, buffer] of kernel.buffers.entries()) {
    const spacing = spacings[buffer.dtype] ?? 0;
    const runs = disturbed.map((run) => run[at]);
    const usual = spacing > 0 ? usualReach(buffer, exact[at], runs) : 0;
    for (let i = 0; i < exact[at].length; i++) {
      const [a, b] = [decoded(buffer, given[at], i), decoded(buffer, exact[at], i)];
      if (Object.is(a, b) || a === b) continue;
      let reach = 0;
      for (const run of runs) {
        const other = decoded(buffer, run, i);
        if (!Object.is(other, b)) reach = Math.max(reach, Math.abs(other - b));
      }
      // NaN or an infinity of all runs is none of chance.
      if (reach === 0 && !Number.isFinite(b)) return `${buffer.name}: element ${i}: got ${a}, expected ${b}`;
      // A disturbed run that ends elsewhere altogether: nothing can be said of this element.
      if (Number.isNaN(reach) || reach === Infinity) continue;
      reach = Math.max(reach, usual * Math.abs(b));
      if (reach === 0) {
        if (spacing > 0 && Math.abs(a - b) <= smallestNormal) continue;
        return `${buffer.name}: element ${i}: got ${a}, expected ${b}`;
      }
      const bound = safety * reach + (spacing < 2 ** -20 ? smallestNormal : spacing * Math.abs(b));
      if (!(Math.abs(a - b) <= bound)) return `${buffer.name}: element ${i}: got ${a}, expected ${b}, bound ${bound}`;
    }
  }
  return undefined;
}
