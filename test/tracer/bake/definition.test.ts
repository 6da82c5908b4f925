/** What can be baked, and what is refused with advice: nothing here compiles. */
import { describe, expect, it } from 'vitest';
import { compile, defineBake, init, type KilnError, spec, type Tensor, tensor, tree } from '../../../index.ts';
import { bakeArtefact, failuresOf } from '../../../tracer/bake/bake.ts';
import type { BakeEntry } from '../../../tracer/bake/define.ts';
import { reproducibly } from '../../../tracer/bake/reproducible.ts';
import { resolveTargets } from '../../../tracer/bake/targets.ts';
import { traceEntry } from '../../../tracer/bake/trace-entry.ts';
import { errorOf, rejectionOf } from '../../support/errors.ts';

const entry = (given: unknown): BakeEntry => given as BakeEntry;
const double = (x: Tensor): Tensor => x.mul(2);

describe('defineBake', () => {
  it.each([
    ['nothing', {}, /there is nothing to bake/],
    ['no entry', { f: double }, /the entry 'f' is none[\s\S]*given: {4}the function double/],
    ['no arguments', { f: { fn: double } }, /the entry 'f' is none/],
    ['an option that does not exist', { f: { fn: double, args: [], donated: [0] } }, /does not exist[\s\S]*donated/],
  ])('refuses %s', (_, entries, message) => {
    const error = errorOf(() => defineBake(entries as never));
    expect(error.code).toBe('bake_failed');
    expect(error.message).toMatch(message);
    expect(error.message).toContain('definition.test.ts');
  });

  it('refuses weights without names', () => {
    const error = errorOf(() => defineBake({ f: { fn: double, args: [spec([2])] } }, { weights: [] as never }));
    expect(error.message).toMatch(/named trees[\s\S]*weights: \{ params \}/);
  });
});

describe('traceEntry', () => {
  it('takes the options of a compiled function, and its own before them', () => {
    const fn = compile((x: Tensor, mode: string) => (mode === 'exp' ? x.exp() : x.neg()), {
      static: ['mode'],
      donate: ['x'],
      precision: 'strict',
    });
    const args = [spec([2]), 'exp'];
    const { record, request } = traceEntry('f', entry({ fn, args }));
    expect(record.precision).toBe('strict');
    expect(record.parameters).toEqual([
      { name: 'x', tree: { kind: 'array' } },
      { name: 'mode', tree: { kind: 'static', key: 's3:exp' } },
    ]);
    expect(request).toMatchObject({ name: 'f', donated: [true], precision: 'strict' });
    const own = traceEntry('f', entry({ fn, args, donate: [], precision: 'fast', name: 'mine' }));
    expect(own.request).toMatchObject({ name: 'mine', donated: [false], precision: 'fast' });
  });

  it('says by types, trees and symbols what a call is', () => {
    const fn = (p: { readonly w: Tensor; readonly rate: number }, [x]: readonly Tensor[], none: null) =>
      none === null ? { out: [x.matmul(p.w).mul(p.rate), null] } : x;
    const rate = Number.NaN;
    const { record } = traceEntry('f', entry({ fn, args: [{ w: spec([3, 2]), rate }, [spec([4, 3])], null] }));
    expect(record.parameters).toEqual([
      {
        name: 'p',
        tree: { kind: 'dict', keys: ['rate', 'w'], children: [{ kind: 'static', key: 'nNaN' }, { kind: 'array' }] },
      },
      { tree: { kind: 'list', children: [{ kind: 'array' }] } },
      { name: 'none', tree: { kind: 'static', key: 'N' } },
    ]);
    expect(record.result).toEqual({
      kind: 'dict',
      keys: ['out'],
      children: [{ kind: 'list', children: [{ kind: 'array' }, { kind: 'static', key: 'N' }] }],
    });
    expect(record.results).toEqual([{ dtype: 'float32', shape: [4, 2] }]);
  });

  class Layer {
    w = tensor([1, 2]);
    forward(x: Tensor): Tensor {
      return x.mul(this.w);
    }
  }
  tree.register(Layer);
  const layer = new Layer();

  it.each([
    ['a method', { fn: layer.forward, args: [spec([2])] }, /uses `this`[\s\S]*\(x\) => model\.f\(x\)/],
    ['a compiled method', { fn: compile(layer.forward), args: [spec([2])] }, /uses `this`/],
    [
      'a function among the arguments',
      { fn: (x: Tensor, g: (x: Tensor) => Tensor) => g(x), args: [spec([2]), double] },
      /g is the function double[\s\S]*close over it/,
    ],
    [
      'a map in a static argument',
      { fn: (x: Tensor) => x.neg(), args: [spec([2]), { a: [new Map()] }], static: [1] },
      /argument 1\.a\[0\] is an instance of Map/,
    ],
    ['an instance of a class', { fn: (m: Layer) => m.w, args: [layer] }, /m is an instance of Layer[\s\S]*no classes/],
    ['an instance as a result', { fn: (x: Tensor) => ({ x, layer }), args: [spec([2])] }, /instance of Layer/],
  ])('refuses %s, with advice', (_, given, message) => {
    const error = errorOf(() => traceEntry('f', entry(given)));
    expect(error.code).toBe('bake_failed');
    expect(error.message).toMatch(message);
    expect(error.hint).toBeTruthy();
  });

  it('refuses 64-bit numbers, which no kernel takes', () => {
    const error = errorOf(() => traceEntry('f', entry({ fn: double, args: [spec([2], 'float64')] })));
    expect(error.code).toBe('unsupported_dtype');
  });
});

