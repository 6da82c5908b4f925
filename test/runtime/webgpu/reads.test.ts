/** Bytes to the webgpu device and back. */
import { describe, expect, it } from 'vitest';
import { dtypes } from '../../../base/dtype.ts';
import { DeviceArray } from '../../../runtime/array.ts';
import { decodeElements, encodeElements } from '../../../runtime/elements.ts';
import { upload } from '../support.ts';
import { additionProgram, doublingInPlace, filled, openDevice, run, valuesOf } from './support.ts';

describe('uploads and reads', () => {
  it('bring every dtype back, of any length', async () => {
    const device = await openDevice();
    for (const dtype of dtypes.filter((each) => each !== 'float64')) {
      for (const length of [0, 1, 2, 3, 5, 7, 64, 1001]) {
        const values = Array.from({ length }, (_, i) => (dtype === 'bool' ? i % 2 : (i * 7) % 120));
        const bytes = encodeElements(dtype, values);
        const handle = device.upload(dtype, [length], bytes);
        expect(await device.read(handle), `${dtype}[${length}]`).toEqual(bytes);
        handle.dispose();
      }
    }
  });

  it('take bytes that begin anywhere', async () => {
    const device = await openDevice();
    const bytes = Uint8Array.from({ length: 40 }, (_, i) => i);
    for (const offset of [0, 1, 2, 3]) {
      const handle = device.upload('uint8', [30], bytes.subarray(offset, offset + 30));
      expect(await device.read(handle)).toEqual(bytes.slice(offset, offset + 30));
    }
  });

  it('take bytes that threads share', async () => {
    const device = await openDevice();
    const shared = new Uint8Array(new SharedArrayBuffer(32), 4, 13);
    shared.set(Uint8Array.from({ length: 13 }, (_, i) => i));
    expect(await device.read(device.upload('uint8', [13], shared))).toEqual(Uint8Array.from(shared));
  });

  it('hold int64 as int32, and refuse what does not fit, and float64', async () => {
    const device = await openDevice();
    const fitting = [0n, -1n, 2147483647n, -2147483648n, 7n];
    const handle = device.upload('int64', [5], encodeElements('int64', fitting));
    expect([...decodeElements('int64', await device.read(handle))]).toEqual(fitting);
    for (const value of [2147483648n, -2147483649n, 2n ** 62n, 4294967296n]) {
      expect(() => device.upload('int64', [2], encodeElements('int64', [1n, value]))).toThrow(
        new RegExp(`invalid_argument[\\s\\S]*${value} as element 1`),
      );
    }
    expect(() => device.upload('float64', [1], encodeElements('float64', [1]))).toThrow(
      /unsupported_dtype[\s\S]*Float32Array\.from/,
    );
    expect(device.memory()).toMatchObject({ tensors: 1, bytes: 40 });
  });

  it('keep many reads in flight, each with what was there at its turn', async () => {
    const device = await openDevice();
    const program = doublingInPlace(100);
    await device.warmup(program);
    let x = upload(device, filled(100));
    const before = device.counters();
    const reads: Promise<number[]>[] = [];
    for (let i = 0; i < 30; i++) {
      reads.push(valuesOf(device, x));
      [x] = run(device, program, [x], [100]);
      reads.push(valuesOf(device, x));
    }
    const values = await Promise.all(reads);
    values.forEach((list, i) => {
      expect(list, `read ${i}`).toEqual(filled(100, 2 ** Math.ceil(i / 2)));
    });
    expect(device.counters()).toMatchObject({ reads: before.reads + 60, submits: before.submits + 1 });
  });

  it('can not be made to wait', async () => {
    const device = await openDevice();
    const array = new DeviceArray('float32', [2], upload(device, [1, 2]));
    expect(() => array.dataSync()).toThrow(/blocking_read[\s\S]*await data\(\)/);
    expect(String(array)).toBe('<webgpu float32[2]: await data() to see it>');
    expect([...(await array.data())]).toEqual([1, 2]);
  });

  it('do not overtake commands that use the same buffer', async () => {
    const device = await openDevice();
    const program = additionProgram(64);
    await device.warmup(program);
    const sums: Promise<number[]>[] = [];
    for (let i = 0; i < 20; i++) {
      // The buffer of each x is one that was just released, and that a recorded launch still reads.
      const x = upload(device, filled(64, i));
      const [sum] = run(device, program, [x, x], [64]);
      x.dispose();
      sums.push(valuesOf(device, sum));
      sum.dispose();
    }
    expect((await Promise.all(sums)).map(([first]) => first)).toEqual(Array.from({ length: 20 }, (_, i) => 2 * i));
  });
});
