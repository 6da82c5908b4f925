/** Rows, columns and whole arrays reduced by teams of threads, against the interpreter. */
import { describe, expect, it } from 'vitest';
import { type Dim, dim, mulDims } from '../../../base/dim.ts';
import type { DType } from '../../../base/dtype.ts';
import { generateKernel } from '../../../codegen/wgsl/kernel.ts';
import type { Kernel } from '../../../ir/kernel.ts';
import { printKernel } from '../../../ir/kernel-print.ts';
import type { ReduceKind } from '../../../ir/opcodes.ts';
import { coreWebgpuTier } from '../../../runtime/program.ts';
import { type Bindings, makeInputs } from '../../support/kernel-data.ts';
import { at, KernelMaker, read, write } from '../../support/kernel-maker.ts';
import { fullTier, wgslErrors } from '../../support/webgpu-device.ts';
import { compareOnGpu } from '../../support/webgpu-kernel.ts';

const wave = (_: string, i: number): number => Math.fround(1 + Math.sin(i * 12.9898 + 1) * 3);
const small = (_: string, i: number): number => Math.round(Math.sin(i * 12.9898 + 1) * 9);
const natural = (_: string, i: number): number => (i * 7919) % 11;
const bit = (_: string, i: number): number => ((i * 7919) % 13 < 12 ? 1 : 0);
const special = (name: string, i: number): number =>
  i % 37 === 5 ? -0 : i % 601 === 7 ? Number.NaN : i % 211 === 9 ? Infinity : i % 307 === 3 ? -Infinity : wave(name, i);

/** Ways of generating code take turns. */
let turn = 0;

async function check(kernel: Kernel, fill: (name: string, i: number) => number, bindings: Bindings = {}) {
  const difference = await compareOnGpu(kernel, makeInputs(kernel, bindings, fill), bindings, turn++);
  expect(difference && `${JSON.stringify(bindings)}: ${difference}\n${printKernel(kernel)}`).toBeUndefined();
}

async function dispatchesOf(kernel: Kernel): Promise<number> {
  return generateKernel(kernel, { precision: 'fast', tier: await fullTier() }).dispatches.length;
}

/** `y[i]` from a row, or a column, of `x`. */
function reduction(kinds: readonly ReduceKind[], rows: Dim, length: Dim, dtype: DType = 'float32', isColumn = false) {
  const results = kinds.map((kind) => (kind === 'argmax' || kind === 'argmin' ? 'int32' : dtype));
  const outputs = results.map((result, i) => write(`y${i}`, rows, result));
  const k = new KernelMaker('reduction', [read('x', mulDims(rows, length), dtype), ...outputs]);
  k.parallel('i', rows, () => {
    const values = k.reduce(
      [{ name: 'r', extent: length }],
      kinds,
      () => {
        const value = k.load('x', isColumn ? at([rows, 'r'], 'i') : at([length, 'i'], 'r'));
        return kinds.map(() => value);
      },
      { dtype: dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype },
    );
    values.forEach((value, i) => {
      k.store(`y${i}`, at('i'), value);
    });
  });
  return k.finish();
}

function softmax(
  rows: Dim,
  length: Dim,
  { isColumn = false, dtype = 'float32' as DType, inPlace = false } = {},
): Kernel {
  const size = mulDims(rows, length);
  const k = new KernelMaker(
    'softmax',
    [read('x', size, dtype), write('y', size, dtype, inPlace ? 0 : undefined)],
    [{ name: 's0', dtype: 'float32', size: length }],
  );
  const place = (j: string) => (isColumn ? at([rows, j], 'i') : at([length, 'i'], j));
  k.parallel('i', rows, () => {
    const [max] = k.reduce([{ name: 'r', extent: length }], ['max'], () => [k.load('x', place('r'))]);
    k.parallel('j', length, () => {
      k.store('s0', at('j'), k.apply('exponential', k.apply('subtract', k.load('x', place('j')), max)));
    });
    const [sum] = k.reduce([{ name: 's', extent: length }], ['sum'], () => [k.load('s0', at('s'))]);
    k.parallel('o', length, () => {
      k.store('y', place('o'), k.apply('divide', k.load('s0', at('o')), sum));
    });
  });
  return k.finish();
}

