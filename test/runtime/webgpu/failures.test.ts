/** What goes wrong on the webgpu device, and what is left of it: code, launches, memory, the device itself. */
import { describe, expect, it } from 'vitest';
import { DeviceArray } from '../../../runtime/array.ts';
import type { WebgpuProgram } from '../../../runtime/program.ts';
import { openAdapter } from '../../../runtime/webgpu/adapter.ts';
import { WebgpuDevice } from '../../../runtime/webgpu/device.ts';
import { rejectionOf } from '../../support/errors.ts';
import {
  compiledSource,
  input,
  output,
  ownOutput,
  PendingSource,
  upload,
  vector,
  programOf as wasmProgram,
} from '../support.ts';
import {
  addition,
  additionProgram,
  chainProgram,
  doublingInPlace,
  filled,
  keepingProgram,
  openDevice,
  programOf,
  run,
  valuesOf,
} from './support.ts';

/** A device whose GPUDevice is at hand. */
async function openRaw(): Promise<{ device: WebgpuDevice; gpu: GPUDevice }> {
  const open = await openAdapter({});
  return { device: new WebgpuDevice(open), gpu: open.device };
}

/** The limits, which are getters of a prototype, as fields. */
function limitsOf({ limits }: GPUDevice): Record<string, number> {
  const names = Object.keys(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(limits)));
  const values = limits as unknown as Readonly<Record<string, number>>;
  return Object.fromEntries(names.map((name) => [name, values[name]]));
}

const kernelWith = (code: (right: string) => string): WebgpuProgram => {
  const right = addition(3);
  return additionProgram(3, { kernels: [{ ...right, code: code(right.code) }] });
};

describe('code that the adapter does not take', () => {
  it('is an error with the kernel, the line of its WGSL, and what it computes', async () => {
    const device = await openDevice();
    const x = upload(device, [1, 2, 3]);
    const program = kernelWith((right) => right.replace('x0 + x1', 'x0 + missing'));
    const source = { ...compiledSource(program), origin: () => 'add at model.ts:12:14' };
    const [sum] = device.run(source, [x, x], vector(3));
    const error = await rejectionOf(() => device.read(sum));
    expect(error.code).toBe('compile_failed');
    expect(error.message).toMatch(
      /kernel add: [\s\S]*missing[\s\S]*in line 13 of the WGSL: b2\[i\] = x0 \+ missing;[\s\S]*add at model\.ts:12:14/,
    );
    expect(sum.state).toBe('failed');
  });

  it('fails what depends on it with the same error, and nothing else', async () => {
    const device = await openDevice();
    const x = upload(device, [1, 2, 3]);
    const [broken] = run(
      device,
      kernelWith(() => 'fn nothing() {}'),
      [x, x],
      [3],
    );
    const [after] = run(device, additionProgram(3), [broken, x], [3]);
    const [sound] = run(device, additionProgram(3), [x, x], [3]);
    const cause = await rejectionOf(() => device.read(broken));
    expect(cause.message).toMatch(/compile_failed[\s\S]*main/);
    expect(await rejectionOf(() => device.read(after))).toBe(cause);
    expect(await valuesOf(device, sound)).toEqual([2, 4, 6]);
  });

  it('gives donated inputs back', async () => {
    const device = await openDevice();
    const program = doublingInPlace(3);
    const broken = { ...program, kernels: [{ ...program.kernels[0], code: 'broken' }] };
    const x = upload(device, [1, 2, 3]);
    const [doubled] = run(device, broken, [x], [3]);
    await rejectionOf(() => device.read(doubled));
    expect(x.state).toBe('ready');
    expect(await valuesOf(device, x)).toEqual([1, 2, 3]);
  });

  it('is refused before, where it needs more than the adapter has', async () => {
    const device = await openDevice();
    const x = upload(device, [1, 2, 3]);
    const [sum] = run(device, additionProgram(3, { tier: { ...device.tier, storageBuffers: 100 } }), [x, x], [3]);
    expect((await rejectionOf(() => device.read(sum))).message).toMatch(/invalid_program[\s\S]*100-buffers/);
  });
});

