/**
 * Bad input: each fault is a `KilnError` with a code, the types involved, the user's line and what to do; and after
 * each the session goes on working.
 */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import {
  add,
  compile,
  grad,
  type KilnError,
  relu,
  type Tensor,
  tensor,
  tidy,
  tree,
  valueAndGrad,
  zeros,
} from '../../index.ts';
import { currentTrace } from '../../tracer/graph-trace.ts';
import { rejectionOf } from '../support/errors.ts';

const x = tensor([1, 2, 3]);

const source = readFileSync(new URL(import.meta.url), 'utf8').split('\n');
const lineOf = (mark: string): number => source.findIndex((line) => line.endsWith(mark)) + 1;

/** What every message must have: the code, what was given, a hint, and a line of this file. */
function expectHelpful(error: KilnError, code: string, given: RegExp): void {
  expect(error.code).toBe(code);
  expect(error.message).toContain(`[${code}]`);
  expect(`${error.summary} ${error.given}`).toMatch(given);
  expect(error.hint ?? error.expected, error.message).toBeTruthy();
  expect(error.location?.toString(), error.message).toMatch(/bad-input\.test\.ts:\d+:\d+$/);
}

afterEach(() => {
  // whatever went wrong: no trace is left open, and eager, compiled and differentiated code run
  expect(currentTrace()).toBeUndefined();
  expect(add(x, 1).arraySync()).toEqual([2, 3, 4]);
  expect(compile((t: Tensor) => t.mul(t))(x).arraySync()).toEqual([1, 4, 9]);
  expect(grad((t: Tensor) => t.mul(t).sum())(x).arraySync()).toEqual([2, 4, 6]);
});

describe('types', () => {
  it('shapes that do not fit, eager and compiled, at the line of the operation', async () => {
    const wrong = (a: Tensor, b: Tensor) => {
      const h = relu(a);
      return h.matmul(b); // the line
    };
    for (const f of [wrong, compile(wrong), grad((a: Tensor, b: Tensor) => wrong(a, b).sum())]) {
      const error = await rejectionOf(() => f(zeros([2, 3]), zeros([4, 5])));
      expectHelpful(error, 'shape_mismatch', /f32\[2,3\].*f32\[4,5\]/s);
      expect(error.location?.frames[0].line).toBe(lineOf('// the line'));
    }
    expectHelpful(await rejectionOf(() => compile((a: Tensor) => a.add(zeros([2])))(x)), 'shape_mismatch', /3.*2/s);
  });

  it('dtypes that do not fit', async () => {
    const ints = tensor([1, 2, 3], { dtype: 'int32' });
    expectHelpful(await rejectionOf(() => ints.add(0.5)), 'dtype_mismatch', /0\.5.*int32/s);
    expectHelpful(await rejectionOf(() => compile((i: Tensor) => i.add(0.5))(ints)), 'dtype_mismatch', /0\.5.*int32/s);
  });

  it('dtypes this release does not compute with', async () => {
    const f = compile((t: unknown) => (t as Tensor).mul(2));
    expectHelpful(await rejectionOf(() => f(new Float64Array(2))), 'unsupported_dtype', /f64\[2\]/);
    expectHelpful(
      await rejectionOf(() => f(BigInt64Array.of(1n, 2n ** 40n))),
      'dtype_mismatch',
      /1099511627776 at position 1/,
    );
  });

  it('sizes that are none', async () => {
    for (const size of [Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY]) {
      expectHelpful(await rejectionOf(() => zeros([2, size])), 'invalid_size', /NaN|-1|1\.5|Infinity/);
      const shape = size === -1 ? [-1, -1] : [size, 3]; // one -1 means the size that fits
      expectHelpful(await rejectionOf(() => compile((t: Tensor) => t.reshape(shape))(x)), 'invalid_size', /reshape/);
    }
  });
});

