/** Gradients as users take them: inside and outside compile, nested, with captures, aux and trees. */
import { describe, expect, it } from 'vitest';
import {
  checkGrads,
  compile,
  grad,
  memory,
  stopGradient,
  type Tensor,
  tensor,
  tidy,
  tree,
  valueAndGrad,
  vjp,
} from '../../index.ts';
import { codeOf } from '../support/errors.ts';
import { isOnWebgpu } from '../support/target.ts';

const cube = (x: Tensor) => x.mul(x).mul(x).sum();
const values = (t: Tensor) => t.array();
const a = tensor([1, 2, 3]);

/** The same function plain, compiled inside, compiled outside. */
const everyWay = <A extends readonly unknown[], R>(fn: (...args: A) => R): ((...args: A) => R)[] => [fn, compile(fn)];

describe('grad', () => {
  it('gives 3x² for the sum of x³, eager and compiled', async () => {
    for (const f of [...everyWay(grad(cube)), grad(compile(cube)), compile(grad(compile(cube)))]) {
      expect(await values(f(a))).toEqual([3, 12, 27]);
    }
  });

  it('nests: the second derivative is 6x, in every mixture with compile', async () => {
    const compiledCube = compile(cube);
    const inner = (x: Tensor) => grad(cube)(x).sum();
    const ways = [
      grad(inner),
      compile(grad(inner)),
      grad(compile(inner)),
      grad((x: Tensor) => compile(grad(compiledCube))(x).sum()),
      compile((x: Tensor) => grad((y: Tensor) => grad(compiledCube)(y).sum())(x)),
      (x: Tensor) => vjp(grad(cube))(x)[1](x.mul(0).add(1))[0],
    ];
    for (const f of ways) expect(await values(f(a))).toEqual([6, 12, 18]);
    const third = grad((x: Tensor) => grad(inner)(x).sum());
    for (const f of everyWay(third)) expect(await values(f(a))).toEqual([6, 6, 6]);
  });

  it('does not confuse perturbations', async () => {
    // d/dx x · (d/dy (x + y) at y = 1) = 1, not 2: the x inside is a constant to the inner derivative
    const f = grad((x: Tensor) => x.mul(grad((y: Tensor) => x.add(y))(tensor(1))));
    expect(await f(tensor(1)).item()).toBe(1);
    expect(await compile(f)(tensor(1)).item()).toBe(1);
    // d/dx (x · d/dy (x·y²) at y = 3) = d/dx 6x² = 12x
    const g = grad((x: Tensor) => x.mul(grad((y: Tensor) => x.mul(y).mul(y))(tensor(3))));
    for (const way of everyWay(g)) expect(await way(tensor(5)).item()).toBe(60);
  });

  it('takes argnums and trees, and keeps what is no tensor', async () => {
    const f = (p: { w: Tensor; scale: number; name: string }, x: Tensor) => p.w.mul(x).mul(p.scale).sum();
    const p = { w: tensor([1, 2]), scale: 3, name: 'w' };
    const x = tensor([5, 7]);
    const g = grad(f)(p, x);
    expect(await values(g.w)).toEqual([15, 21]);
    expect([g.scale, g.name]).toEqual([3, 'w']);
    expect(await values(grad(f, { argnums: 1 })(p, x))).toEqual([3, 6]);
    const [gp, gx] = grad(f, { argnums: [0, 1] })(p, x);
    expect([await values(gp.w), await values(gx)]).toEqual([
      [15, 21],
      [3, 6],
    ]);
  });

  it('returns values and aux', async () => {
    const f = (x: Tensor) => {
      const h = x.mul(2);
      return [h.sum(), { h, x, note: 'aux' }] as const;
    };
    for (const way of everyWay((x: Tensor) => {
      const [[value, aux], g] = valueAndGrad(f, { hasAux: true })(x);
      return { value, h: aux.h, x: aux.x, g };
    })) {
      const { value, h, x, g } = way(a);
      expect([await value.item(), await values(h), await values(x), await values(g)]).toEqual([
        12,
        [2, 4, 6],
        [1, 2, 3],
        [2, 2, 2],
      ]);
    }
    const [g, aux] = grad(f, { hasAux: true })(a);
    expect([await values(g), aux.note]).toEqual([[2, 2, 2], 'aux']);
    aux.x.dispose();
    expect(await values(a)).toEqual([1, 2, 3]);
  });

  it('hands through arguments that are no pytrees, and takes typed arrays', async () => {
    class Config {
      scale = 3;
    }
    const f = (x: Tensor, config: Config, batch: { y: Tensor }) => x.mul(batch.y).mul(config.scale).sum();
    const batch = { y: new Float32Array([1, 2, 3]) as unknown as Tensor };
    const ways = [grad(f), grad(compile(f, { static: [1] })), compile(grad(f), { static: [1] })];
    for (const way of ways) expect(await values(way(a, new Config(), batch))).toEqual([3, 6, 9]);
    expect(await grad((x: Tensor) => compile(f, { static: [1] })(x, new Config(), batch))(a).array()).toEqual([
      3, 6, 9,
    ]);
  });

  it('is zero where nothing depends on the argument, and through stopGradient', async () => {
    const f = (x: Tensor, y: Tensor) => stopGradient({ x }).x.mul(y).sum();
    for (const way of everyWay(grad(f))) expect(await values(way(a, a))).toEqual([0, 0, 0]);
    expect(await values(grad((_: Tensor, y: Tensor) => y.sum())(a, a))).toEqual([0, 0, 0]);
  });

  it('lets values be printed while an eager gradient is taken, at every depth', () => {
    const printed: string[] = [];
    const f = (x: Tensor) => {
      const h = x.mul(2);
      printed.push(String(h), String(h.sum()));
      return h.sum();
    };
    grad((x: Tensor) => grad(f)(x).mul(x).sum())(a);
    const [three, one] = ['[3]', '[]'].map((shape) => `<webgpu float32${shape}: await data() to see it>`);
    expect(printed).toEqual(isOnWebgpu ? [three, one] : ['[2. 4. 6.]', '12.0']);
    const traced = (x: Tensor) => {
      printed.push(String(x));
      return x.sum();
    };
    compile(grad(traced))(a);
    expect(printed[2]).toBe('<traced f32[3] in grad(traced)>');
  });

  it('releases what it made, and keeps tidy and using harmless inside', async () => {
    const w = tensor([1, 2]);
    const f = (x: Tensor) => {
      const h = tidy(() => x.mul(w).add(1));
      h.dispose();
      return h.mul(h).sum();
    };
    valueAndGrad(f)(w);
    const before = memory().tensors;
    const results = [1, 2, 3].map(() => valueAndGrad(f)(w));
    expect(memory().tensors - before).toBe(6);
    expect(await values(results[2][1])).toEqual([4, 20]); // w is a constant of f
    expect(codeOf(() => grad((x: Tensor) => x)(a))).toBe('shape_mismatch');
    expect(memory().tensors - before).toBe(6);
  });

  it('refuses what has no gradient', async () => {
    const ints = tensor([1, 2], { dtype: 'int32' });
    expect(codeOf(() => grad((x: Tensor) => x.sum())(ints))).toBe('not_differentiable');
    expect(codeOf(() => grad((n: number) => a.mul(n).sum())(3))).toBe('not_differentiable');
    expect(codeOf(() => grad((x: Tensor) => x.astype('int32').sum())(a))).toBe('not_differentiable');
    expect(codeOf(() => grad(cube, { argnums: 3 })(a))).toBe('invalid_argument');
    expect(codeOf(() => grad(7 as never))).toBe('invalid_argument');
    expect(codeOf(() => grad((x: Tensor) => [x.sum(), x.sum()])(a))).toBe('shape_mismatch');
    expect(codeOf(() => grad((x: Tensor) => x.sum(), { hasAux: true })(a))).toBe('invalid_output');
    expect(await values(grad(cube)(a))).toEqual([3, 12, 27]);
  });
});