describe('a launch that the device refuses', () => {
  it('fails the reads of what it wrote, and of what follows from that', async () => {
    const { device, gpu } = await openRaw();
    const program = additionProgram(3);
    await device.warmup(program);
    const x = upload(device, [1, 2, 3]);
    await device.synchronize();
    // As if a launch bound a buffer that is gone.
    const stolen = upload(device, [4, 5, 6]);
    (stolen as unknown as { storage: { buffer: GPUBuffer } }).storage.buffer.destroy();
    const [sum] = run(device, program, [x, stolen], [3]);
    const [more] = run(device, program, [sum, x], [3]);
    const error = await rejectionOf(() => device.read(sum));
    expect(error.message).toMatch(/launch_failed[\s\S]*refused add/);
    expect(await rejectionOf(() => device.read(more))).toBe(error);
    const [later] = run(device, program, [more, x], [3]);
    expect(later.error).toBe(error);
    // What was there before, and what comes after, is sound.
    expect(await valuesOf(device, x)).toEqual([1, 2, 3]);
    expect(await valuesOf(device, run(device, program, [x, x], [3])[0])).toEqual([2, 4, 6]);
    device.shutdown();
    await gpu.lost;
  });

  it('does not leave prepared arrays behind that were never filled', async () => {
    const { device, gpu } = await openRaw();
    const program = keepingProgram(3);
    await device.warmup(program);
    const [x, w] = [upload(device, [1, 2, 3]), upload(device, [10, 20, 30])];
    const stolen = upload(device, [4, 5, 6]);
    (stolen as unknown as { storage: { buffer: GPUBuffer } }).storage.buffer.destroy();
    const [broken] = run(device, program, [stolen, w], [3]);
    expect((await rejectionOf(() => device.read(broken))).code).toBe('launch_failed');
    expect(await valuesOf(device, run(device, program, [x, w], [3])[0])).toEqual([21, 42, 63]);
    device.shutdown();
    await gpu.lost;
  });
});

describe('memory that the device has not', () => {
  it('is an error of what was to lie there, and no more', async () => {
    const { device, gpu } = await openRaw();
    const x = upload(device, [1, 2, 3]);
    // As if the next buffer were one too many.
    gpu.popErrorScope = async () => {
      // Back to that of the prototype.
      Reflect.deleteProperty(gpu, 'popErrorScope');
      await gpu.popErrorScope();
      return { message: 'no memory on this device' };
    };
    const large = device.upload('float32', [1000], new Uint8Array(4000));
    const program = additionProgram(1000);
    await device.warmup(program);
    const [sum] = run(device, program, [large, large], [1000]);
    const error = await rejectionOf(() => device.read(large));
    expect(error.message).toMatch(/out_of_memory[\s\S]*no memory on this device/);
    expect(await rejectionOf(() => device.read(sum))).toBe(error);
    expect(await valuesOf(device, x)).toEqual([1, 2, 3]);
    for (const handle of [large, sum]) handle.dispose();
    expect(device.memory()).toMatchObject({ tensors: 1, bytes: 12 });
    device.shutdown();
    await gpu.lost;
  });
});

describe('memory that a launch can not bind', () => {
  it('is an error with the limit, before anything is recorded', async () => {
    const open = await openAdapter({});
    const limits = { ...limitsOf(open.device), maxStorageBufferBindingSize: 2 ** 16 };
    Object.defineProperty(open.device, 'limits', { value: limits });
    const device = new WebgpuDevice(open);
    const chain = chainProgram(3, 2);
    const wide = { ...chain, temporaries: chain.temporaries.map((temporary) => ({ ...temporary, bytes: 100_000 })) };
    expect((await rejectionOf(() => device.warmup(wide))).message).toMatch(
      /out_of_memory[\s\S]*maxStorageBufferBindingSize 65536/,
    );
    device.shutdown();
    await open.device.lost;
  });
});

describe('a launch that can not be recorded', () => {
  it('leaves nothing that is written behind a later upload', async () => {
    const { device, gpu } = await openRaw();
    const program = additionProgram(3, {
      outputs: [ownOutput([3]), ownOutput([3])],
      steps: [0, 1].map((at) => ({ kind: 'launch', kernel: 0, buffers: [input(0), input(1), output(at)] })),
    });
    await device.warmup(program);
    const x = upload(device, [1, 2, 3]);
    const makeGroup = gpu.createBindGroup.bind(gpu);
    let made = 0;
    gpu.createBindGroup = (descriptor) => {
      if (made++ > 0) throw new TypeError('no bind group');
      return makeGroup(descriptor);
    };
    const [broken] = run(device, program, [x, x], [3, 3]);
    expect(broken.error?.message).toMatch(/launch_failed[\s\S]*step 1[\s\S]*no bind group/);
    const uploads = [0, 1].map(() => upload(device, [7, 8, 9]));
    for (const handle of uploads) expect(await valuesOf(device, handle)).toEqual([7, 8, 9]);
    device.shutdown();
    await gpu.lost;
  });

  it('binds no more elements than kernels count', async () => {
    const device = await openDevice();
    const shape = [65_536, 40_000];
    const program = programOf({ inputs: [{ dtype: 'int8', shape, donated: false, held: false }] });
    const error = await rejectionOf(() => device.warmup(program));
    expect(error.message).toMatch(/invalid_size[\s\S]*65536\*40000 = 2621440000/);
  });
});

