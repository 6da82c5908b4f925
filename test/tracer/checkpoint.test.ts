/**
 * `checkpoint`: gradients that compute again instead of keeping, with the same bits, in every mixture of transforms.
 */
import { afterAll, describe, expect, it } from 'vitest';
import {
  checkGrads,
  checkpoint,
  compile,
  dropout,
  gelu,
  grad,
  init,
  layerNorm,
  memory,
  random,
  resetPeakMemory,
  shutdown,
  type Tensor,
  tensor,
  tree,
  valueAndGrad,
  vjp,
} from '../../index.ts';
import { codeOf } from '../support/errors.ts';
import { expectSameElements } from '../support/same-elements.ts';

const strict = { precision: 'strict' } as const;
const counted = (...shape: number[]): Tensor => {
  const count = shape.reduce((product, size) => product * size, 1);
  return tensor(
    Float32Array.from({ length: count }, (_, i) => ((i * 37) % 101) / 101 - 0.5),
    { shape },
  );
};

type Layer = { readonly w: Tensor; readonly b: Tensor };
const layer = ({ w, b }: Layer, x: Tensor): Tensor => x.add(gelu(layerNorm(x, null, b).matmul(w)));
const layersOf = (depth: number, width: number): Layer[] =>
  Array.from({ length: depth }, (_, i) => ({ w: counted(width, width).add(i / 8), b: counted(width) }));
const lossWith =
  (block: typeof layer) =>
  (layers: readonly Layer[], x: Tensor): Tensor =>
    layers
      .reduce((h, parameters) => block(parameters, h), x)
      .square()
      .mean();

/** Two layers at a time, each checkpointed by itself inside. */
const nested = lossWith(layer);
const inPairs = (layers: readonly Layer[], x: Tensor): Tensor => {
  const pair = checkpoint(
    (pairs: readonly Layer[], h: Tensor): Tensor =>
      pairs.reduce((inner, parameters) => checkpoint(layer)(parameters, inner), h),
  );
  let h = x;
  for (let i = 0; i < layers.length; i += 2) h = pair(layers.slice(i, i + 2), h);
  return h.square().mean();
};

// At once, so that tensors may be made beside tests.
await shutdown();
await init({ precision: 'strict' });
afterAll(async () => {
  await shutdown();
});

describe('checkpoint', () => {
  const layers = layersOf(4, 16);
  const x = counted(8, 16);
  const plain = valueAndGrad(nested, { argnums: [0, 1] })(layers, x);

  it('gives the same bits, eager and compiled, nested or not', async () => {
    for (const loss of [lossWith(checkpoint(layer)), inPairs, checkpoint(nested), checkpoint(inPairs)]) {
      const step = valueAndGrad(loss, { argnums: [0, 1] });
      await expectSameElements(step(layers, x), plain);
      await expectSameElements(compile(step, strict)(layers, x), plain);
    }
    await expectSameElements(compile(valueAndGrad(nested, { argnums: [0, 1] }), strict)(layers, x), plain);
  });

  it('mixes with compile, vjp and second derivatives', async () => {
    const cube = (v: Tensor) => v.mul(v).mul(v);
    const f = checkpoint((v: Tensor) => cube(v).sum());
    const a = tensor([1, 2, 3]);
    const inner = (v: Tensor) => grad(f)(v).sum();
    const ways = [
      grad(inner),
      compile(grad(inner)),
      grad(checkpoint(inner)),
      compile(grad(checkpoint(inner))),
      grad(compile(checkpoint(inner))),
      grad(checkpoint(compile(inner))),
      compile((v: Tensor) => grad(checkpoint((u: Tensor) => grad(checkpoint(compile(f)))(u).sum()))(v)),
      (v: Tensor) => vjp(grad(f))(v)[1](v.mul(0).add(1))[0],
    ];
    for (const way of ways) expect(await way(a).array()).toEqual([6, 12, 18]);
    const [output, pullback] = vjp(checkpoint(cube))(a);
    expect(await output.array()).toEqual([1, 8, 27]);
    for (let i = 0; i < 2; i++) expect(await pullback(tensor([1, 1, 2]))[0].array()).toEqual([3, 12, 54]);
  });

  it('agrees with finite differences', async () => {
    await checkGrads((v: Tensor) => checkpoint((u: Tensor) => u.sin().mul(u.exp()))(v).sum(), [counted(5)], {
      order: 2,
    });
  });

  it('takes and returns trees, hands through what it is given, and captures', async () => {
    const w = tensor([2, 3]);
    const f = checkpoint((p: { u: Tensor; scale: number }, v: Tensor) => {
      const product = p.u.mul(v).mul(w).mul(p.scale);
      return { product, twice: [product, product], v };
    });
    const loss = (u: Tensor, v: Tensor): Tensor => {
      const { product, twice, v: same } = f({ u, scale: 5 }, v);
      return product.add(twice[0]).add(twice[1]).add(same).sum();
    };
    const reference = (u: Tensor, v: Tensor): Tensor => u.mul(v).mul(w).mul(15).add(v).sum();
    const [u, v] = [tensor([1, 2]), tensor([3, 4])];
    const arraysOf = (gradients: readonly Tensor[]) => Promise.all(gradients.map((gradient) => gradient.array()));
    const expected = await arraysOf(grad(reference, { argnums: [0, 1] })(u, v));
    for (const way of [grad(loss, { argnums: [0, 1] }), compile(grad(loss, { argnums: [0, 1] }))]) {
      expect(await arraysOf(way(u, v))).toEqual(expected);
    }
    const ofCapture = (c: Tensor): Tensor => checkpoint((v: Tensor) => v.mul(c).mul(c))(v).sum();
    for (const way of [grad(ofCapture), compile(grad(ofCapture))]) expect(await way(u).array()).toEqual([6, 16]);
    expect(await compile(grad((c: Tensor) => checkpoint((d: Tensor) => d)(c).sum()))(u).array()).toEqual([1, 1]);
  });

  it('is the function itself where no gradient is taken', async () => {
    const a = tensor([1, 2]);
    expect(await checkpoint((v: Tensor) => v.mul(2))(a).array()).toEqual([2, 4]);
    expect(await compile(checkpoint((v: Tensor) => v.mul(2)))(a).array()).toEqual([2, 4]);
    const named = checkpoint(function twice(v: Tensor) {
      return v.mul(2);
    });
    expect(named.name).toBe('checkpoint(twice)');
  });

  it('draws the same random numbers again', async () => {
    const noisy = (v: Tensor, key: Tensor): Tensor => dropout(v.mul(3), key, { p: 0.5 }).mul(v);
    const loss = (block: typeof noisy) => (v: Tensor, key: Tensor) => block(v, key).sum();
    const [v, key] = [counted(64), random.key(7)];
    const expected = valueAndGrad(loss(noisy))(v, key);
    for (const way of [valueAndGrad(loss(checkpoint(noisy))), compile(valueAndGrad(loss(checkpoint(noisy))), strict)]) {
      await expectSameElements(way(v, key), expected);
    }
  });

  it('lets values be printed while an eager gradient is taken', () => {
    const seen: string[] = [];
    const f = checkpoint((v: Tensor) => {
      const doubled = v.mul(2);
      seen.push(String(doubled));
      return doubled.sum();
    });
    grad(f)(tensor([1, 2]));
    expect(seen).toEqual([String(tensor([2, 4]))]);
  });

  it('refuses what a trace refuses', () => {
    const a = tensor([1, 2]);
    const run = (fn: (v: Tensor) => unknown) => codeOf(() => compile((v: Tensor) => checkpoint(fn)(v) as Tensor)(a));
    expect(run((v) => (v.sum() ? v : v.mul(2)))).toBe('traced_branch');
    expect(run(async (v) => v)).toBe('async_function');
    expect(run(() => 3)).toBe('invalid_output');
    expect(run(() => undefined)).toBe('invalid_output');
    expect(codeOf(() => checkpoint(3 as never))).toBe('invalid_argument');
    let leaked: Tensor | undefined;
    const leak = checkpoint((v: Tensor) => {
      leaked = v.mul(2);
      return leaked.sum();
    });
    expect(codeOf(() => grad((v: Tensor) => leak(v).add((leaked as Tensor).sum()))(a))).toBe('leaked_tracer');
  });
});