describe('vjp', () => {
  it('pulls cotangents back, as often as asked', async () => {
    const f = (x: Tensor, y: Tensor) => ({ sum: x.add(y), product: x.mul(y) });
    const b = tensor([4, 5, 6]);
    const ones = tensor([1, 1, 1]);
    const zeros = tensor([0, 0, 0]);
    const [output, pullback] = vjp(f)(a, b);
    expect(await values(output.product)).toEqual([4, 10, 18]);
    for (let i = 0; i < 2; i++) {
      expect(await Promise.all(pullback({ sum: zeros, product: ones }).map(values))).toEqual([
        [4, 5, 6],
        [1, 2, 3],
      ]);
    }
    expect(await Promise.all(pullback({ sum: ones, product: zeros }).map(values))).toEqual([
      [1, 1, 1],
      [1, 1, 1],
    ]);
    const before = memory().tensors;
    const gradients = pullback({ sum: ones, product: ones });
    expect(memory().tensors - before).toBe(gradients.length);
    gradients[0].dispose();
    expect(await values(ones)).toEqual([1, 1, 1]);
    const inside = compile((x: Tensor, y: Tensor, c: Tensor) =>
      vjp(f, { argnums: 1 })(x, y)[1]({ sum: c, product: c }),
    );
    expect(await values(inside(a, b, ones))).toEqual([2, 3, 4]);
  });

  it('checks the cotangent', async () => {
    const [, pullback] = vjp((x: Tensor) => x.mul(2))(a);
    expect(codeOf(() => pullback([a] as never))).toBe('tree_mismatch');
    expect(codeOf(() => pullback(tensor([1])))).toBe('shape_mismatch');
    expect(await Promise.all(pullback(a).map(values))).toEqual([[2, 4, 6]]);
  });

  it('leaves out arguments without float tensors', async () => {
    const [, pullback] = vjp((x: Tensor, n: number) => x.mul(n))(a, 3);
    const [gx, gn] = pullback(a);
    expect(await values(gx)).toEqual([3, 6, 9]);
    expect(gn).toBeNull();
  });
});

