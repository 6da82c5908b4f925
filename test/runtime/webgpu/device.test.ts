/** Programs on the webgpu device: results, order, sizes, donation, aliases. */
import { describe, expect, it } from 'vitest';
import { decodeElements } from '../../../runtime/elements.ts';
import { codeOf } from '../../support/errors.ts';
import { constant, float32Input, input, output, ownOutput, PendingSource, upload, vector } from '../support.ts';
import {
  addition,
  additionProgram,
  chainProgram,
  doublingInPlace,
  elementwise,
  entryPoint,
  filled,
  groupElements,
  keepingProgram,
  kernelOf,
  openDevice,
  programOf,
  run,
  threadNumber,
  valuesOf,
} from './support.ts';

describe('running', () => {
  it('gives handles at once, and computes when pipelines are there', async () => {
    const device = await openDevice();
    const [x, y] = [upload(device, [1, 2, 3]), upload(device, [10, 20, 30])];
    const program = additionProgram(3);
    const [sum] = run(device, program, [x, y], [3]);
    expect(sum.state).toBe('pending');
    expect(await valuesOf(device, sum)).toEqual([11, 22, 33]);
    expect(run(device, program, [x, y], [3])[0].state).toBe('ready');
  });

  it('waits for what is compiled, in the order of the calls', async () => {
    const device = await openDevice();
    const x = upload(device, [1, 2, 3]);
    const source = new PendingSource(additionProgram(3));
    const [sum] = device.run(source, [x, x], vector(3));
    const [doubled] = run(device, doublingInPlace(3), [sum], [3]);
    expect(doubled.state).toBe('pending');
    const read = valuesOf(device, doubled);
    source.complete();
    expect(await read).toEqual([4, 8, 12]);
    expect(codeOf(() => sum.assertUsable())).toBe('use_after_dispose');
  });

  it('runs over empty arrays', async () => {
    const device = await openDevice();
    const [sum] = run(device, additionProgram(0), [upload(device, []), upload(device, [])], [0]);
    expect(await device.read(sum)).toEqual(new Uint8Array(0));
  });

  it('lays out more workgroups than one dimension has room for', async () => {
    const device = await openDevice();
    const elements = 65535 * groupElements + 777;
    const x = device.upload('float32', [elements], new Uint8Array(new Float32Array(elements).fill(3).buffer));
    const [sum] = run(device, additionProgram(elements), [x, x], [elements]);
    const values = decodeElements('float32', await device.read(sum));
    expect(values.every((value) => value === 6)).toBe(true);
  });

  it('runs several entry points one after the other, through scratch memory', async () => {
    const device = await openDevice();
    const code = `struct Sizes { elements: i32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> scratch: array<f32>;
@group(0) @binding(3) var<uniform> sizes: Sizes;
${entryPoint('first')} {
  let i = ${threadNumber};
  if (i < u32(sizes.elements)) { scratch[i] = x[u32(sizes.elements) - 1 - i]; }
}
${entryPoint('second')} {
  let i = ${threadNumber};
  if (i < u32(sizes.elements)) { y[i] = scratch[u32(sizes.elements) - 1 - i] + scratch[i]; }
}`;
    const elements = 1000;
    const kernel = kernelOf('twice', code, {
      buffers: 2,
      access: ['read', 'read_write'],
      sizes: [elements],
      scratchBytes: 4 * elements,
      dispatches: ['first', 'second'].map((name) => ({ entryPoint: name, workgroups: 16 })),
    });
    const program = programOf({
      inputs: [float32Input([elements])],
      outputs: [ownOutput([elements])],
      kernels: [kernel],
      steps: [{ kind: 'launch', kernel: 0, buffers: [input(0), output(0)] }],
    });
    const values = Array.from({ length: elements }, (_, i) => i);
    const [sum] = run(device, program, [upload(device, values)], [elements]);
    expect(await valuesOf(device, sum)).toEqual(filled(elements, elements - 1));
  });

  it('hands temporaries from step to step, through memory that programs share', async () => {
    const device = await openDevice();
    const [small, large] = [chainProgram(2, 5), chainProgram(5000, 4)];
    const [x, y] = [upload(device, [1, 2]), upload(device, filled(5000, 3))];
    for (let i = 0; i < 3; i++) {
      expect(await valuesOf(device, run(device, small, [x], [2])[0])).toEqual([32, 64]);
      expect((await valuesOf(device, run(device, large, [y], [5000])[0]))[4999]).toBe(48);
    }
    // Two arenas that take turns, and a uniform block for each of nine launches.
    expect(device.memory().programBytes).toBe(2 * 20_224 + 9 * 256);
  });

  it('binds symbolic sizes, and plans their temporaries', async () => {
    const device = await openDevice();
    const program = chainProgram('2*B', 3);
    for (const elements of [2, 14, 4000, 2]) {
      const [y] = run(device, program, [upload(device, filled(elements))], [elements]);
      expect(await valuesOf(device, y)).toEqual(filled(elements, 8));
    }
    expect(codeOf(() => run(device, program, [upload(device, [1, 2, 3])], [3]))).toBe('shape_mismatch');
    expect(device.counters()).toMatchObject({ pipelines: 1 });
  });

  it('keeps a bounded number of bindings', async () => {
    const device = await openDevice();
    const program = additionProgram('B', { symbols: [{ name: 'B', min: 0, max: 1000 }] });
    let after20 = 0;
    for (let i = 1; i <= 60; i++) {
      const values = Array.from({ length: i }, (_, k) => k);
      const [x, y] = [upload(device, values), upload(device, values)];
      const [sum] = run(device, program, [x, y], [i]);
      expect(await valuesOf(device, sum)).toEqual(values.map((value) => 2 * value));
      for (const buffer of [x, y, sum]) buffer.dispose();
      if (i === 20) after20 = device.memory().programBytes;
    }
    expect(device.memory().programBytes).toBe(after20);
    expect(device.memory().bytes).toBe(0);
  });

  it('refuses inputs that do not fit, of another device, or disposed, and then nothing has happened', async () => {
    const [device, other] = [await openDevice(), await openDevice()];
    const program = additionProgram(3);
    await device.warmup(program);
    const x = upload(device, [1, 2, 3]);
    expect(codeOf(() => run(device, program, [x], [3]))).toBe('invalid_argument');
    expect(codeOf(() => run(device, program, [x, upload(device, [1, 2])], [3]))).toBe('shape_mismatch');
    expect(codeOf(() => run(device, program, [x, upload(device, [1, 2, 3], 'int32')], [3]))).toBe('dtype_mismatch');
    expect(codeOf(() => run(device, program, [x, upload(other, [1, 2, 3])], [3]))).toBe('device_mismatch');
    const gone = upload(device, [1, 2, 3]);
    gone.dispose();
    expect(codeOf(() => run(device, program, [x, gone], [3]))).toBe('use_after_dispose');
    expect(await valuesOf(device, run(device, program, [x, x], [3])[0])).toEqual([2, 4, 6]);
  });
});

