import { inspect } from 'node:util';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { type DType, dtypes } from '../../base/dtype.ts';
import { DeviceArray } from '../../runtime/array.ts';
import { encodeElements } from '../../runtime/elements.ts';
import { WasmDevice } from '../../runtime/wasm/device.ts';
import { additionProgram, compiledSource, PendingSource, trappingProgram, vector } from './support.ts';

function arrayOf<D extends DType>(
  device: WasmDevice,
  dtype: D,
  shape: readonly number[],
  values: readonly (number | bigint | boolean)[],
): DeviceArray<D> {
  return new DeviceArray(dtype, shape, device.upload(dtype, shape, encodeElements(dtype, values)));
}

describe('DeviceArray', () => {
  const device = new WasmDevice();

  it('knows its type', () => {
    const x = arrayOf(device, 'float32', [2, 3], [1, 2, 3, 4, 5, 6]);
    expect(x).toMatchObject({ dtype: 'float32', shape: [2, 3], ndim: 2, size: 6, device: 'wasm', isDisposed: false });
    expect(arrayOf(device, 'int32', [], [7])).toMatchObject({ ndim: 0, size: 1 });
  });

  it('reads back typed by its dtype', async () => {
    const floats = arrayOf(device, 'float32', [2], [1.5, -2]);
    expectTypeOf(floats.dataSync()).toEqualTypeOf<Float32Array<ArrayBuffer>>();
    expect(await floats.data()).toEqual(new Float32Array([1.5, -2]));
    expect(arrayOf(device, 'int32', [1], [-3]).dataSync()).toEqual(new Int32Array([-3]));
    expect(arrayOf(device, 'uint32', [1], [2 ** 32 - 1]).dataSync()).toEqual(new Uint32Array([2 ** 32 - 1]));
    const truths = arrayOf(device, 'bool', [2, 1], [true, false]);
    expectTypeOf<ReturnType<typeof truths.itemSync>>().toEqualTypeOf<boolean>();
    expect(truths.dataSync()).toEqual(new Uint8Array([1, 0]));
    expect(await truths.array()).toEqual([[true], [false]]);
    const wide = arrayOf(device, 'int64', [], [2n ** 60n]);
    expectTypeOf(wide.itemSync()).toEqualTypeOf<bigint>();
    expect(await wide.item()).toBe(2n ** 60n);
    expect(arrayOf(device, 'float16', [2], [0.1, 65504]).dataSync()).toEqual(
      new Float32Array([0.0999755859375, 65504]),
    );
    expect(await floats.bytes()).toEqual(new Uint8Array(new Float32Array([1.5, -2]).buffer));
  });

  it('round-trips small integers in every dtype', () => {
    for (const dtype of dtypes) {
      const values = dtype === 'bool' ? [0, 1, 1] : [0, 1, 100];
      const x = arrayOf(device, dtype, [3], dtype === 'int64' ? values.map(BigInt) : values);
      expect(Array.from(x.dataSync(), Number), dtype).toEqual(values);
    }
  });

  it('gives a copy: later writes of either side are not seen', () => {
    const x = arrayOf(device, 'uint8', [2], [1, 2]);
    x.dataSync()[0] = 9;
    expect(x.arraySync()).toEqual([1, 2]);
  });

  it('nests as deep as its rank', async () => {
    const x = arrayOf(device, 'int32', [2, 1, 2], [1, 2, 3, 4]);
    expect(await x.array()).toEqual([[[1, 2]], [[3, 4]]]);
    expect(arrayOf(device, 'int32', [], [5]).arraySync()).toBe(5);
    expect(arrayOf(device, 'int32', [2, 0], []).arraySync()).toEqual([[], []]);
  });

  it('has an item only when it has one element', async () => {
    const x = arrayOf(device, 'float32', [2], [1, 2]);
    await expect(x.item()).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(() => x.itemSync()).toThrow(/2 elements[\s\S]*float32\[2\][\s\S]*at: .*array\.test\.ts/);
    expect(arrayOf(device, 'float32', [1, 1], [3]).itemSync()).toBe(3);
  });

  it('says where it was released when it is used later', async () => {
    const x = arrayOf(device, 'float32', [2], [1, 2]);
    x.dispose();
    x.dispose();
    expect(x.isDisposed).toBe(true);
    expect(() => x.dataSync()).toThrow(/use_after_dispose[\s\S]*float32\[2\], released at .*array\.test\.ts:\d+:\d+/);
    await expect(x.data()).rejects.toMatchObject({ code: 'use_after_dispose' });
    expect(() => x.arraySync()).toThrow(/\n {2}at: .*array\.test\.ts:\d+:\d+/);
    await expect(x.ready()).rejects.toMatchObject({ code: 'use_after_dispose' });
  });

  it('is released at the end of its block by `using`', () => {
    const own = new WasmDevice();
    {
      using x = arrayOf(own, 'float32', [2], [1, 2]);
      expect(own.memory().tensors).toBe(x.ndim);
    }
    expect(own.memory()).toMatchObject({ tensors: 0, bytes: 0 });
  });

  it('prints its type and its first elements', () => {
    const x = arrayOf(device, 'float32', [2, 2], [1, 2.5, -3, 4]);
    expect(String(x)).toBe('float32[2,2] [1, 2.5, -3, 4]');
    expect(inspect(x)).toBe('float32[2,2] [1, 2.5, -3, 4]');
    const numbers = [0.1, -0.00005039386451244354, 1e-30, 123456792, 16777216, Number.NaN, 1 / 3];
    expect(String(arrayOf(device, 'float32', [7], numbers))).toBe(
      'float32[7] [0.1, -0.000050393865, 1e-30, 123456790, 16777216, NaN, 0.33333334]',
    );
    expect(String(arrayOf(device, 'int32', [1], [123456789]))).toBe('int32[1] [123456789]');
    const long = arrayOf(device, 'int32', [100], [...Array(100).keys()]);
    expect(String(long)).toBe('int32[100] [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …]');
  });

  it('never throws when it prints', () => {
    const x = arrayOf(device, 'float32', [2], [1, 2]);
    x.dispose();
    expect(String(x)).toBe('<disposed float32[2]>');
    expect(String(new DeviceArray('int32', [3]))).toBe('<traced int32[3]>');
    const y = arrayOf(device, 'float32', [2], [1, 2]);
    const [broken] = device.run(compiledSource(trappingProgram(2)), [y.handle!], vector(2));
    expect(String(new DeviceArray('float32', [2], broken))).toMatch(/^<failed float32\[2\]: \[launch_failed\] broken:/);
    const own = new WasmDevice();
    const gone = arrayOf(own, 'float32', [1], [1]);
    own.shutdown();
    expect(inspect(gone)).toBe('<disposed float32[1]>');
  });

  it('waits for pending values', async () => {
    const own = new WasmDevice();
    const one = arrayOf(own, 'float32', [1], [1]);
    const pending = new PendingSource(additionProgram(1));
    const [handle] = own.run(pending, [one.handle!, one.handle!], vector(1));
    const two = new DeviceArray('float32', [1], handle);
    const order: string[] = [];
    const all = Promise.all([two.ready().then(() => order.push('ready')), two.item().then((v) => order.push(`${v}`))]);
    pending.complete();
    await all;
    expect(order).toEqual(['ready', '2']);
  });

  it('remembers the lines of the first disposals only, and says how to see later ones', () => {
    for (let i = 0; i < 5000; i++) arrayOf(device, 'float32', [1], [i]).dispose();
    const x = arrayOf(device, 'float32', [1], [0]);
    x.dispose();
    expect(() => x.dataSync()).toThrow(
      /use_after_dispose[\s\S]*float32\[1\]\n[\s\S]*KILN_DEBUG[\s\S]*at: .*array\.test\.ts/,
    );
  });
});
