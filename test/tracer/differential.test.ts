/**
 * Whole random functions three ways: eager, compiled, and by the reference evaluator on the traced graph; and their
 * gradients likewise. In strict mode eager and compiled agree bit for bit; both are close to the reference.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compile, concat, grad, init, type Tensor, tensor, where } from '../../index.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { denseData } from '../../ir/literal.ts';
import { parseModule } from '../../ir/parser.ts';

/** Maps a stack of [3,4] tensors to one more, chosen by two indices. */
type Step = (a: Tensor, b: Tensor) => Tensor;

const steps: Record<string, Step> = {
  add: (a, b) => a.add(b),
  sub: (a, b) => a.sub(b),
  mul: (a, b) => a.mul(b),
  div: (a, b) => a.div(b.square().add(1)),
  max: (a, b) => a.maximum(b),
  tanh: (a) => a.clip(-3, 3).tanh(), // 1 - tanh² of more cancels in float32
  exp: (a) => a.minimum(3).exp(),
  log: (a) => a.square().add(0.5).log(),
  sqrt: (a) => a.square().add(0.25).sqrt(),
  rowSum: (a, b) => a.sub(b.mean(-1, { keepdims: true })),
  columnMax: (a, b) => a.sub(b.max(0, { keepdims: true })),
  softmax: (a) => a.softmax(-1),
  matmul: (a, b) => a.matmul(b.transpose()).matmul(b).mul(0.1),
  transpose: (a) => a.transpose().reshape([3, 4]),
  slices: (a, b) => concat([a.slice([0, 2]), b.slice([2, 3])], 0),
  where: (a, b) => where(a.greater(b), a, b.neg()),
  reverse: (a) => a.flip([1]),
  numbers: (a) => a.mul(0.75).add(2),
};

const program = fc.array(fc.record({ step: fc.constantFrom(...Object.keys(steps)), a: fc.nat(30), b: fc.nat(30) }), {
  minLength: 1,
  maxLength: 12,
});

const build =
  (lines: readonly { step: string; a: number; b: number }[]) =>
  (x: Tensor, y: Tensor): Tensor => {
    const stack = [x, y];
    for (const { step, a, b } of lines) stack.push(steps[step](stack[a % stack.length], stack[b % stack.length]));
    return stack[stack.length - 1];
  };

const weights = () =>
  tensor([
    [1, -2, 0.5, 3],
    [0.25, 1, -1, 2],
    [-0.5, 1.5, 1, -3],
  ]);

const input = (seed: number) =>
  Float32Array.from({ length: 12 }, (_, i) => Math.fround(Math.sin(seed * 13.7 + i * 2.3) * 1.5));

/** The graph of a compiled function in double precision. */
function reference(graph: string, inputs: readonly Float32Array[]): Float64Array {
  const literals = inputs.map((data) => ({ dtype: 'float32' as const, shape: [3, 4], data }));
  const [result] = evaluateModule(parseModule(graph), literals, { mode: 'double' });
  return Float64Array.from(denseData(result));
}

function expectClose(actual: ArrayLike<number>, expected: Float64Array, what: string): void {
  let scale = 1e-3;
  for (const value of expected) if (Number.isFinite(value)) scale = Math.max(scale, Math.abs(value));
  for (let i = 0; i < expected.length; i++) {
    if (Number.isFinite(expected[i]))
      expect(Math.abs(actual[i] - expected[i]) / scale, `${what} ${i}`).toBeLessThan(2e-4);
    else expect(Number.isFinite(actual[i]), `${what} ${i}`).toBe(false);
  }
}

const runs = process.env.KILN_TEST === 'full' ? 300 : 12;

describe.each(['strict', 'fast'] as const)('%s', (precision) => {
  it('random functions agree eager, compiled and with the reference', async () => {
    await init({ precision });
    try {
      await fc.assert(
        fc.asyncProperty(program, fc.nat(100), async (lines, seed) => {
          const f = build(lines);
          const data = [input(seed), input(seed + 1)];
          const [x, y] = data.map((values) => tensor(values, { shape: [3, 4] }));
          const compiled = compile(f, { name: 'random' });
          const [a, b] = [await f(x, y).data(), await compiled(x, y).data()];
          if (precision === 'strict') expect([...b]).toEqual([...a]);
          const exact = reference(String(compiled.lower(x, y).graph), data);
          expectClose(a as Float32Array, exact, 'eager');
          expectClose(b as Float32Array, exact, 'compiled');
        }),
        { numRuns: runs },
      );
    } finally {
      await init();
    }
  });

  it('so do their gradients', async () => {
    await init({ precision });
    try {
      await fc.assert(
        fc.asyncProperty(program, fc.nat(100), async (lines, seed) => {
          const g = grad((x: Tensor, y: Tensor) => build(lines)(x, y).mul(weights()).sum());
          const data = [input(seed), input(seed + 1)];
          const [x, y] = data.map((values) => tensor(values, { shape: [3, 4] }));
          const compiled = compile(g, { name: 'random_grad' });
          const [a, b] = [await g(x, y).data(), await compiled(x, y).data()];
          if (precision === 'strict') expect([...b]).toEqual([...a]);
          const exact = reference(String(compiled.lower(x, y).graph), data);
          expectClose(b as Float32Array, exact, 'compiled');
        }),
        { numRuns: runs },
      );
    } finally {
      await init();
    }
  });
});
