/** Memory of arrays that nobody disposes: bounded, and back to the baseline in the end. */
import { describe, expect, it } from 'vitest';
import { DeviceArray } from '../../runtime/array.ts';
import { collectGarbage } from '../../runtime/collect-garbage.ts';
import { provokeCollection } from '../../runtime/collector.ts';
import { scoped } from '../../runtime/scope.ts';
import { WasmDevice } from '../../runtime/wasm/device.ts';
import { additionProgram, compiledSource, doublingInPlace, upload, vector } from './support.ts';

const elements = 25_000;
const program = compiledSource(additionProgram(elements));
const specs = vector(elements);

/** Collects until something holds; a collection that had begun before may miss what died since. */
async function collectUntil(holds: () => boolean): Promise<void> {
  for (let round = 0; round < 5 && !holds(); round++) await collectGarbage(provokeCollection);
}

const add = (device: WasmDevice, x: DeviceArray, y: DeviceArray): DeviceArray =>
  new DeviceArray('float32', [elements], device.run(program, [x.handle!, y.handle!], specs)[0]);
const zeros = (device: WasmDevice): DeviceArray =>
  new DeviceArray('float32', [elements], upload(device, new Array<number>(elements).fill(0)));

describe('arrays that nobody disposes', () => {
  it('stay within bounds over 10,000 steps that await a read every 50 steps', async () => {
    const device = new WasmDevice();
    const one = zeros(device);
    let x = zeros(device);
    for (let step = 1; step <= 10_000; step++) {
      x = add(device, x, one);
      if (step % 50 === 0) await x.data();
    }
    // 10,000 steps of 100 kB make 1 GB.
    expect(device.memory().peakBytes).toBeLessThan(100 * 2 ** 20);
    expect(device.memory().reservedBytes).toBeLessThan(160 * 2 ** 20);
  });

  it('stay within bounds when they are many and tiny', async () => {
    const device = new WasmDevice();
    const tiny = compiledSource(additionProgram(1));
    let x = new DeviceArray('float32', [1], upload(device, [1]));
    let most = 0;
    for (let step = 1; step <= 60_000; step++) {
      x = new DeviceArray('float32', [1], device.run(tiny, [x.handle!, x.handle!], vector(1))[0]);
      if (step % 50 === 0) await x.item();
      most = Math.max(most, device.memory().tensors);
    }
    expect(most).toBeLessThan(25_000);
  });

  it('are all released once the collector has run', async () => {
    const device = new WasmDevice();
    (() => {
      let x = zeros(device);
      for (let step = 0; step < 20; step++) x = add(device, x, x);
    })();
    expect(device.memory().tensors).toBe(21);
    await collectUntil(() => device.memory().tensors === 0);
    expect(device.memory()).toMatchObject({ tensors: 0, bytes: 0 });
  });
});

describe('arrays in scopes', () => {
  it('leave exactly what the scope keeps, step after step', () => {
    const device = new WasmDevice();
    const one = zeros(device);
    let x = zeros(device);
    const held: number[] = [];
    for (let step = 0; step < 1000; step++) {
      const next = scoped(
        () => add(device, add(device, x, one), add(device, one, one)),
        (result) => [result],
      );
      x.dispose();
      x = next;
      held.push(device.memory().bytes);
    }
    expect(new Set(held)).toEqual(new Set([2 * 4 * elements]));
    expect(device.memory().tensors).toBe(2);
  });

  it('are constant with donation too', () => {
    const device = new WasmDevice();
    const source = compiledSource(doublingInPlace(elements));
    let x = zeros(device);
    const before = device.memory();
    for (let step = 0; step < 1000; step++) {
      x = new DeviceArray('float32', [elements], device.run(source, [x.handle!], specs)[0]);
    }
    expect(device.memory()).toMatchObject({ tensors: 1, bytes: before.bytes, reservedBytes: before.reservedBytes });
  });
});

describe('programs that nobody holds', () => {
  it('give their memory back', async () => {
    const device = new WasmDevice();
    (() => {
      const own = {
        ...additionProgram(2),
        constants: [{ dtype: 'float32', shape: [2], bytes: new Uint8Array(8) }],
      } as const;
      const x = upload(device, [1, 2]);
      device.run(compiledSource(own), [x, x], vector(2))[0].dispose();
      x.dispose();
    })();
    expect(device.memory().programBytes).toBeGreaterThan(0);
    await collectUntil(() => device.memory().programBytes === 0);
    expect(device.memory()).toMatchObject({ programBytes: 0, bytes: 0 });
  });
});
