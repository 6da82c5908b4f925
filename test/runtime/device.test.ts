/** Programs on the wasm device: results, sizes, donation, aliases, failures. */
import { describe, expect, it } from 'vitest';
import type { BufferHandle } from '../../runtime/device.ts';
import { observeLaunches } from '../../runtime/profile.ts';
import type { WasmProgram } from '../../runtime/program.ts';
import { WasmDevice } from '../../runtime/wasm/device.ts';
import { codeOf } from '../support/errors.ts';
import {
  addition,
  additionProgram,
  compiledSource,
  constant,
  doubling,
  doublingInPlace,
  float32Input,
  input,
  output,
  ownOutput,
  programOf,
  temporary,
  tileElements,
  trappingProgram,
  upload,
  valuesOf,
} from './support.ts';

const run = (device: WasmDevice, program: WasmProgram, inputs: BufferHandle[], sizes: number[]): BufferHandle[] =>
  device.run(
    compiledSource(program),
    inputs,
    program.outputs.map(({ dtype }, i) => ({ dtype, shape: [sizes[i]] })),
  );

describe('running', () => {
  it('computes at once when the program is compiled', () => {
    const device = new WasmDevice();
    const [x, y] = [upload(device, [1, 2, 3]), upload(device, [10, 20, 30])];
    const [sum] = run(device, additionProgram(3), [x, y], [3]);
    expect(sum.state).toBe('ready');
    expect(valuesOf(device, sum)).toEqual([11, 22, 33]);
  });

  it('reads and writes empty arrays', async () => {
    const device = new WasmDevice();
    const [sum] = run(device, additionProgram(0), [upload(device, []), upload(device, [])], [0]);
    expect(await device.read(sum)).toEqual(new Uint8Array(0));
  });

  it('gives the same bytes for a long launch, which it runs in several calls', () => {
    const device = new WasmDevice();
    const elements = 100 * tileElements + 5;
    const values = Array.from({ length: elements }, (_, i) => i % 1000);
    const x = upload(device, values);
    const program = additionProgram(elements, { kernels: [{ ...addition(elements), flops: 2 ** 30 }] });
    const [sum] = run(device, program, [x, x], [elements]);
    expect(valuesOf(device, sum)).toEqual(values.map((value) => 2 * value));
  });

  it('hands temporaries from step to step, through memory that programs share', () => {
    const device = new WasmDevice();
    const twice = (elements: number): WasmProgram =>
      programOf({
        inputs: [float32Input([elements])],
        outputs: [ownOutput([elements])],
        temporaries: [{ bytes: 4 * elements, offset: 0, first: 0, last: 1 }],
        arenaBytes: 4 * elements + 16,
        kernels: [doubling(elements)],
        steps: [
          { kind: 'launch', kernel: 0, buffers: [input(0), temporary(0)] },
          { kind: 'launch', kernel: 0, buffers: [temporary(0), output(0)] },
        ],
      });
    const [small, large] = [twice(2), twice(5000)];
    const x = upload(device, [1, 2]);
    const y = upload(device, new Array<number>(5000).fill(3));
    for (let i = 0; i < 3; i++) {
      expect(valuesOf(device, run(device, small, [x], [2])[0])).toEqual([4, 8]);
      expect(valuesOf(device, run(device, large, [y], [5000])[0])[4999]).toBe(12);
    }
    expect(device.memory().programBytes).toBeGreaterThanOrEqual(20000);
    expect(device.memory().programBytes).toBeLessThan(20000 + 16 + 300);
  });

  it('binds symbolic sizes, and plans their temporaries', () => {
    const device = new WasmDevice();
    const program = programOf({
      symbols: [{ name: 'B', min: 1, max: 10000 }],
      inputs: [float32Input(['2*B'])],
      outputs: [ownOutput(['2*B'])],
      temporaries: [
        { bytes: '8*B', first: 0, last: 1 },
        { bytes: '8*B', first: 1, last: 2 },
      ],
      kernels: [doubling('2*B')],
      steps: [
        { kind: 'launch', kernel: 0, buffers: [input(0), temporary(0)] },
        { kind: 'launch', kernel: 0, buffers: [temporary(0), temporary(1)] },
        { kind: 'launch', kernel: 0, buffers: [temporary(1), output(0)] },
      ],
    });
    for (const elements of [2, 14, 4000, 2]) {
      const [y] = run(device, program, [upload(device, new Array<number>(elements).fill(1))], [elements]);
      expect(valuesOf(device, y)).toEqual(new Array(elements).fill(8));
    }
    expect(codeOf(() => run(device, program, [upload(device, [1, 2, 3])], [3]))).toBe('shape_mismatch');
    expect(codeOf(() => run(device, program, [upload(device, [])], [0]))).toBe('invalid_size');
  });

  it('keeps a bounded number of bindings', () => {
    const device = new WasmDevice();
    const program = additionProgram('B', { symbols: [{ name: 'B', min: 0, max: 1000 }], arenaBytes: 0 });
    let after20 = 0;
    for (let i = 1; i <= 60; i++) {
      const values = Array.from({ length: i }, (_, k) => k);
      const [x, y] = [upload(device, values), upload(device, values)];
      const [sum] = run(device, program, [x, y], [i]);
      expect(valuesOf(device, sum)).toEqual(values.map((value) => 2 * value));
      for (const buffer of [x, y, sum]) buffer.dispose();
      if (i === 20) after20 = device.memory().programBytes;
    }
    expect(device.memory().programBytes).toBe(after20);
    expect(device.memory().bytes).toBe(0);
  });

  it('uploads constants once, and outputs may be constants', () => {
    const device = new WasmDevice();
    const ten = new Uint8Array(new Float32Array([10, 10]).buffer);
    const program = programOf({
      inputs: [float32Input([2])],
      constants: [{ dtype: 'float32', shape: [2], bytes: ten }],
      outputs: [ownOutput([2]), { dtype: 'float32', shape: [2], source: { kind: 'constant', index: 0 } }],
      kernels: [addition(2)],
      steps: [{ kind: 'launch', kernel: 0, buffers: [input(0), constant(0), output(0)] }],
    });
    const x = upload(device, [1, 2]);
    const [sum, same] = run(device, program, [x], [2, 2]);
    expect(valuesOf(device, sum)).toEqual([11, 12]);
    // Handed to a program that writes in place, the constant itself must stay as it is.
    const [doubled] = run(device, doublingInPlace(2), [same], [2]);
    expect(valuesOf(device, doubled)).toEqual([20, 20]);
    const held = device.memory().programBytes;
    expect(valuesOf(device, run(device, program, [x], [2, 2])[1])).toEqual([10, 10]);
    expect(device.memory().programBytes).toBe(held);
  });

  it('reports launches to observers, and to nobody after they left', () => {
    const device = new WasmDevice();
    const seen: string[] = [];
    const stop = observeLaunches(({ program, kernel, step, milliseconds, bytes, device: name }) => {
      expect(milliseconds).toBeGreaterThanOrEqual(0);
      seen.push(`${name} ${program} ${kernel} ${step} ${bytes}`);
    });
    const [x, y] = [upload(device, [1]), upload(device, [2])];
    run(device, additionProgram(1), [x, y], [1]);
    stop();
    run(device, additionProgram(1), [x, y], [1]);
    expect(seen).toEqual(['wasm add add 0 12']);
  });
});

