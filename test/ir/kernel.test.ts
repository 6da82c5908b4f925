/** The text of kernels, the rules they are held to, and the interpreter on examples worked out by hand. */
import { describe, expect, it } from 'vitest';
import { dim, mulDims } from '../../base/dim.ts';
import type { Kernel, KernelNode } from '../../ir/kernel.ts';
import { interpretKernel } from '../../ir/kernel-interpret.ts';
import { kernelKey, printKernel } from '../../ir/kernel-print.ts';
import { type KernelRule, kernelRules, verifyKernel } from '../../ir/kernel-verify.ts';
import { at, floordiv, KernelMaker, mod, read, write } from '../support/kernel-maker.ts';

const n = dim('N');
const b = dim('B');

function softmax(name = 'softmax'): Kernel {
  const k = new KernelMaker(name, [read('x', mulDims(b, n)), write('y', mulDims(b, n))]);
  k.parallel('i', b, () => {
    const load = (): number => k.load('x', at([n, 'i'], 'j'));
    const axis = [{ name: 'j', extent: n }];
    const [top] = k.reduce(axis, ['max'], () => [load()]);
    const [total] = k.reduce(axis, ['sum'], () => [k.apply('exponential', k.apply('subtract', load(), top))]);
    k.parallel('j', n, () => {
      const part = k.apply('exponential', k.apply('subtract', load(), top));
      k.store('y', at([n, 'i'], 'j'), k.apply('divide', part, total));
    });
  });
  return k.finish();
}

/** One kernel with every kind of node and expression. */
function everything(): Kernel {
  const k = new KernelMaker(
    'all',
    [read('x', 40), read('p', 40, 'bool'), write('y', 40), { ...write('z', 40), inPlaceOf: 0 }],
    [{ name: 'row', dtype: 'float32', size: n }],
  );
  const zero = k.constant(-0);
  const [last] = k.sequential('t', 4, [zero], 'float32', ([a]) => {
    const where = k.index(at(3, [2, floordiv(at('t', 1), 2)], [1, mod(at('t'), 3)]));
    const inside = k.compare('LT', where, k.let('int32', { kind: 'size', size: n }));
    const value = k.load('x', at([2, where]), inside, Number.NEGATIVE_INFINITY);
    k.store('y', at(1, 't'), value, { combine: 'add', when: inside });
    return [k.apply('add', a, value)];
  });
  const [mean] = k.reduceTuple(
    [{ name: 'u', extent: 3 }],
    [0],
    () => [k.load('x', at('u'))],
    ([left], [right]) => [k.apply('add', left, right)],
  );
  k.store('y', at(0), k.apply('add', last, mean));
  return {
    ...k.finish({ independent: true }),
    buffers: k.buffers.map((x) => (x.name === 'y' ? { ...x, access: 'read_write' } : x)),
  };
}

describe('text', () => {
  it('reads like the header of ir/kernel.ts', () => {
    expect(printKernel(softmax())).toBe(`kernel softmax(read x: f32[B*N], write y: f32[B*N]) {
  parallel i < B {
    reduce j < N lanes {
      %0: f32 = load x[N*i + j]
    } -> %1: f32 = max(%0)
    reduce j < N lanes {
      %2: f32 = load x[N*i + j]
      %3: f32 = subtract %2, %1
      %4: f32 = exponential %3
    } -> %5: f32 = sum(%4)
    parallel j < N {
      %6: f32 = load x[N*i + j]
      %7: f32 = subtract %6, %1
      %8: f32 = exponential %7
      %9: f32 = divide %8, %5
      store y[N*i + j] = %9
    }
  }
}`);
  });

  it('shows every kind of node', () => {
    expect(
      printKernel(everything()),
    ).toBe(`kernel all(read x: f32[40], read p: bool[40], read_write y: f32[40], write z: f32[40] over x) independent {
  scratch row: f32[N]
  %0: f32 = constant -0
  sequential t < 4 carrying (%1: f32 = %0 then %6) {
    %2: i32 = index 2*floordiv(t + 1, 2) + mod(t, 3) + 3
    %3: i32 = size N
    %4: bool = compare LT %2, %3
    %5: f32 = load x[2*%2] when %4 else -inf
    store y[t + 1] add= %5 when %4
    %6: f32 = add %1, %5
  }
  reduce u < 3 lanes {
    %7: f32 = load x[u]
  } -> %10: f32 = tuple(%7) from (0) by (%8), (%9) {
    %11: f32 = add %8, %9
  } yielding (%11)
  %12: f32 = add %1, %10
  store y[0] = %12
}`);
  });

  it('is a key without the name and the numbering', () => {
    expect(kernelKey(softmax('a'))).toBe(kernelKey(softmax('b')));
    const one = (value: number): Kernel => {
      const k = new KernelMaker('one', [write('y', 1)]);
      k.store('y', at(0), k.constant(value));
      return k.finish();
    };
    const keys = [0, -0, 1, Number.NaN, Infinity].map((value) => kernelKey(one(value)));
    expect(new Set(keys).size).toBe(5);
    const offset: Kernel = { ...one(1), body: one(1).body.map((node) => renumbered(node)) };
    expect(kernelKey(offset)).toBe(kernelKey(one(1)));
  });

  it('tells symbols of other bounds apart', () => {
    const copy = (size: ReturnType<typeof dim>): Kernel => {
      const k = new KernelMaker('copy', [read('x', size), write('y', size)]);
      k.parallel('i', size, () => k.store('y', at('i'), k.load('x', at('i'))));
      return k.finish();
    };
    expect(kernelKey(copy(dim('N', { max: 4 })))).not.toBe(kernelKey(copy(dim('N', { max: 5 }))));
  });
});

