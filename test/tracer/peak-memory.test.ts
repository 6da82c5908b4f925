/**
 * The memory that `explain` tells before anything runs is the high-water mark of the allocator: arguments, outputs,
 * constants, temporaries, packed operands and scratch rows, to the byte.
 */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { modelsOf } from '../../bench/models/index.ts';
import {
  compile,
  dim,
  init,
  memory,
  relu,
  resetPeakMemory,
  shutdown,
  softmax,
  spec,
  type Tensor,
  tensor,
  tree,
  valueAndGrad,
  zeros,
} from '../../index.ts';

const counted = (...shape: number[]): Tensor => {
  const count = shape.reduce((product, size) => product * size, 1);
  return tensor(
    Float32Array.from({ length: count }, (_, i) => ((i * 37) % 101) / 101 - 0.5),
    { shape },
  );
};

/** Waits until everything in a tree of tensors has been computed. */
const settled = (results: unknown): Promise<unknown> =>
  Promise.all((tree.leaves(results) as Tensor[]).map((result) => result.ready()));

/** The high-water mark of one run on a device that holds the arguments alone. */
async function measure(fn: (...args: never[]) => unknown, args: readonly Tensor[]): Promise<number> {
  resetPeakMemory();
  await settled((fn as (...args: readonly Tensor[]) => unknown)(...args));
  return memory().peakBytes;
}

beforeEach(async () => {
  await shutdown();
  await init();
});

afterAll(async () => {
  await shutdown();
});

describe('explain().peakBytes is the high-water mark of a run', () => {
  it('of a chain of elementwise operations', async () => {
    const chain = compile((x: Tensor, y: Tensor) => x.mul(y).tanh().add(1));
    const args = [counted(33, 77), counted(77)] as const;
    const { peakBytes, memory: parts } = chain.explain(...args);
    expect(await measure(chain, args)).toBe(peakBytes);
    expect(parts).toMatchObject({ inputs: 4 * (33 * 77 + 77), outputs: 4 * 33 * 77, arena: 0, constants: 0 });
  });

  it('of a matrix product, packing included', async () => {
    const product = compile((x: Tensor, y: Tensor) => relu(x.matmul(y)));
    const args = [counted(201, 133), counted(133, 190)] as const;
    const { peakBytes, memory: parts } = product.explain(...args);
    // WebGPU keeps tiles in workgroup memory.
    expect(parts.scratch > 0).toBe(args[0].device === 'wasm');
    expect(await measure(product, args)).toBe(peakBytes);
  });

  it('of rows in scratch memory, and of constants', async () => {
    const table = Float32Array.from({ length: 512 }, (_, i) => Math.sin(i));
    const rows = compile((x: Tensor) => softmax(x.sin().mul(tensor(table))).mul(x));
    const args = [counted(40, 512)] as const;
    expect(await measure(rows, args)).toBe(rows.explain(...args).peakBytes);
  });

  it('of a training step, with and without donation', async () => {
    const loss = (w1: Tensor, w2: Tensor, x: Tensor): Tensor => relu(x.matmul(w1)).matmul(w2).square().mean();
    const step = (w1: Tensor, w2: Tensor, x: Tensor): readonly Tensor[] => {
      const [value, [g1, g2]] = valueAndGrad(loss, { argnums: [0, 1] })(w1, w2, x);
      return [value, w1.sub(g1.mul(0.1)), w2.sub(g2.mul(0.1))];
    };
    for (const donate of [[], [0, 1]]) {
      await shutdown();
      await init();
      const compiled = compile(step, { donate });
      const args = [counted(64, 96), counted(96, 10), counted(32, 64)] as const;
      const { peakBytes, memory: parts } = compiled.explain(...args);
      expect(parts.outputs).toBe(donate.length > 0 ? 4 : 4 * (64 * 96 + 96 * 10 + 1));
      expect(await measure(compiled, args)).toBe(peakBytes);
    }
  });

  it('of symbolic sizes, for the sizes at hand', async () => {
    const rows = dim('B', { min: 1, max: 512 });
    const compiled = compile((x: Tensor, w: Tensor) => softmax(x.matmul(w)).matmul(w.mT), {
      dynamic: [spec([rows, 48]), undefined],
    });
    const args = [counted(37, 48), counted(48, 64)] as const;
    expect(await measure(compiled, args)).toBe(compiled.explain(...args).peakBytes);
  });

  it.each(modelsOf('small').map((model) => [model.name, model] as const))('of %s', async (_, model) => {
    const compiled = compile(model.fn, { name: model.name });
    const args = model.make(7);
    const explained = compiled.explain(...args).peakBytes;
    resetPeakMemory();
    await settled(compiled(...args));
    expect(memory().peakBytes).toBe(explained);
  });

  it('of nothing but zeros', async () => {
    const none = compile((x: Tensor) => zeros([3, 4]).add(x));
    const args = [counted(4)] as const;
    expect(await measure(none, args)).toBe(none.explain(...args).peakBytes);
  });
});