describe('lives of tensors', () => {
  it('a tensor used after dispose, after tidy and after donation', async () => {
    const gone = tensor([1, 2]);
    gone.dispose();
    const tidied = tidy(() => {
      const t = tensor([1, 2]);
      return { hidden: () => t };
    }).hidden();
    const donated = tensor([1, 2]);
    compile((t: Tensor) => t.neg(), { donate: [0] })(donated);
    for (const t of [gone, tidied, donated]) {
      expectHelpful(await rejectionOf(() => t.add(1)), 'use_after_dispose', /float32\[2\]|f32\[2\]/);
      expectHelpful(await rejectionOf(() => compile((u: Tensor) => u.mul(2))(t)), 'use_after_dispose', /\[2\]/);
      expectHelpful(await rejectionOf(() => compile(() => t.mul(2))()), 'use_after_dispose', /\[2\]/);
      expect((await rejectionOf(() => t.data())).code).toBe('use_after_dispose');
      expect(String(t)).toMatch(/^<(disposed|donated) float32\[2\]/);
    }
  });

  it('a tracer leaked out of its trace', async () => {
    const leaked: Tensor[] = [];
    compile((t: Tensor) => {
      leaked.push(t, t.mul(2));
      return t.neg();
    })(x);
    grad((t: Tensor) => {
      leaked.push(t.mul(2));
      return t.sum();
    })(x);
    for (const t of leaked) {
      expectHelpful(await rejectionOf(() => t.add(1)), 'leaked_tracer', /f32\[3\]/);
      expectHelpful(await rejectionOf(() => compile((u: Tensor) => u.add(t))(x)), 'leaked_tracer', /f32\[3\]/);
      expectHelpful(await rejectionOf(() => compile((u: Tensor) => u.mul(2))(t)), 'leaked_tracer', /f32\[3\]/);
      expectHelpful(await rejectionOf(() => t.data()), 'leaked_tracer', /f32\[3\]/);
      expectHelpful(await rejectionOf(() => (t as unknown as number) > 1), 'leaked_tracer', /f32\[3\]/);
      expect(String(t)).toMatch(/^<leaked f32\[3\]/);
    }
  });
});