const renumbered = (node: KernelNode): KernelNode => {
  if (node.kind === 'let') return { ...node, id: node.id + 100 };
  if (node.kind === 'store') return { ...node, value: node.value + 100 };
  return node;
};

describe('rules', () => {
  it('hold for kernels as they should be', () => {
    expect(() => verifyKernel(softmax())).not.toThrow();
    expect(() => verifyKernel(everything())).not.toThrow();
  });

  const copy = (change: (k: KernelMaker) => void, buffers = [read('x', 4), write('y', 4)]): Kernel => {
    const k = new KernelMaker('faulty', buffers);
    change(k);
    return k.finish();
  };
  const cases: { readonly [R in KernelRule]: () => Kernel } = {
    kernel_c1: () => copy(() => {}, [read('x', 4), write('x', 4)]),
    kernel_c2: () => {
      const kernel = copy((k) => k.constant(1));
      return { ...kernel, body: [...kernel.body, ...kernel.body] };
    },
    kernel_c3: () => copy((k) => k.store('y', at(0), 7)),
    kernel_c4: () => copy((k) => k.store('y', at('i'), k.constant(1))),
    kernel_c5: () => copy((k) => k.apply('add', k.constant(1), k.constant(1, 'int32'))),
    kernel_c6: () => copy((k) => k.store('x', at(0), k.constant(1))),
    kernel_c7: () => copy((k) => k.load('x', at(0), k.constant(1))),
    kernel_c8: () => {
      const kernel = copy((k) => void k.sequential('i', 2, [k.constant(1)], 'float32', (a) => a));
      return {
        ...kernel,
        body: kernel.body.map((node) => (node.kind === 'loop' ? { ...node, mode: 'parallel' } : node)),
      };
    },
    kernel_c9: () => copy((k) => void k.reduce([], ['sum'], () => [k.constant(1)])),
    kernel_c10: () => copy(() => {}, [read('x', 4), write('y', 5, 'float32', 0)]),
    kernel_c11: () => copy((k) => k.index(at([1, mod(at(3), 0)]))),
    kernel_c12: () => ({
      ...copy(() => {}),
      body: [{ kind: 'sort', keys: 'x', values: 'y', length: 4, count: 4, direction: 'ascending' }],
    }),
  };

  it.each(Object.keys(kernelRules) as KernelRule[])('%s is checked and named', (rule) => {
    expect(() => verifyKernel(cases[rule]())).toThrow(new RegExp(`invalid_ir.*kernel.*${rule}:`));
  });

  it('show the node', () => {
    expect(() => verifyKernel(cases.kernel_c5())).toThrow('%2: f32 = add %0, %1');
  });

  it('end the scope of a value with its loop', () => {
    const kernel = copy((k) => {
      let inner = 0;
      k.parallel('i', 4, () => {
        inner = k.load('x', at('i'));
      });
      k.store('y', at(0), inner);
    });
    expect(() => verifyKernel(kernel)).toThrow('kernel_c3');
  });
});

describe('interpreter', () => {
  const sumOf = (values: readonly number[], order: 'lanes' | 'blocks'): number => {
    const k = new KernelMaker('sum', [read('x', values.length), write('y', 1)]);
    const [s] = k.reduce([{ name: 'i', extent: values.length }], ['sum'], () => [k.load('x', at('i'))], { order });
    k.store('y', at(0), s);
    const result = new Float32Array(1);
    interpretKernel(k.finish(), [Float32Array.from(values), result], new Map());
    return result[0];
  };

  it('adds in eight lanes, pairwise in the end', () => {
    // Lane 0 holds 1 + 2^-24 = 1 (rounded twice); in one running sum the 2^-24 would be lost as well, in pairs not.
    const tiny = 2 ** -24;
    expect(sumOf([1, tiny, 0, 0, 0, 0, 0, 0, tiny], 'lanes')).toBe(1);
    expect(sumOf([1, tiny, 0, 0, tiny, 0, 0, 0], 'lanes')).toBe(1);
    expect(sumOf([1, tiny, 0, 0, 0, tiny, 0, 0], 'lanes')).toBe(Math.fround(1 + 2 * tiny));
  });

  it('adds blocks of 256 one after the other', () => {
    const values = new Array<number>(512).fill(0);
    [values[0], values[256], values[257]] = [1, 2 ** -24, 2 ** -24];
    expect(sumOf(values, 'blocks')).toBe(Math.fround(1 + 2 ** -23));
    expect(sumOf([1, 2 ** -24, 2 ** -24], 'blocks')).toBe(1);
    expect(Object.is(sumOf([-0], 'blocks'), 0)).toBe(true);
    expect(Object.is(sumOf([-0], 'lanes'), 0)).toBe(true);
    expect(Object.is(sumOf([], 'blocks'), 0)).toBe(true);
  });

  it('computes a softmax', () => {
    const y = new Float32Array(4);
    interpretKernel(
      softmax(),
      [Float32Array.of(0, Math.log(3), 5, 5), y],
      new Map([
        ['B', 2],
        ['N', 2],
      ]),
    );
    expect([...y].map((v) => Math.round(v * 1e6) / 1e6)).toEqual([0.25, 0.75, 0.5, 0.5]);
  });

  it('refuses an index outside its buffer', () => {
    const k = new KernelMaker('outside', [read('x', 2), write('y', 1)]);
    k.store('y', at(0), k.load('x', at(2)));
    expect(() => interpretKernel(k.finish(), [new Float32Array(2), new Float32Array(1)], new Map())).toThrow(
      'x[2] is outside',
    );
  });
});
