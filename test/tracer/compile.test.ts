/** Compiled functions: signatures and guards, what is static and what is data, options, nesting, statistics. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { add, compile, dim, memory, relu, spec, specOf, type Tensor, tensor, tree, zeros } from '../../index.ts';
import { errorOf } from '../support/errors.ts';
import { isOnWebgpu } from '../support/target.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('signatures', () => {
  it('traces once for each shape, dtype and structure', async () => {
    let traces = 0;
    const f = compile((p: { a: Tensor; b?: Tensor }) => {
      traces++;
      return p.b ? p.a.add(p.b) : p.a.neg();
    });
    const hasB = compile((p: { a: Tensor; b?: Tensor }) => {
      traces++;
      return p.b !== undefined ? p.a.add(p.b) : p.a.neg();
    });
    expect(errorOf(() => f({ a: tensor([1]), b: tensor([2]) })).code).toBe('traced_branch');
    expect(traces).toBe(0);
    for (let i = 0; i < 3; i++) {
      expect(await hasB({ b: tensor([2]), a: tensor([1]) }).array()).toEqual([3]);
      expect(await hasB({ a: tensor([1]) }).array()).toEqual([-1]);
    }
    expect(await hasB({ a: tensor([1, 2]) }).array()).toEqual([-1, -2]);
    expect(await hasB({ a: tensor([1, 2], { dtype: 'int32' }) }).array()).toEqual([-1, -2]);
    expect(traces).toBe(4);
    expect(hasB.stats().recompiles.map(({ reason }) => reason)).toEqual([
      'p.b: f32[1] → absent',
      'p.a: f32[1] → f32[2]',
      'p.a: f32[2] → i32[2]',
    ]);
  });

  it('guards static values by Object.is', () => {
    const seen: unknown[] = [];
    const f = compile((x: Tensor, value: unknown) => {
      seen.push(value);
      return x.mul(2);
    });
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    const x = tensor([1]);
    const values = [0, -0, Number.NaN, '0', true, null, undefined, 'a', ['a'], { k: 'a' }];
    for (const value of [...values, ...values]) f(x, value);
    expect(seen).toEqual(values);
  });

  it('lets equal graphs of different closures share one program', async () => {
    const make = (n: number) => compile((x: Tensor) => x.mul(n).add(17.25), { name: 'closure' });
    const [a, b, c] = [make(2), make(2), make(3)];
    const x = tensor([1, 2]);
    expect(await Promise.all([a, b, c].map((f) => f(x).array()))).toEqual([
      [19.25, 21.25],
      [19.25, 21.25],
      [20.25, 23.25],
    ]);
    expect([a, b, c].map((f) => f.stats().compiles)).toEqual([1, 0, 1]);
    expect(b.stats().hits.memory).toBe(1);
  });

  it('takes captured tensors as inputs, large or small, and traces with a new closure', async () => {
    const w = zeros([600]);
    const text = String(compile((x: Tensor) => x.add(w)).lower(spec([600])).graph);
    expect(text).toMatch(/func @main\(%x: f32\[600\], %0: f32\[600\]\)/);
    expect(text).not.toMatch(/constant/);
    const f = compile((x: Tensor) => x.add(w));
    expect(
      await f(tensor(new Float32Array(600).fill(2)))
        .sum()
        .item(),
    ).toBe(1200);
  });

  it('takes typed arrays, as data', async () => {
    const f = compile((x: Float32Array | Tensor) => (x as Tensor).mul(3));
    expect(await f(new Float32Array([1, 2])).array()).toEqual([3, 6]);
    expect(await f(new Float32Array([2, 3])).array()).toEqual([6, 9]);
    expect(f.stats()).toMatchObject({ calls: 2, compiles: 1 });
    const i = compile((x: Int32Array | Tensor) => (x as Tensor).mul(3));
    expect(i(new Int32Array([1, 2])).dtype).toBe('int32');
  });

  it('hands inputs and captured tensors through', async () => {
    const w = tensor([7]);
    const f = compile((x: Tensor) => ({ x, w, twice: [x, x], none: null }));
    const result = f(tensor([1]));
    expect(result.none).toBeNull();
    expect(await Promise.all((tree.leaves(result) as Tensor[]).map((leaf) => leaf.item()))).toEqual([1, 1, 7, 1]);
    result.x.dispose();
    expect(await result.twice[0].item()).toBe(1);
    expect(await w.item()).toBe(7);
  });

  it('keeps the structure of what the function returns', async () => {
    class Pair {
      a: Tensor;
      b: Tensor;
      constructor(a: Tensor, b: Tensor) {
        this.a = a;
        this.b = b;
      }
    }
    tree.register(Pair);
    const f = compile((p: Pair) => new Pair(p.b, p.a.add(p.b)));
    for (let i = 0; i < 2; i++) {
      const { a, b } = f(new Pair(tensor(1), tensor(2)));
      expect([await a.item(), await b.item()]).toEqual([2, 3]);
    }
  });
});

describe('numbers that keep changing', () => {
  it('are told of once, by name, at the third value', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const f = compile((x: Tensor, options: { rate: number }) => x.mul(options.rate), { name: 'step' });
    const x = tensor([1]);
    for (const rate of [0.1, 0.2, 0.1]) f(x, { rate });
    expect(warn).not.toHaveBeenCalled();
    for (const rate of [0.3, 0.4, 0.5]) f(x, { rate });
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0][0]).toMatch(
      /compile\(step\): the number options\.rate .*0\.1, 0\.2, 0\.3.*Pass a tensor/,
    );
  });

  it('are no news when they are declared static', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const f = compile((x: Tensor, n: number) => x.mul(n), { static: ['n'] });
    for (const n of [1, 2, 3, 4]) expect(await f(tensor([2]), n).item()).toBe(2 * n);
    expect(warn).not.toHaveBeenCalled();
  });
});

describe('options', () => {
  it('static takes any class, by identity', async () => {
    class Config {
      scale = 2;
    }
    const f = compile((x: Tensor, config: Config) => x.mul(config.scale), { static: [1] });
    const config = new Config();
    expect(await f(tensor([3]), config).item()).toBe(6);
    f(tensor([3]), config);
    f(tensor([3]), new Config());
    expect(f.stats().recompiles).toHaveLength(1);
    expect(errorOf(() => compile((x: Tensor, c: Config) => x.mul(c.scale))(tensor([3]), config)).code).toBe(
      'unregistered_class',
    );
  });

  it('donate gives the inputs up and reuses their memory', async () => {
    const f = compile((params: { w: Tensor }, d: Tensor) => ({ w: params.w.sub(d) }), { donate: ['params'] });
    const x = tensor(new Float32Array(1000).fill(1));
    let p: { w: Tensor } = { w: tensor(new Float32Array(1000).fill(5)) };
    p = f(p, x);
    const before = memory();
    for (let i = 0; i < 3; i++) {
      const old = p;
      p = f(p, x);
      expect(errorOf(() => old.w.dataSync()).code).toBe('use_after_dispose');
    }
    expect(memory().bytes).toBe(before.bytes);
    expect((await p.w.data())[999]).toBe(1);
    const same = tensor([1]);
    const g = compile((a: Tensor, b: Tensor) => a.add(b), { donate: [0] });
    expect(errorOf(() => g(same, same))).toMatchObject({
      summary: expect.stringMatching(/donated tensor is passed twice/),
      given: 'float32[1] as inputs 0 and 1',
    });
    expect(await same.item()).toBe(1);
  });

  it('maxRecompiles ends a run of new signatures with an error that names the argument', async () => {
    const f = compile((x: Tensor) => x.neg(), { maxRecompiles: 1 });
    f(tensor([1]));
    f(tensor([1, 2]));
    const error = errorOf(() => f(tensor([1, 2, 3])));
    expect(error.code).toBe('too_many_recompiles');
    expect(error.given).toMatch(/x: f32\[2\] → f32\[3\]/);
    expect(await f(tensor([4])).item()).toBe(-4);
    const g = compile((a: Tensor, b: Tensor) => a.add(b), { maxRecompiles: 0 });
    for (let n = 2; n < 5; n++) expect(errorOf(() => g(zeros([n]), zeros([n + 1]))).code).toBe('shape_mismatch');
    expect(await g(tensor([1]), tensor([2])).item()).toBe(3); // what failed to trace does not count
  });

  it('precision strict and fast are different programs', async () => {
    const f = (x: Tensor) => x.mul(3).add(1);
    const [fast, strict] = [compile(f, { precision: 'fast' }), compile(f, { precision: 'strict' })];
    const x = tensor([1, 2]);
    expect(await fast(x).array()).toEqual(await strict(x).array());
    expect(strict.stats().compiles).toBe(1);
  });

  it.each([
    [{ autotuned: true }, /option autotune/],
    [{ autotuned: true }, /option autotune/],
    [{ nmae: 'x' }, /option nmae/],
    [{ precision: 'exact' }, /precision: "exact"/],
    [{ maxRecompiles: Number.NaN }, /maxRecompiles: NaN/],
    [{ donate: ['weights'] }, /donate: "weights"/],
    [{ static: [-1] }, /static: -1/],
    [{ name: '' }, /name: ""/],
    [{ dynamic: {} }, /dynamic: an object/],
  ])('refuses %o', (options, message) => {
    const error = errorOf(() => compile((x: Tensor) => x, options as object));
    expect(error.code).toBe('invalid_argument');
    expect(error.given).toMatch(message);
    expect(error.location?.toString()).toMatch(/compile\.test\.ts/);
  });

  it('refuses devices that do not exist and things that are no functions', () => {
    expect(errorOf(() => compile((x: Tensor) => x, { device: 'abacus' })).code).toBe('unknown_device');
    expect(errorOf(() => compile(3 as never)).code).toBe('invalid_argument');
  });
});

describe('nesting', () => {
  it('a compiled function inside another becomes a call, traced once for each signature', async () => {
    let traces = 0;
    const layer = compile(
      (x: Tensor, w: Tensor) => {
        traces++;
        return relu(x.matmul(w));
      },
      { name: 'layer' },
    );
    const net = compile((x: Tensor, ws: Tensor[]) => ws.reduce((h, w) => layer(h, w), x));
    const ws = [1, 2, 3].map((n) =>
      tensor([
        [n, 0],
        [0, n],
      ]),
    );
    expect(await net(tensor([[1, 2]]), ws).array()).toEqual([[6, 12]]);
    expect(traces).toBe(1);
    const text = String(net.lower(spec([1, 2]), ws).graph);
    expect(text.match(/func @layer/g)).toHaveLength(1);
    expect(text.match(/call .*@layer/g)).toHaveLength(3);
  });

  it('captures of nested functions are inputs of the outer one', async () => {
    const w = tensor([10]);
    const inner = compile((x: Tensor) => x.add(w));
    const outer = compile((x: Tensor) => {
      const local = x.mul(2);
      const closes = compile((y: Tensor) => y.mul(local));
      return inner(closes(x));
    });
    expect(await outer(tensor([3])).item()).toBe(28);
  });

  it('names functions of one name apart', async () => {
    const make = (n: number) => compile((x: Tensor) => x.add(n), { name: 'shift' });
    const [one, two] = [make(1), make(2)];
    const f = compile((x: Tensor) => one(two(one(x))), { name: 'main' });
    expect(await f(tensor([0])).item()).toBe(4);
    expect(String(f.lower(spec([1])).graph)).toMatch(/func @shift_2/);
  });
});

describe('looking inside', () => {
  const f = compile((x: Tensor, w: Tensor) => relu(x.matmul(w)).sum(), { name: 'inside' });

  it('lower shows every stage, for specs and values', () => {
    const { graph, optimized, kernels, code, program } = f.lower(spec([8, 4]), spec([4, 2]));
    expect(String(graph)).toMatch(/%x: f32\[8,4\], %w: f32\[4,2\].*\n.*dot_general.*@.*compile\.test\.ts/);
    expect(String(optimized)).toMatch(/dot_general/);
    expect(String(kernels)).toMatch(/kernel .*dot_general/);
    expect(String(code)).toMatch(isOnWebgpu ? /@compute/ : /\(module/);
    expect(String(program)).toMatch(/program inside .*\n {2}input 0: float32\[8,4\]/);
    expect(String(f.lower(zeros([8, 4]), zeros([4, 2])).graph)).toBe(String(graph));
    expect(f.stats().calls).toBe(0);
  });

  it('explain counts', () => {
    const explanation = f.explain(spec([8, 4]), spec([4, 2]));
    expect(explanation.kernels).toBe(explanation.groups.length);
    expect(explanation.ops).toBeGreaterThan(explanation.kernels);
    expect(explanation.flops).toBeGreaterThanOrEqual(2 * 8 * 4 * 2);
    expect(explanation.bytesMoved).toBeGreaterThanOrEqual(4 * (32 + 8 + 1));
    expect(explanation.peakBytes).toBeGreaterThanOrEqual(4 * (32 + 8 + 1));
    expect(explanation.groups.flatMap(({ ops }) => ops).join(' ')).toMatch(/dot_general @.*compile\.test\.ts:\d+:\d+/);
    expect(String(explanation)).toMatch(/inside: \d+ ops in \d+ kernels/);
  });

  it('warmup compiles beforehand', async () => {
    const g = compile((x: Tensor) => x.mul(31).exp(), { name: 'warm' });
    await g.warmup(spec([5]));
    expect(g.stats()).toMatchObject({ calls: 0, compiles: 1 });
    expect(g.stats().compileMs).toBeGreaterThan(0);
    g(zeros([5]));
    expect(g.stats()).toMatchObject({ calls: 1, compiles: 1, recompiles: [] });
    await g.warmup(specOf(zeros([5])));
    expect(g.stats().compiles).toBe(1);
  });

  it('refuses to call with specs', () => {
    const g = compile((x: Tensor) => x.mul(2));
    expect(errorOf(() => g(spec([2]) as unknown as Tensor)).summary).toMatch(/has no data/);
    expect(errorOf(() => spec([1.5])).code).toBe('invalid_size');
    expect(errorOf(() => spec([Number.NaN])).code).toBe('invalid_size');
    expect(errorOf(() => spec([2], 'float31' as never)).code).toBe('unsupported_dtype');
    expect(String(specOf({ a: tensor([1]), n: 3 }).a)).toBe('spec(f32[1])');
    expect(String(spec([dim('B'), 2]))).toBe('spec(f32[B,2])');
  });
});

describe('operations as functions', () => {
  it('can be compiled and differentiated themselves', async () => {
    const f = compile(add as (a: Tensor, b: Tensor) => Tensor);
    expect(await f(tensor([1]), tensor([2])).item()).toBe(3);
  });
});
