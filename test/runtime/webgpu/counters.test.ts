/** How little the webgpu device does: submits, bind groups, pipelines and buffers, counted. */
import { describe, expect, it } from 'vitest';
import { footprintOf } from '../../../runtime/footprint.ts';
import { ownOutput, upload } from '../support.ts';
import {
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

describe('a run', () => {
  it('is one submit, however many launches it has', async () => {
    const device = await openDevice();
    const program = chainProgram(256, 600);
    await device.warmup(program);
    const x = upload(device, filled(256, 0));
    const before = device.counters();
    run(device, program, [x], [256]);
    await device.synchronize();
    const after = device.counters();
    expect(after.dispatches - before.dispatches).toBe(600);
    expect(after.submits - before.submits).toBe(1);
  });

  it('is submitted without being asked for', async () => {
    const device = await openDevice();
    const program = additionProgram(3);
    await device.warmup(program);
    const x = upload(device, [1, 2, 3]);
    const { submits } = device.counters();
    run(device, program, [x, x], [3]);
    run(device, program, [x, x], [3]);
    expect(device.counters().submits).toBe(submits);
    await Promise.resolve();
    expect(device.counters().submits).toBe(submits + 1);
  });

  it('makes bind groups, pipelines and buffers once', async () => {
    const device = await openDevice();
    const program = chainProgram(1000, 6);
    const x = upload(device, filled(1000));
    let after2 = device.counters();
    for (let i = 1; i <= 100; i++) {
      const [y] = run(device, program, [x], [1000]);
      expect((await valuesOf(device, y))[999]).toBe(64);
      y.dispose();
      if (i === 2) after2 = device.counters();
    }
    const { pipelines, shaderModules, bindGroups, buffers } = device.counters();
    expect({ pipelines, shaderModules, bindGroups }).toEqual({ pipelines: 1, shaderModules: 1, bindGroups: 6 });
    expect(buffers).toBe(after2.buffers);
  });

  it('shares pipelines between programs with equal kernels', async () => {
    const device = await openDevice();
    await Promise.all(
      [chainProgram(10, 3), chainProgram(20, 4), additionProgram(5)].map((each) => device.warmup(each)),
    );
    expect(device.counters()).toMatchObject({ pipelines: 2, shaderModules: 2 });
  });

  it('does not keep the GPU waiting where programs follow each other for long', async () => {
    const device = await openDevice();
    const program = chainProgram(16, 100);
    await device.warmup(program);
    const x = upload(device, filled(16, 0));
    const { submits } = device.counters();
    for (let i = 0; i < 12; i++) run(device, program, [x], [16])[0].dispose();
    expect(device.counters().submits - submits).toBe(4);
  });
});

describe('memory', () => {
  it('stays the same over 1000 steps', async () => {
    const device = await openDevice();
    const [step, scale] = [additionProgram(500), doublingInPlace(500)];
    await Promise.all([step, scale].map((program) => device.warmup(program)));
    let state = upload(device, filled(500, 0));
    let after10 = { buffers: 0, reservedBytes: 0 };
    for (let i = 1; i <= 1000; i++) {
      const batch = upload(device, filled(500, i % 3));
      const [sum] = run(device, step, [state, batch], [500]);
      batch.dispose();
      state.dispose();
      [state] = run(device, scale, [sum], [500]);
      if (i % 100 === 10) state.dispose();
      if (i % 100 === 10) state = upload(device, filled(500, 0));
      if (i % 50 === 0) await device.synchronize();
      if (i === 60) after10 = { buffers: device.counters().buffers, reservedBytes: device.memory().reservedBytes };
    }
    expect(device.counters().buffers).toBe(after10.buffers);
    expect(device.memory()).toMatchObject({ tensors: 1, bytes: 2000, reservedBytes: after10.reservedBytes });
  });

  it('is what the footprint says', async () => {
    for (const program of [chainProgram(5000, 7), keepingProgram(3000), additionProgram(77)]) {
      const device = await openDevice();
      const elements = Number(program.inputs[0].shape[0]);
      const inputs = program.inputs.map(() => upload(device, filled(elements)));
      run(device, program, inputs, [elements]);
      await device.synchronize();
      expect(device.memory().peakBytes, program.name).toBe(footprintOf(program, new Map()).peak);
    }
  });

  it('that waits for its next use is bounded', async () => {
    const device = await openDevice();
    for (let i = 1; i <= 15; i++) device.upload('uint8', [i << 20], new Uint8Array(i << 20)).dispose();
    expect(device.memory().reservedBytes).toBeLessThanOrEqual((64 + 15) << 20);
    expect(device.memory().bytes).toBe(0);
  });

  it('makes room where it is short: for what waits, the workspace, and prepared arrays', async () => {
    const device = await openDevice({ memoryLimit: 8 << 20 });
    const elements = 1 << 18;
    const [keep, chain] = [keepingProgram(elements), chainProgram(elements, 3)];
    await Promise.all([keep, chain].map((program) => device.warmup(program)));
    const [x, w] = [upload(device, filled(elements)), upload(device, filled(elements, 2))];
    expect((await valuesOf(device, run(device, keep, [x, w], [elements])[0]))[7]).toBe(5);
    // Two inputs, an output, prepared arrays and two arenas are six of eight MiB.
    const [y] = run(device, chain, [x], [elements]);
    const more = [filled(elements, 3), filled(elements, 4)].map((values) => upload(device, values));
    expect((await valuesOf(device, y))[7]).toBe(8);
    expect((await valuesOf(device, more[1]))[7]).toBe(4);
    for (const buffer of [...more, y]) buffer.dispose();
    expect((await valuesOf(device, run(device, keep, [x, w], [elements])[0]))[elements - 1]).toBe(5);
    expect(() => device.upload('uint8', [9 << 20], new Uint8Array(9 << 20))).toThrow(/out_of_memory[\s\S]*8.00 MiB/);
  });

  it('of one tensor is bounded by the limits of the adapter, which the message says', async () => {
    const device = await openDevice();
    const elements = 2 ** 31 - 1;
    const large = programOf({ outputs: [ownOutput([elements])] });
    await device.warmup(large);
    expect(() => run(device, large, [], [elements])).toThrow(/out_of_memory[\s\S]*maxStorageBufferBindingSize/);
  });
});
