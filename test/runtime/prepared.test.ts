/** Arrays that a program keeps from run to run: when they are filled, and when they go. */
import { describe, expect, it } from 'vitest';
import type { BufferHandle } from '../../runtime/device.ts';
import { observeLaunches } from '../../runtime/profile.ts';
import type { WasmProgram } from '../../runtime/program.ts';
import { WasmDevice } from '../../runtime/wasm/device.ts';
import {
  addition,
  compiledSource,
  doubling,
  float32Input,
  input,
  output,
  ownOutput,
  programOf,
  trap,
  upload,
  valuesOf,
} from './support.ts';

/** `x + 2 * w`, where `2 * w` is kept. */
const keeping = (elements: number): WasmProgram =>
  programOf({
    inputs: [float32Input([elements]), { ...float32Input([elements]), held: true }],
    outputs: [ownOutput([elements])],
    prepared: [{ dtype: 'float32', shape: [elements] }],
    kernels: [doubling(elements), addition(elements)],
    steps: [
      { kind: 'launch', kernel: 0, buffers: [input(1), { kind: 'prepared', index: 0 }] },
      { kind: 'launch', kernel: 1, buffers: [input(0), { kind: 'prepared', index: 0 }, output(0)] },
    ],
    prepareSteps: 1,
  });

function runner(program: WasmProgram, device: WasmDevice): (x: BufferHandle, w: BufferHandle) => BufferHandle {
  const source = compiledSource(program);
  return (x, w) => device.run(source, [x, w], [{ dtype: 'float32', shape: [...x.shape] }])[0];
}

/** Steps that ran. */
function stepsOf(body: () => void): number[] {
  const steps: number[] = [];
  const stop = observeLaunches(({ step }) => steps.push(step));
  try {
    body();
  } finally {
    stop();
  }
  return steps;
}

describe('prepared arrays', () => {
  it('are filled by the first run, and again for another buffer', () => {
    const device = new WasmDevice();
    const run = runner(keeping(3), device);
    const [x, w, v] = [upload(device, [1, 2, 3]), upload(device, [10, 20, 30]), upload(device, [5, 5, 5])];
    const sums: number[][] = [];
    const runWith = (held: BufferHandle) => () => void sums.push([...valuesOf(device, run(x, held))]);
    expect([w, w, v, v, w].map((held) => stepsOf(runWith(held)))).toEqual([[0, 1], [1], [0, 1], [1], [1]]);
    expect(sums).toEqual([
      [21, 42, 63],
      [21, 42, 63],
      [11, 12, 13],
      [11, 12, 13],
      [21, 42, 63],
    ]);
  });

  it('are kept for few sets of inputs', () => {
    const device = new WasmDevice();
    const run = runner(keeping(256), device);
    const x = upload(device, new Array<number>(256).fill(1));
    const held = Array.from({ length: 6 }, (_, i) => upload(device, new Array<number>(256).fill(i)));
    const before = device.memory().programBytes;
    for (const w of held) run(x, w);
    const kept = device.memory().programBytes - before;
    expect(kept).toBeLessThan(5 * 1024);
    expect(stepsOf(() => void run(x, held[5]))).toEqual([1]);
    expect(stepsOf(() => void run(x, held[0]))).toEqual([0, 1]);
  });

  it('go with the buffer that they follow from', () => {
    const device = new WasmDevice();
    const run = runner(keeping(256), device);
    const [x, w] = [upload(device, new Array<number>(256).fill(1)), upload(device, new Array<number>(256).fill(2))];
    run(x, w);
    const before = device.memory().programBytes;
    w.dispose();
    expect(before - device.memory().programBytes).toBe(1024);
  });

  it('make room where memory is short, and come back', () => {
    const device = new WasmDevice({ memoryLimit: 18 << 16 });
    const elements = 1 << 16;
    const run = runner(keeping(elements), device);
    const of = (value: number): BufferHandle => upload(device, new Array<number>(elements).fill(value));
    const [x, w] = [of(1), of(2)];
    const first = run(x, w);
    expect(valuesOf(device, first)[7]).toBe(5);
    // There is room for four: the arrays, w, x and one more.
    first.dispose();
    const more = [of(3), of(4)];
    for (const buffer of more) buffer.dispose();
    expect(stepsOf(() => expect(valuesOf(device, run(x, w))[7]).toBe(5))).toEqual([0, 1]);
  });

  it('are not taken for filled after a failure', () => {
    const device = new WasmDevice();
    const program = keeping(3);
    const run = runner({ ...program, kernels: [trap(3), addition(3)] }, device);
    const [x, w] = [upload(device, [1, 2, 3]), upload(device, [10, 20, 30])];
    expect(run(x, w).state).toBe('failed');
    expect(stepsOf(() => expect(run(x, w).state).toBe('failed'))).toEqual([]);
  });
});