function layerNorm(rows: Dim, length: Dim): Kernel {
  const size = mulDims(rows, length);
  const k = new KernelMaker('layer_norm', [
    read('x', size),
    read('weight', length),
    read('bias', length),
    write('y', size),
  ]);
  k.parallel('i', rows, () => {
    const count = k.applyTo('float32', 'convert', k.let('int32', { kind: 'size', size: length }));
    const [sum] = k.reduce([{ name: 'r', extent: length }], ['sum'], () => [k.load('x', at([length, 'i'], 'r'))]);
    const mean = k.apply('divide', sum, count);
    const [squares] = k.reduce([{ name: 's', extent: length }], ['sum'], () => {
      const centred = k.apply('subtract', k.load('x', at([length, 'i'], 's')), mean);
      return [k.apply('multiply', centred, centred)];
    });
    const scale = k.apply('rsqrt', k.apply('add', k.apply('divide', squares, count), k.constant(1e-5)));
    k.parallel('j', length, () => {
      const centred = k.apply('subtract', k.load('x', at([length, 'i'], 'j')), mean);
      const scaled = k.apply('multiply', k.apply('multiply', centred, scale), k.load('weight', at('j')));
      k.store('y', at([length, 'i'], 'j'), k.apply('add', scaled, k.load('bias', at('j'))));
    });
  });
  return k.finish();
}

/** Mean and sum of squared distances from it, of all rows and columns of each image, in one sweep of tuples. */
function moments(images: number, height: number, width: number): Kernel {
  const size = 2 * height * width;
  const k = new KernelMaker('moments', [read('x', images * size), write('mean', images), write('squares', images)]);
  k.parallel('i', images, () => {
    const [, mean, squares] = k.reduceTuple(
      [
        { name: 'h', extent: height },
        { name: 'w', extent: width },
      ],
      [0, 0, 0],
      () => [k.constant(1), k.load('x', at([size, 'i'], [2 * width, 'h'], 'w')), k.constant(0)],
      ([count, m1, squares1], [other, m2, squares2]) => {
        const sum = k.apply('add', count, other);
        const all = k.apply('maximum', sum, k.constant(1));
        const distance = k.apply('subtract', m2, m1);
        const share = k.apply('divide', other, all);
        const moved = k.apply('multiply', k.apply('multiply', distance, distance), k.apply('multiply', count, share));
        return [
          sum,
          k.apply('add', m1, k.apply('multiply', distance, share)),
          k.apply('add', k.apply('add', squares1, squares2), moved),
        ];
      },
    );
    k.store('mean', at('i'), mean);
    k.store('squares', at('i'), squares);
  });
  return k.finish();
}

const [n, m] = [dim('N', { min: 0 }), dim('M', { min: 0 })];
const lengths = [0, 1, 5, 16, 31, 32, 33, 255, 256, 257, 1000, 4099];