describe('where outputs lie', () => {
  it('is in donated inputs', async () => {
    const device = await openDevice();
    const program = doublingInPlace(3);
    await device.warmup(program);
    const x = upload(device, [1, 2, 3]);
    const { buffers } = device.counters();
    const [doubled] = run(device, program, [x], [3]);
    expect(x.state).toBe('donated');
    expect(device.counters().buffers).toBe(buffers);
    expect(await valuesOf(device, doubled)).toEqual([2, 4, 6]);
    expect(device.memory()).toMatchObject({ tensors: 1, bytes: 12 });
  });

  it('is in a copy where somebody else still sees a donated input', async () => {
    const device = await openDevice();
    const program = doublingInPlace(3);
    await device.warmup(program);
    const x = upload(device, [1, 2, 3]);
    const alias = device.alias(x, [3, 1]);
    const [doubled] = run(device, program, [x], [3]);
    expect(await valuesOf(device, doubled)).toEqual([2, 4, 6]);
    expect(await valuesOf(device, alias)).toEqual([1, 2, 3]);
    alias.dispose();
    doubled.dispose();
    expect(device.memory()).toMatchObject({ tensors: 0, bytes: 0 });
  });

  it('is in a copy where the program reads the same buffer elsewhere', async () => {
    const device = await openDevice();
    const program = programOf({
      name: 'accumulate',
      inputs: [float32Input([3], true), float32Input([3])],
      outputs: [{ dtype: 'float32', shape: [3], source: { kind: 'donated', input: 0 } }],
      kernels: [elementwise('accumulate', 2, 3, '10 * x0 + x1', true)],
      steps: [{ kind: 'launch', kernel: 0, buffers: [input(0), input(1)] }],
    });
    await device.warmup(program);
    const x = upload(device, [1, 2, 3]);
    const y = device.alias(x);
    const [sum] = run(device, program, [x, y], [3]);
    expect(await valuesOf(device, sum)).toEqual([11, 22, 33]);
    expect(await valuesOf(device, y)).toEqual([1, 2, 3]);
  });

  it('is in inputs, constants and other outputs', async () => {
    const device = await openDevice();
    const ten = new Uint8Array(new Float32Array([10, 10]).buffer);
    const program = programOf({
      inputs: [float32Input([2])],
      constants: [{ dtype: 'float32', shape: [2], bytes: ten }],
      outputs: [
        ownOutput([2]),
        { dtype: 'float32', shape: [2], source: { kind: 'constant', index: 0 } },
        { dtype: 'float32', shape: [2], source: { kind: 'input', index: 0 } },
        { dtype: 'float32', shape: [2], source: { kind: 'output', index: 0 } },
      ],
      kernels: [addition(2)],
      steps: [{ kind: 'launch', kernel: 0, buffers: [input(0), constant(0), output(0)] }],
    });
    const x = upload(device, [1, 2]);
    const results = run(device, program, [x], [2, 2, 2, 2]);
    x.dispose();
    expect(await Promise.all(results.map((handle) => valuesOf(device, handle)))).toEqual([
      [11, 12],
      [10, 10],
      [1, 2],
      [11, 12],
    ]);
    expect(device.memory().bytes).toBe(16);
    // Handed to a program that writes in place, the constant itself stays as it is.
    const [doubled] = run(device, doublingInPlace(2), [results[1]], [2]);
    expect(await valuesOf(device, doubled)).toEqual([20, 20]);
    const [again] = run(device, program, [results[2]], [2, 2, 2, 2]);
    expect(await valuesOf(device, again)).toEqual([11, 12]);
  });
});

describe('prepared arrays', () => {
  it('are filled by the first run, and again for another buffer', async () => {
    const device = await openDevice();
    const program = keepingProgram(3);
    await device.warmup(program);
    const [x, w, v] = [upload(device, [1, 2, 3]), upload(device, [10, 20, 30]), upload(device, [5, 5, 5])];
    const dispatched: number[] = [];
    const sums: number[][] = [];
    for (const held of [w, w, v, v, w]) {
      const before = device.counters().dispatches;
      sums.push(await valuesOf(device, run(device, program, [x, held], [3])[0]));
      dispatched.push(device.counters().dispatches - before);
    }
    expect(dispatched).toEqual([2, 1, 2, 1, 1]);
    expect(sums.map(([first]) => first)).toEqual([21, 21, 11, 11, 21]);
  });

  it('go with the buffer that they follow from', async () => {
    const device = await openDevice();
    const program = keepingProgram(256);
    const [x, w] = [upload(device, filled(256)), upload(device, filled(256, 2))];
    expect(await valuesOf(device, run(device, program, [x, w], [256])[0])).toEqual(filled(256, 5));
    const before = device.memory().programBytes;
    w.dispose();
    expect(before - device.memory().programBytes).toBe(1024);
  });
});