describe('bakeArtefact', () => {
  it('refuses targets that do not exist, and takes them in any order', async () => {
    const error = await rejectionOf(() =>
      bakeArtefact(defineBake({ f: { fn: double, args: [spec([2])] } }), { targets: ['cuda', 'wasm'] }),
    );
    expect(error.message).toMatch(/\[bake_failed\][\s\S]*given: {4}cuda\n[\s\S]*wasm-threads-relaxed/);
    expect(resolveTargets(['webgpu', 'wasm', 'webgpu'])).toEqual(['wasm', 'webgpu']);
  });

  it('refuses names that two modules give, and says which', async () => {
    const define = (source: string, params: Tensor) => ({
      ...defineBake({ f: { fn: () => double(params), args: [] } }, { weights: { params } }),
      source,
    });
    const both = [define('a.ts', tensor([1])), define('b.ts', tensor([2]))];
    const error = await rejectionOf(() => bakeArtefact(both, { threads: 1, targets: ['webgpu'] }));
    const failures = failuresOf(error) as KilnError[];
    expect(failures.map(({ summary, given }) => [summary, given])).toEqual([
      ['f: two functions have one name', "'f' in a.ts and b.ts"],
      ['weights.params: two trees of weights have one name', "'params' in a.ts and b.ts"],
    ]);
    expect(error.message).toMatch(/2 faults/);
  });

  it.each([
    ['a spec', spec([2]), /weights\.w: the weight w has no data/],
    ['a function', { f: double }, /w\.f is the function double/],
    ['an array that is gone', disposed(), /use_after_dispose/],
  ])('refuses %s among the weights', async (_, w, message) => {
    const definition = defineBake({ f: { fn: double, args: [spec([2])] } }, { weights: { w } });
    const error = await rejectionOf(() => bakeArtefact(definition, { threads: 1, targets: ['webgpu'] }));
    expect(error.message).toMatch(message);
  });
});

function disposed(): Tensor {
  const x = tensor([1]);
  x.dispose();
  return x;
}

describe('reproducibly', () => {
  it('computes in strict while modules are loaded, and bakes as it would have', async () => {
    const x = tensor(Float32Array.from({ length: 40 }, (_, i) => 1 + i / 7));
    const strict = compile((v: Tensor) => v.exp().sum(), { precision: 'strict' });
    const numbers = await reproducibly(async () => x.exp().sum());
    expect(await numbers.data()).toEqual(await strict(x).data());
    expect(traceEntry('f', entry({ fn: double, args: [spec([2])] })).record.precision).toBe('fast');
    await reproducibly(() => init({ precision: 'strict' }));
    expect(traceEntry('f', entry({ fn: double, args: [spec([2])] })).record.precision).toBe('strict');
    await init({ precision: 'fast' });
  });
});
