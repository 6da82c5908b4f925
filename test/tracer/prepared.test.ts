/**
 * What a compiled function computes once from the tensors it has captured: it is there from the second call on, it is
 * computed anew when a tensor is another one, and it goes when they go or when memory is short.
 */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { compile, dim, init, memory, resetPeakMemory, shutdown, spec, type Tensor, tensor } from '../../index.ts';
import { observeLaunches } from '../../runtime/profile.ts';

const counted = (count: number, seed = 1): Tensor =>
  tensor(Float32Array.from({ length: count }, (_, i) => ((i * 37 * seed) % 101) / 101 - 0.5));

const size = 4096;
const activated = (x: Tensor, w: Tensor): Tensor => x.mul(w.exp().add(1).log().tanh());

/** Kernels launched while something runs. */
async function launchesOf(body: () => Tensor): Promise<string[]> {
  const launched: string[] = [];
  const stop = observeLaunches(({ kernel }) => launched.push(kernel));
  try {
    await body().ready();
  } finally {
    stop();
  }
  return launched;
}

beforeEach(async () => {
  await shutdown();
  await init();
});

afterAll(async () => {
  await shutdown();
});

describe('what follows from a captured tensor', () => {
  it('is computed at the first call alone, with the same bits', async () => {
    const [w, x] = [counted(size), counted(size, 2)];
    const kept = compile((y: Tensor) => activated(y, w));
    const plain = compile((y: Tensor, v: Tensor) => activated(y, v));
    const expected = await plain(x, w).data();
    expect(await launchesOf(() => kept(x))).toHaveLength(2);
    expect(await launchesOf(() => kept(x))).toHaveLength(1);
    expect(await kept(x).data()).toEqual(expected);
    const { kernels, preparation, memory: parts } = kept.explain(x);
    expect([kernels, preparation.length, parts.prepared]).toEqual([1, 1, 4 * size]);
  });

  it('is counted by explain as the device holds it', async () => {
    const w = counted(size);
    const kept = compile((y: Tensor) => activated(y, w));
    const x = counted(size, 2);
    const { peakBytes } = kept.explain(x);
    resetPeakMemory();
    await kept(x).ready();
    expect(memory().peakBytes).toBe(peakBytes);
  });

  it('serves every size of a symbolic one', async () => {
    const w = counted(size);
    const rows = dim('B', { min: 1, max: 64 });
    const kept = compile((y: Tensor) => activated(y, w), { dynamic: [spec([rows, size])] });
    const of = (count: number): Tensor => counted(count * size, 3).reshape([count, size]);
    const [five, two] = [of(5), of(2)];
    expect(await launchesOf(() => kept(two))).toHaveLength(2);
    expect(await launchesOf(() => kept(five))).toHaveLength(1);
    expect(await launchesOf(() => kept(two))).toHaveLength(1);
    expect(await kept(five).data()).toEqual(await activated(five, w).data());
  });

  it('goes with the tensor, and with the device', async () => {
    const w = counted(size);
    const kept = compile((y: Tensor) => activated(y, w));
    const x = counted(size, 2);
    await kept(x).ready();
    const before = memory().programBytes;
    w.dispose();
    expect(before - memory().programBytes).toBe(4 * size);
    expect(() => kept(x)).toThrow(/use_after_dispose/);
  });

  it('is not kept of arguments, or of what is given up', async () => {
    const plain = compile((y: Tensor, v: Tensor) => activated(y, v), { donate: [1] });
    expect(plain.explain(spec([size]), spec([size])).preparation).toEqual([]);
  });

  it('is left out where a memory budget asks for it', async () => {
    const w = counted(size);
    const x = counted(size, 2);
    const { peakBytes } = compile((y: Tensor) => activated(y, w)).explain(x);
    const tight = compile((y: Tensor) => activated(y, w), { memoryBudget: peakBytes - 1 });
    expect(tight.explain(x).preparation).toEqual([]);
    expect(await tight(x).data()).toEqual(await activated(x, w).data());
  });
});

describe('fields of this', () => {
  class Layer {
    w = counted(size);
    @compile
    forward(x: Tensor): Tensor {
      return activated(x, this.w);
    }
    @compile
    step(x: Tensor): Tensor {
      const loss = activated(x, this.w);
      this.w = this.w.sub(loss.mul(0.1));
      return loss;
    }
  }

  it('are captured where the method does not assign them, and followed when something else does', async () => {
    const [layer, x] = [new Layer(), counted(size, 2)];
    const launches = async (): Promise<number> => (await launchesOf(() => layer.forward(x))).length;
    expect([await launches(), await launches()]).toEqual([2, 1]);
    layer.w = counted(size, 5);
    expect(await layer.forward(x).data()).toEqual(await activated(x, layer.w).data());
    expect(await launches()).toBe(1);
    await layer.step(x).ready();
    expect(await launches()).toBe(2);
    expect(await layer.forward(x).data()).toEqual(await activated(x, layer.w).data());
  });

  it('of several objects take turns without computing anew', async () => {
    const layers = [new Layer(), new Layer(), new Layer()];
    layers.forEach((layer, at) => {
      layer.w = counted(size, at + 3);
    });
    const x = counted(size, 2);
    for (const layer of layers) await layer.forward(x).ready();
    for (const layer of layers) expect(await launchesOf(() => layer.forward(x))).toHaveLength(1);
    for (const layer of layers) {
      expect(await layer.forward(x).data()).toEqual(await activated(x, layer.w).data());
    }
  });

  it('that are assigned are no reason to keep anything', async () => {
    const [layer, x] = [new Layer(), counted(size, 2)];
    await layer.step(x).ready();
    const first = await launchesOf(() => layer.step(x));
    expect(await launchesOf(() => layer.step(x))).toEqual(first);
  });
});