describe('captured values', () => {
  it('of a compiled function get gradients from outside', async () => {
    const f = (w: Tensor) => {
      const inner = compile((x: Tensor) => x.mul(w));
      return inner(a).sum();
    };
    for (const way of everyWay(grad(f))) expect(await values(way(tensor([1, 1, 1])))).toEqual([1, 2, 3]);
  });
});

describe('checkGrads', () => {
  it('accepts right gradients, first and second', async () => {
    const f = (p: { w: Tensor; b: Tensor }, x: Tensor) => x.matmul(p.w).add(p.b).tanh().square().mean();
    const p = {
      w: tensor([
        [0.1, -0.4],
        [0.3, 0.2],
      ]),
      b: tensor([0.5, -0.5]),
    };
    await checkGrads(
      f,
      [
        p,
        tensor([
          [1, 2],
          [3, -1],
        ]),
      ],
      { order: 2 },
    );
    await checkGrads((x: Tensor) => x.exp().div(x.add(3)), [new Float32Array([0.1, 0.2]) as unknown as Tensor]);
  });

  it('refuses wrong ones', async () => {
    const wrong = (x: Tensor) => x.mul(stopGradient(x)).sum();
    await expect(checkGrads(wrong, [a])).rejects.toMatchObject({ code: 'gradient_mismatch' });
  });
});

describe('a training step', () => {
  type Params = { w: Tensor; b: Tensor };
  const loss = (p: Params, x: Tensor, y: Tensor) => x.matmul(p.w).add(p.b).sub(y).square().mean();
  const update = (p: Params, x: Tensor, y: Tensor) => {
    const [value, g] = valueAndGrad(loss)(p, x, y);
    return [value, tree.map((t, d) => t.sub(d.mul(0.02)), p, g)] as const;
  };
  const x = tensor([
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  const y = tensor([[2], [4], [6]]);

  it('learns, the same eager and compiled', async () => {
    const strict = compile(update, { precision: 'strict' });
    let [p, q]: [Params, Params] = [0, 1].map(() => ({ w: tensor([[0.5], [-0.3]]), b: tensor([0.1]) })) as [
      Params,
      Params,
    ];
    let first = 0;
    let last = 0;
    for (let i = 0; i < 60; i++) {
      const [eagerLoss, nextP] = update(p, x, y);
      const [compiledLoss, nextQ] = strict(q, x, y);
      last = await eagerLoss.item();
      if (i === 0) first = last;
      expect(await compiledLoss.item()).toBeCloseTo(last, 4);
      [p, q] = [nextP, nextQ];
    }
    expect(last).toBeLessThan(first / 100);
    expect(strict.stats().compiles).toBe(1);
  });
});