describe('values of traced tensors', () => {
  it('reads', async () => {
    for (const read of ['data', 'dataSync', 'item', 'itemSync', 'array', 'arraySync', 'bytes', 'ready'] as const) {
      const f = compile((t: Tensor) => {
        void t[read]();
        return t;
      });
      expectHelpful(await rejectionOf(() => f(x)), 'traced_value', /f32\[3\] in compile\(/);
    }
  });

  it('comparison and arithmetic by JavaScript, Math.*, number conversion', async () => {
    const uses: ((n: number) => unknown)[] = [
      (n) => n > 0,
      (n) => n + 1,
      (n) => 2 * n,
      (n) => -n,
      (n) => Math.exp(n),
      (n) => Math.max(n, 0),
      (n) => Number(n),
      (n) => n <= 1,
      (n) => new Float32Array(2).fill(n),
    ];
    for (const use of uses) {
      const f = compile((t: Tensor) => {
        use(t as unknown as number);
        return t;
      });
      expectHelpful(await rejectionOf(() => f(x)), 'traced_value', /f32\[3\] in compile\(/);
      expectHelpful(await rejectionOf(() => use(x as unknown as number)), 'invalid_argument', /f32\[3\]/);
    }
  });

  it('but printing works', () => {
    const printed: string[] = [];
    compile(
      (t: Tensor) => {
        printed.push(`${t.mul(2)}`, String([t]));
        return t;
      },
      { name: 'show' },
    )(x);
    expect(printed).toEqual(['<traced f32[3] in compile(show)>', '<traced f32[3] in compile(show)>']);
  });

  it('branches', async () => {
    const cases: [(t: Tensor) => unknown, RegExp][] = [
      [
        (t) => {
          if (t.sum()) return t;
          return t.neg();
        },
        /if tests/,
      ],
      [(t) => (t.sum() ? t : t.neg()), /\?: tests/],
      [(t) => t.any() && t.neg(), /&& tests/],
    ];
    for (const [fn, given] of cases) {
      for (const f of [compile(fn as (t: Tensor) => Tensor), valueAndGrad(fn as (t: Tensor) => Tensor)]) {
        const error = await rejectionOf(() => f(x));
        expectHelpful(error, 'traced_branch', given);
        expect(error.hint).toMatch(/where/);
      }
    }
  });
});

describe('functions that can not be traced', () => {
  it('async functions, generators, and what returns a promise', async () => {
    const f = async (t: Tensor) => t;
    function* generator(t: Tensor) {
      yield t;
    }
    const hidden = (t: Tensor) => Promise.reject(t);
    for (const fn of [f, generator, hidden] as ((t: Tensor) => unknown)[]) {
      expectHelpful(await rejectionOf(() => compile(fn)(x)), 'async_function', /compile\(/);
      expectHelpful(await rejectionOf(() => grad(fn)(x)), 'async_function', /grad\(/);
    }
    expectHelpful(await rejectionOf(() => tidy(async () => x.add(1))), 'async_function', /tidy/);
  });

  it('functions that call themselves', async () => {
    const f: (t: Tensor) => Tensor = compile((t: Tensor) => f(t));
    expectHelpful(await rejectionOf(() => f(x)), 'invalid_argument', /calls itself/);
  });

  it('functions that return no tensors', async () => {
    const outputs: [unknown, RegExp][] = [
      [undefined, /undefined/],
      [null, /null/],
      [3, /3 at result/],
      [[x, 'text'], /"text" at result\[1\]/],
      [{ a: { b: true } }, /true at result\.a\.b/],
      [[], /an empty array/],
      [() => x, /the function/],
    ];
    for (const [output, given] of outputs) {
      expectHelpful(await rejectionOf(() => compile(() => output)()), 'invalid_output', given);
    }
  });

  it('what the function itself throws comes through untouched', async () => {
    const own = new TypeError('mine');
    const f = compile((t: Tensor) => {
      t.add(1);
      throw own;
    });
    for (const way of [f, grad(f), (t: Tensor) => compile((u: Tensor) => f(u))(t)]) {
      await expect(async () => way(x)).rejects.toBe(own);
    }
  });
});

describe('trees', () => {
  it('another structure', async () => {
    const error = await rejectionOf(() =>
      tree.map((a: Tensor, b: Tensor) => a.add(b), { w: x } as object as Tensor, { v: x } as object as Tensor),
    );
    expectHelpful(error, 'tree_mismatch', /\{v:\*\}/);
  });

  it('an unregistered class, as argument and as result', async () => {
    class Layer {
      w = x;
    }
    const f = compile((layer: Layer) => layer.w.add(1));
    expectHelpful(await rejectionOf(() => f(new Layer())), 'unregistered_class', /Layer/);
    expectHelpful(await rejectionOf(() => compile(() => new Layer())()), 'unregistered_class', /Layer/);
    expectHelpful(
      await rejectionOf(() => compile((m: Map<string, Tensor>) => m.get('a')!.add(1))(new Map())),
      'unregistered_class',
      /Map/,
    );
    tree.register(Layer);
    expect(f(new Layer()).arraySync()).toEqual([2, 3, 4]);
  });
});

describe('memory', () => {
  it('past the limit of the engine: an error, and nothing is lost', async () => {
    const rows = 1 << 15;
    const f = compile((t: Tensor) =>
      t
        .sum()
        .broadcastTo([rows, rows + rows / 4])
        .add(1),
    ); // 5 GiB
    const error = await rejectionOf(() => f(x).slice(0, 0).data());
    expect(error.code).toBe('out_of_memory');
    expect(`${error.summary} ${error.given} ${error.hint}`).toMatch(/\d/);
    expect(x.arraySync()).toEqual([1, 2, 3]);
  });
});