describe('rows', () => {
  it.each(lengths)('of %i', async (length) => {
    await check(reduction(['sum', 'max'], length % 2 === 0 ? 3 : 40, length), wave);
    await check(reduction(['argmax', 'argmin'], 5, length), natural);
    await check(softmax(9, length), wave);
    await check(layerNorm(3, length), wave);
  });

  it('of symbolic sizes', async () => {
    const kernels = [reduction(['sum', 'max'], m, n), softmax(m, n), layerNorm(m, n), reduction(['argmin'], m, n)];
    for (const kernel of kernels)
      for (const [N, M] of [
        [1, 0],
        [5, 70],
        [1000, 7],
      ])
        await check(kernel, wave, { N, M });
  });

  it('of tuples over two axes', async () => {
    for (const [height, width] of [
      [3, 7],
      [5, 16],
      [40, 30],
    ])
      await check(moments(5, height, width), wave);
  });

  it('more than there are workgroups with scratch memory', async () => {
    await check(softmax(m, n), wave, { N: 33, M: 4500 });
  });

  it('are valid with every feature', async () => {
    const tier = { ...(await fullTier()), shaderF16: true, subgroups: true };
    for (const kernel of [softmax(64, 1000, { dtype: 'float16' }), layerNorm(64, 33), moments(3, 5, 16)]) {
      const { code } = generateKernel(kernel, { precision: 'fast', tier });
      expect(await wgslErrors(code), code).toEqual([]);
    }
  });

  it.each(['float16', 'bfloat16', 'int32', 'uint32', 'int8', 'uint8', 'int16'] as const)('of %s', async (dtype) => {
    const fill = dtype.startsWith('u') ? natural : small;
    for (const length of [33, 256]) {
      const isHalf = dtype === 'float16' || dtype === 'bfloat16';
      if (isHalf) await check(softmax(6, length, { dtype }), () => 0x3c00);
      else await check(reduction(['sum', 'max', 'min', 'product'], 6, length, dtype), fill);
      if (!isHalf) await check(reduction(['argmax', 'argmin'], 6, length, dtype), fill);
    }
  });

  it('of bools', async () => {
    for (const length of [33, 256, 1000])
      await check(reduction(['and', 'or'], 13, length, 'bool'), length === 33 ? () => 1 : bit);
  });

  it('with NaN, infinities and -0', async () => {
    for (const length of [33, 512]) {
      await check(reduction(['max', 'min'], 40, length), special);
      await check(reduction(['argmax', 'argmin'], 40, length), special);
      await check(reduction(['max', 'min', 'argmax', 'argmin'], 3, length), () => -0);
    }
  });

  it('of every type, with scratch rows, take no more workgroup memory than every adapter has', async () => {
    const length = 1024;
    const dtypes = ['float32', 'int32', 'uint32'] as const;
    const kinds = ['sum', 'max', 'min', 'product'] as const;
    const inputs = dtypes.map((dtype) => read(`x_${dtype}`, 4 * length, dtype));
    const outputs = dtypes.flatMap((dtype) => kinds.map((kind) => write(`${kind}_${dtype}`, 4, dtype)));
    const scratch = ['s', 't'].map((name) => ({ name, dtype: 'float32', size: length }) as const);
    const k = new KernelMaker('all_types', [...inputs, ...outputs, write('z', 4 * length)], scratch);
    k.parallel('i', 4, () => {
      for (const dtype of dtypes) {
        const axis = `r_${dtype}`;
        const sweep = () => kinds.map(() => k.load(`x_${dtype}`, at([length, 'i'], axis)));
        const results = k.reduce([{ name: axis, extent: length }], kinds, sweep, { dtype });
        kinds.forEach((kind, i) => {
          k.store(`${kind}_${dtype}`, at('i'), results[i]);
        });
      }
      for (const { name } of scratch) {
        k.parallel(`a_${name}`, length, () =>
          k.store(name, at(`a_${name}`), k.load('x_float32', at([length, 'i'], `a_${name}`))),
        );
      }
      k.parallel('c', length, () => {
        const [s, t] = scratch.map(({ name }) => k.load(name, at(length - 1, [-1, 'c'])));
        k.store('z', at([length, 'i'], 'c'), k.apply('add', s, t));
      });
    });
    const { code } = generateKernel(k.finish(), { precision: 'fast', tier: coreWebgpuTier });
    const arrays = [...code.matchAll(/var<workgroup> \w+: array<[fiu]32, (\d+)>/g)];
    expect(arrays.length).toBe(code.match(/var<workgroup>/g)?.length);
    expect(4 * arrays.reduce((words, [, size]) => words + Number(size), 0)).toBeLessThanOrEqual(16_384);
  });

  it('wait for what was written before a loop that does not run', async () => {
    const times = dim('Q', { min: 0, max: 4 });
    const length = 512;
    const buffers = [read('x', 8 * length), write('z', 8 * length), write('y', 8 * length)];
    const k = new KernelMaker('loop_between', buffers, [{ name: 's', dtype: 'float32', size: length }]);
    k.parallel('i', 8, () => {
      k.parallel('a', length, () => k.store('s', at('a'), k.load('x', at([length, 'i'], 'a'))));
      k.sequential('q', times, [], 'float32', () => {
        k.parallel('b', length, () => k.store('z', at([length, 'i'], 'b'), k.load('s', at(length - 1, [-1, 'b']))));
        return [];
      });
      k.parallel('c', length, () => k.store('y', at([length, 'i'], 'c'), k.load('s', at(length - 1, [-1, 'c']))));
    });
    const kernel = k.finish();
    const { code } = generateKernel(kernel, { precision: 'fast', tier: coreWebgpuTier });
    expect(code).toMatch(/for \(var q_[^}]*workgroupBarrier[^}]*\}\n {2}workgroupBarrier\(\);\n {2}let c_/);
    for (const Q of [0, 1, 2]) await check(kernel, wave, { Q });
  });

  it('are done in place', async () => {
    for (const length of [16, 256, 1000, 9000]) await check(softmax(3, length, { inPlace: true }), wave);
  });

  it('take one dispatch', async () => {
    for (const kernel of [softmax(64, 1000), layerNorm(64, 768), softmax(m, n), layerNorm(m, n)]) {
      expect(await dispatchesOf(kernel)).toBe(1);
    }
  });
});

describe('columns', () => {
  it.each([1, 3, 33, 256, 1000])('of %i', async (length) => {
    for (const columns of [1, 5, 64, 100]) {
      await check(reduction(['sum', 'max', 'argmax'], columns, length, 'float32', true), wave);
      await check(softmax(columns, length, { isColumn: true }), wave);
    }
  });

  it('of symbolic sizes', async () => {
    const kernel = softmax(m, n, { isColumn: true });
    for (const N of [1, 33, 300]) for (const M of [0, 1, 70]) await check(kernel, wave, { N, M });
  });
});