describe('a device that is lost', () => {
  it('rejects what is under way, and says so at every use', async () => {
    const { device, gpu } = await openRaw();
    const program = additionProgram(1000);
    await device.warmup(program);
    const x = upload(device, filled(1000));
    const [sum] = run(device, program, [x, x], [1000]);
    const reading = rejectionOf(() => device.read(sum));
    const pending = new PendingSource(additionProgram(1000));
    const [later] = device.run(pending, [sum, x], vector(1000));
    const readingLater = rejectionOf(() => device.read(later));
    const array = new DeviceArray('float32', [1000], device.alias(x));
    gpu.destroy();
    expect((await reading).code).toBe('device_lost');
    expect((await readingLater).message).toMatch(/device_lost[\s\S]*destroyed[\s\S]*init\(\)/);
    expect(device.end?.code).toBe('device_lost');
    for (const use of [
      () => upload(device, [1]),
      () => run(device, program, [x, x], [1000]),
      () => device.alias(x),
      () => device.read(x),
      () => device.warmup(program),
      () => array.data(),
      () => array.dataSync(),
    ]) {
      expect((await rejectionOf(use)).code).toBe('device_lost');
    }
    expect(String(array)).toBe('<disposed float32[1000]>');
    expect(device.memory()).toMatchObject({ bytes: 0, reservedBytes: 0 });
    await device.synchronize();
    array.dispose();
    device.shutdown();
    expect(device.end?.code).toBe('device_lost');
  });

  it('may be lost while pipelines are made', async () => {
    const { device, gpu } = await openRaw();
    const x = upload(device, [1, 2, 3]);
    const [sum] = run(device, additionProgram(3), [x, x], [3]);
    const reading = rejectionOf(() => device.read(sum));
    gpu.destroy();
    expect((await reading).code).toBe('device_lost');
  });
});

describe('a shutdown', () => {
  it('rejects a read whose bytes have arrived but were not taken', async () => {
    const { device, gpu } = await openRaw();
    const x = upload(device, [1, 2, 3]);
    const makeBuffer = gpu.createBuffer.bind(gpu);
    gpu.createBuffer = (descriptor) => {
      const buffer = makeBuffer(descriptor);
      const map = buffer.mapAsync.bind(buffer);
      buffer.mapAsync = async (mode, offset, size) => {
        await map(mode, offset, size);
        device.shutdown();
      };
      return buffer;
    };
    expect((await rejectionOf(() => device.read(x))).code).toBe('shut_down');
  });

  it('is why programs that were being made are not', async () => {
    const device = await openDevice();
    const warming = rejectionOf(() => device.warmup(additionProgram(3)));
    device.shutdown();
    expect((await warming).code).toBe('shut_down');
  });

  it('fails what is queued, and ends everything', async () => {
    const device = await openDevice();
    const program = additionProgram(3);
    await device.warmup(program);
    const x = upload(device, [1, 2, 3]);
    const [sum] = run(device, program, [x, x], [3]);
    const reading = rejectionOf(() => device.read(sum));
    const queued = rejectionOf(() => device.read(device.run(new PendingSource(program), [x, x], vector(3))[0]));
    await Promise.resolve();
    device.shutdown();
    device.shutdown();
    expect((await reading).code).toBe('shut_down');
    expect((await queued).code).toBe('shut_down');
    expect((await rejectionOf(() => device.read(x))).code).toBe('shut_down');
    expect((await rejectionOf(() => upload(device, [1]))).code).toBe('shut_down');
    x.dispose();
    await device.synchronize();
  });
});

it('runs no programs of another target', async () => {
  const device = await openDevice();
  const program = wasmProgram({ outputs: [ownOutput([3])] });
  const reading = rejectionOf(() => device.read(device.run(compiledSource(program), [], vector(3))[0]));
  expect((await reading).code).toBe('invalid_program');
});