describe('what a checkpoint saves', () => {
  const layers = layersOf(6, 32);
  const x = counted(256, 32);
  const [bias, ws] = [layers[0].b, layers.map(({ w }) => w)];
  const step = (loss: typeof nested) => compile(valueAndGrad(loss), strict);

  it('marks a function in the trace and computes it again after optimisation', () => {
    const traced = String(step(lossWith(checkpoint(layer))).lower(layers, x).graph);
    expect(traced.match(/^func @layer\w*\(.*checkpoint \{$/gm)).toHaveLength(6);
    expect(traced).toContain('call');
    const count = (loss: typeof nested, opcode: string): number =>
      String(step(loss).lower(layers, x).optimized).match(new RegExp(` = ${opcode} `, 'g'))?.length ?? 0;
    expect(count(lossWith(checkpoint(layer)), 'dot_general')).toBe(count(nested, 'dot_general') + 6);
    expect(count(lossWith(checkpoint(layer)), 'erf')).toBeGreaterThanOrEqual(12);
    expect(count(inPairs, 'dot_general')).toBe(count(nested, 'dot_general') + 9);
  });

  it('falls in planned peak bytes', () => {
    const peak = (loss: typeof nested): number => {
      const weights = compile(
        valueAndGrad((ws: Tensor[], h: Tensor) =>
          loss(
            ws.map((w) => ({ w, b: bias })),
            h,
          ),
        ),
      );
      return weights.explain(ws, x).peakBytes;
    };
    const [kept, once, pairs] = [peak(nested), peak(lossWith(checkpoint(layer))), peak(inPairs)];
    expect(once).toBeLessThan(0.75 * kept);
    expect(pairs).toBeLessThan(once);
  });

  it('falls in bytes that an eager gradient holds', async () => {
    const held = async (loss: typeof nested): Promise<number> => {
      for (const leaf of tree.leaves(valueAndGrad(loss)(layers, x)) as Tensor[]) {
        await leaf.ready();
        leaf.dispose();
      }
      resetPeakMemory();
      const before = memory().bytes;
      for (const leaf of tree.leaves(valueAndGrad(loss)(layers, x)) as Tensor[]) {
        await leaf.ready();
        leaf.dispose();
      }
      return memory().peakBytes - before;
    };
    expect(await held(lossWith(checkpoint(layer)))).toBeLessThan(0.5 * (await held(nested)));
  });
});