describe('aliases', () => {
  const both = programOf({
    name: 'both',
    inputs: [float32Input([2])],
    outputs: [
      ownOutput([2]),
      { dtype: 'float32', shape: [2], source: { kind: 'input', index: 0 } },
      { dtype: 'float32', shape: [2], source: { kind: 'output', index: 0 } },
    ],
    kernels: [doubling(2)],
    steps: [{ kind: 'launch', kernel: 0, buffers: [input(0), output(0)] }],
  });

  it('share bytes, which count once and go with the last handle', () => {
    const device = new WasmDevice();
    const x = upload(device, [1, 2]);
    const [own, sameAsInput, sameAsOutput] = run(device, both, [x], [2, 2, 2]);
    expect(device.memory()).toMatchObject({ tensors: 4, bytes: 16 });
    x.dispose();
    own.dispose();
    expect(valuesOf(device, sameAsInput)).toEqual([1, 2]);
    expect(valuesOf(device, sameAsOutput)).toEqual([2, 4]);
    sameAsInput.dispose();
    expect(device.memory()).toMatchObject({ tensors: 1, bytes: 8 });
    sameAsOutput.dispose();
    sameAsOutput.dispose();
    expect(device.memory()).toMatchObject({ tensors: 0, bytes: 0 });
  });

  it('can be made of a buffer, under another shape', () => {
    const device = new WasmDevice();
    const x = upload(device, [1, 2, 3, 4]);
    const matrix = device.alias(x, [2, 2]);
    x.dispose();
    expect(matrix).toMatchObject({ shape: [2, 2], state: 'ready' });
    expect(valuesOf(device, matrix)).toEqual([1, 2, 3, 4]);
    expect(codeOf(() => device.alias(matrix, [3]))).toBe('internal');
  });
});

describe('donation', () => {
  it('reuses the memory of the input, which is gone for its owner', () => {
    const device = new WasmDevice();
    let x = upload(device, [1, 2]);
    const before = device.memory();
    const program = doublingInPlace(2);
    for (let i = 0; i < 5; i++) {
      const [next] = run(device, program, [x], [2]);
      expect(x.state).toBe('donated');
      x = next;
    }
    expect(valuesOf(device, x)).toEqual([32, 64]);
    expect(device.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
  });

  it('says that it was donated when it is used again', () => {
    const device = new WasmDevice();
    const x = upload(device, [1]);
    run(device, doublingInPlace(1), [x], [1]);
    expect(() => device.readSync(x)).toThrow(/use_after_dispose.*donated to double/);
    expect(codeOf(() => run(device, doublingInPlace(1), [x], [1]))).toBe('use_after_dispose');
    x.dispose();
    expect(device.memory().tensors).toBe(1);
  });

  it('copies what somebody else can still see', () => {
    const device = new WasmDevice();
    const x = upload(device, [1, 2]);
    const view = device.alias(x);
    const [doubled] = run(device, doublingInPlace(2), [x], [2]);
    expect(valuesOf(device, view)).toEqual([1, 2]);
    expect(valuesOf(device, doubled)).toEqual([2, 4]);
    view.dispose();
    doubled.dispose();
    expect(device.memory()).toMatchObject({ tensors: 0, bytes: 0 });
  });

  it('copies a buffer that is donated and read by the same launch', () => {
    const device = new WasmDevice();
    // Step 0 overwrites input 0; step 1 must still see the old values through input 1.
    const program = programOf({
      name: 'twice',
      inputs: [float32Input([2], true), float32Input([2])],
      outputs: [{ dtype: 'float32', shape: [2], source: { kind: 'donated', input: 0 } }, ownOutput([2])],
      kernels: [doubling(2), addition(2)],
      steps: [
        { kind: 'launch', kernel: 0, buffers: [input(0), input(0)] },
        { kind: 'launch', kernel: 1, buffers: [input(0), input(1), output(1)] },
      ],
    });
    const x = upload(device, [1, 2]);
    const [doubled, sum] = run(device, program, [x, x], [2, 2]);
    expect(valuesOf(device, doubled)).toEqual([2, 4]);
    expect(valuesOf(device, sum)).toEqual([3, 6]);
    expect(x.state).toBe('donated');
    expect(device.memory()).toMatchObject({ tensors: 2, bytes: 16 });
  });

  it('does not happen when the launch can not begin', () => {
    const device = new WasmDevice({ memoryLimit: 2 ** 20 });
    const x = upload(device, [1, 2]);
    const program = programOf({
      inputs: [float32Input([2], true)],
      outputs: [ownOutput([300_000])],
      kernels: [doubling(2)],
      steps: [{ kind: 'launch', kernel: 0, buffers: [input(0), output(0)] }],
    });
    expect(codeOf(() => run(device, program, [x], [300_000]))).toBe('out_of_memory');
    expect(x.state).toBe('ready');
    expect(valuesOf(device, x)).toEqual([1, 2]);
    expect(device.memory()).toMatchObject({ tensors: 1, bytes: 8 });
  });
});

describe('failures', () => {
  it('of a launch poison its outputs and what depends on them, with the first cause', async () => {
    const device = new WasmDevice();
    const x = upload(device, [1, 2]);
    const [broken] = run(device, trappingProgram(2), [x], [2]);
    expect(broken.state).toBe('failed');
    const [dependant] = run(device, additionProgram(2), [x, broken], [2]);
    expect(dependant.error).toBe(broken.error);
    await expect(device.read(dependant)).rejects.toMatchObject({ code: 'launch_failed' });
    expect(() => device.readSync(dependant)).toThrow(/broken: kernel trap failed in step 0[\s\S]*unreachable/);
    expect(broken.error?.cause).toBeInstanceOf(Error);
    expect(valuesOf(device, run(device, additionProgram(2), [x, x], [2])[0])).toEqual([2, 4]);
    broken.dispose();
    dependant.dispose();
    expect(device.memory()).toMatchObject({ tensors: 2, bytes: 16 });
  });

  it('of a launch take the donated input along, and nothing leaks', () => {
    const device = new WasmDevice();
    const x = upload(device, [1, 2]);
    const [broken] = run(device, trappingProgram(2, true), [x], [2]);
    expect(x.state).toBe('donated');
    broken.dispose();
    expect(device.memory()).toMatchObject({ tensors: 0, bytes: 0 });
  });

  it('of the arguments leave everything as it was', () => {
    const [device, other] = [new WasmDevice(), new WasmDevice()];
    const x = upload(device, [1, 2]);
    const elsewhere = upload(other, [1, 2]);
    const integers = upload(device, [1, 2], 'int32');
    const gone = upload(device, [1, 2]);
    gone.dispose();
    const program = additionProgram(2);
    expect(codeOf(() => run(device, program, [x, elsewhere], [2]))).toBe('device_mismatch');
    expect(codeOf(() => run(device, program, [x, integers], [2]))).toBe('dtype_mismatch');
    expect(codeOf(() => run(device, program, [x, gone], [2]))).toBe('use_after_dispose');
    expect(codeOf(() => run(device, program, [x], [2]))).toBe('invalid_argument');
    expect(codeOf(() => run(device, program, [x, upload(device, [1])], [2]))).toBe('shape_mismatch');
    expect(codeOf(() => run(device, program, [x, x], [3]))).toBe('internal');
    expect(valuesOf(device, run(device, program, [x, x], [2])[0])).toEqual([2, 4]);
  });

  it('of code the engine refuses are compile errors', () => {
    const device = new WasmDevice();
    const program = additionProgram(1, {
      kernels: [{ ...addition(1), hash: '0'.repeat(64), code: new Uint8Array(8) }],
    });
    const x = upload(device, [1]);
    expect(codeOf(() => run(device, program, [x, x], [1]))).toBe('compile_failed');
  });
});

describe('memory', () => {
  it('counts, and the peak can be started anew', () => {
    const device = new WasmDevice();
    const x = upload(device, new Array<number>(1000).fill(0));
    expect(device.memory()).toMatchObject({ tensors: 1, bytes: 4000, peakBytes: 4000, programBytes: 0 });
    x.dispose();
    expect(device.memory()).toMatchObject({ tensors: 0, bytes: 0, peakBytes: 4000 });
    device.resetPeak();
    expect(device.memory().peakBytes).toBe(0);
  });

  it('is exactly constant over steps that dispose what they make', () => {
    const device = new WasmDevice();
    const program = additionProgram(100);
    const one = upload(device, new Array<number>(100).fill(1));
    let x = upload(device, new Array<number>(100).fill(0));
    let after10: unknown;
    for (let step = 0; step < 10_000; step++) {
      const [next] = run(device, program, [x, one], [100]);
      x.dispose();
      x = next;
      if (step === 10) after10 = device.memory();
    }
    expect(device.memory()).toEqual(after10);
    expect(valuesOf(device, x)[0]).toBe(10_000);
  });
});

describe('memory above 2 GiB', () => {
  it('is addressed by kernels as any other', () => {
    const device = new WasmDevice();
    const elements = 2 ** 29 + 2 ** 20;
    // Nothing touches this array, so it costs addresses only.
    const [low] = run(device, programOf({ outputs: [ownOutput([elements])] }), [], [elements]);
    const [x, y] = [upload(device, [1, 2, 3]), upload(device, [10, 20, 30])];
    const [sum] = run(device, additionProgram(3), [x, y], [3]);
    expect(valuesOf(device, sum)).toEqual([11, 22, 33]);
    expect(device.memory().reservedBytes).toBeGreaterThan(2 ** 31);
    low.dispose();
    device.shutdown();
  });
});

describe('shutdown', () => {
  it('ends every use with shut_down', async () => {
    const device = new WasmDevice();
    const x = upload(device, [1]);
    device.shutdown();
    device.shutdown();
    expect(x.state).toBe('disposed');
    expect(codeOf(() => upload(device, [1]))).toBe('shut_down');
    expect(codeOf(() => device.readSync(x))).toBe('shut_down');
    await expect(device.read(x)).rejects.toMatchObject({ code: 'shut_down' });
    x.dispose();
    expect(device.memory()).toEqual({ tensors: 0, bytes: 0, peakBytes: 0, programBytes: 0, reservedBytes: 0 });
  });
});
