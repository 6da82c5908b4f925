/**
 * Launches that worker threads share: the same bytes for any number of threads, through thousands of short launches,
 * failures on any thread, and threads that end.
 */
import type { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { WasmKernel, WasmProgram } from '../../runtime/program.ts';
import { costModel } from '../../runtime/wasm/cost.ts';
import { WasmDevice } from '../../runtime/wasm/device.ts';
import { errorOf } from '../support/errors.ts';
import {
  addition,
  additionProgram,
  compiledSource,
  elementwise,
  float32Input,
  input,
  kernelOf,
  output,
  ownOutput,
  programOf,
  shared,
  sharedTier,
  tileElements,
  upload,
  valuesOf,
  vector,
} from './support.ts';

/** The module as the pool gets it; its exports can be replaced. */
const threadsModule = process.getBuiltinModule('node:worker_threads');
const { Worker: RealWorker } = threadsModule;
const usual = { ...costModel };
let device: WasmDevice | undefined;

/** A device whose workers have started. */
async function start(threads: number, program: WasmProgram): Promise<WasmDevice> {
  device = new WasmDevice({ threads });
  await device.warmup(program);
  return device;
}

beforeAll(() => {
  // Everything with more than one tile is shared, tile by tile.
  Object.assign(costModel, { leastMicroseconds: 0, grainMicroseconds: 0, wakeMicroseconds: 0 });
});
afterAll(() => {
  Object.assign(costModel, usual);
});
afterEach(() => {
  device?.shutdown();
  device = undefined;
  threadsModule.Worker = RealWorker;
  vi.restoreAllMocks();
});

const tiles = 37;
const elements = tiles * tileElements - 5;
const numbers = (scale: number): number[] =>
  Array.from({ length: elements }, (_, i) => Math.fround(Math.sin(i) * scale));

const sharedAddition = additionProgram(elements, { kernels: [addition(elements, shared)], tier: sharedTier });

/**
 * A kernel of three phases: sums of blocks into shared scratch, their running sums by one tile, and each element plus
 * the sum of the blocks before its own. It is wrong when a phase begins before the one before it has ended. Private
 * scratch holds a copy of each block on the way.
 */
function blockSums(): WasmKernel {
  const word = (index: number): string => `(i32.load offset=${4 * index} (local.get $record))`;
  const text = `(module (import "kiln" "memory" ${shared})
    (func $sum (param $record i32) (param $tile i32)
      (local $i i32) (local $s f32)
      (memory.copy ${word(3)} (i32.add ${word(0)} (i32.mul (local.get $tile) (i32.const 4096))) (i32.const 4096))
      (loop $next
        (local.set $s (f32.add (local.get $s) (f32.load (i32.add ${word(3)} (i32.shl (local.get $i) (i32.const 2))))))
        (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
      (f32.store (i32.add ${word(4)} (i32.shl (local.get $tile) (i32.const 2))) (local.get $s)))
    (func $scan (param $record i32) (local $i i32) (local $s f32) (local $at i32)
      (loop $next
        (local.set $at (i32.add ${word(4)} (i32.shl (local.get $i) (i32.const 2))))
        (local.set $s (f32.add (local.get $s) (f32.load (local.get $at))))
        (f32.store (local.get $at) (local.get $s))
        (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) ${word(2)}))))
    (func $add (param $record i32) (param $tile i32) (local $i i32) (local $s f32) (local $at i32)
      (local.set $s (f32.load (i32.add ${word(4)} (i32.shl (local.get $tile) (i32.const 2)))))
      (local.set $i (i32.mul (local.get $tile) (i32.const 4096)))
      (local.set $at (i32.add (local.get $i) (i32.const 4096)))
      (loop $next
        (f32.store (i32.add ${word(1)} (local.get $i))
          (f32.add (local.get $s) (f32.load (i32.add ${word(0)} (local.get $i)))))
        (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $at)))))
    (func (export "run") (param $record i32) (param $begin i32) (param $end i32)
      (loop $next
        (if (i32.lt_u (local.get $begin) ${word(2)})
          (then (call $sum (local.get $record) (local.get $begin)))
          (else (if (i32.eq (local.get $begin) ${word(2)})
            (then (call $scan (local.get $record)))
            (else (call $add (local.get $record)
              (i32.sub (local.get $begin) (i32.add ${word(2)} (i32.const 1))))))))
        (br_if $next (i32.lt_u (local.tee $begin (i32.add (local.get $begin) (i32.const 1))) (local.get $end))))))`;
  return kernelOf('blockSums', text, {
    buffers: 2,
    sizes: [tiles],
    phases: [tiles, 1, tiles].map((count) => ({ tiles: count, group: 1 })),
    scratchBytes: 4096,
    sharedBytes: 4 * tiles,
    flops: 3 * elements,
  });
}

const blockSumsProgram = (): WasmProgram =>
  programOf({
    name: 'blockSums',
    tier: sharedTier,
    inputs: [float32Input([tiles * tileElements])],
    outputs: [ownOutput([tiles * tileElements])],
    kernels: [blockSums()],
    steps: [{ kind: 'launch', kernel: 0, buffers: [input(0), output(0)] }],
  });

/** Traps at an element of 13. */
const thirteen = (): WasmProgram => {
  const body = '(if (result f32) (f32.eq (local.get $x0) (f32.const 13)) (then (unreachable)) (else (local.get $x0)))';
  return programOf({
    name: 'thirteen',
    tier: sharedTier,
    inputs: [float32Input([elements])],
    outputs: [ownOutput([elements])],
    kernels: [elementwise('trap', 1, elements, body, shared)],
    steps: [{ kind: 'launch', kernel: 0, buffers: [input(0), output(0)] }],
  });
};

describe.each([2, 3, 4, 7])('with %i threads', (threads) => {
  it('tiles dealt to threads give the bytes of one thread', async () => {
    const on = await start(threads, sharedAddition);
    const [first, second] = [numbers(1), numbers(100)];
    const [a, b] = [upload(on, first), upload(on, second)];
    const expected = first.map((value, i) => Math.fround(value + second[i]));
    for (let round = 0; round < 20; round++) {
      const [sum] = on.run(compiledSource(sharedAddition), [a, b], vector(elements));
      expect(valuesOf(on, sum)).toEqual(expected);
      sum.dispose();
    }
  });

  it('phases begin when the one before has ended, and scratch memory is each thread’s own', async () => {
    const program = blockSumsProgram();
    const on = await start(threads, program);
    const values = Array.from({ length: tiles * tileElements }, (_, i) => (i * 7) % 11);
    const x = upload(on, values);
    let sum = 0;
    const sums: number[] = [];
    for (let tile = 0; tile < tiles; tile++) {
      for (let i = 0; i < tileElements; i++) sum += values[tile * tileElements + i];
      sums.push(sum);
    }
    const expected = values.map((value, i) => value + sums[Math.floor(i / tileElements)]);
    for (let round = 0; round < 50; round++) {
      const [y] = on.run(compiledSource(program), [x], vector(tiles * tileElements));
      expect(valuesOf(on, y)).toEqual(expected);
      y.dispose();
    }
  });
});

describe('memory that grows', () => {
  it('is seen by every worker that takes part', async () => {
    const on = await start(3, blockSumsProgram());
    const x = upload(on, new Array(tiles * tileElements).fill(0));
    for (let round = 0; round < 60; round++) {
      // What is bound now lies in memory that was not there before.
      const bytes = new Uint8Array(1.6 * on.memory().reservedBytes - on.memory().bytes);
      const large = on.upload('uint8', [bytes.length], bytes);
      const program = compiledSource(blockSumsProgram());
      for (let i = 0; i < 3; i++) on.run(program, [x], vector(tiles * tileElements))[0].dispose();
      const [y] = on.run(program, [x], vector(tiles * tileElements));
      expect(y.error).toBeUndefined();
      y.dispose();
      large.dispose();
      if (on.memory().reservedBytes < 2 ** 28) continue;
      on.shutdown();
      return;
    }
  });
});

describe('many short launches', () => {
  it('all do their work, with pauses or without', async () => {
    const on = await start(3, sharedAddition);
    let x = upload(on, new Array(elements).fill(0));
    const one = upload(on, new Array(elements).fill(1));
    const launches = 15_000;
    for (let i = 0; i < launches; i++) {
      const [next] = on.run(compiledSource(sharedAddition), [x, one], vector(elements));
      x.dispose();
      x = next;
      if (i % 1500 === 700) await new Promise((resolve) => setTimeout(resolve, i % 7));
      if (i % 97 === 0) for (const end = performance.now() + Math.random() * 0.3; performance.now() < end; );
    }
    expect(new Set(valuesOf(on, x))).toEqual(new Set([launches]));
  });
});

describe('a kernel that fails', () => {
  it('on any thread fails its launch alone, with its cause', async () => {
    const program = thirteen();
    const on = await start(3, program);
    const good = upload(on, new Array(elements).fill(1));
    const bytes = on.memory().bytes;
    for (let round = 0; round < 60; round++) {
      const values = new Array<number>(elements).fill(1);
      values[(round * 631) % elements] = 13;
      const bad = upload(on, values);
      const [failed] = on.run(compiledSource(program), [bad], vector(elements));
      const error = errorOf(() => on.readSync(failed));
      expect(error.code).toBe('launch_failed');
      expect(error.message).toMatch(/thirteen: kernel trap failed in step 0[\s\S]*unreachable/);
      failed.dispose();
      bad.dispose();
      const [fine] = on.run(compiledSource(program), [good], vector(elements));
      expect(new Set(valuesOf(on, fine))).toEqual(new Set([1]));
      fine.dispose();
    }
    expect(on.memory().bytes).toBe(bytes);
  });
});

describe('workers', () => {
  /** Every worker that is made meanwhile. */
  function spyOnWorkers(): Worker[] {
    const made: Worker[] = [];
    threadsModule.Worker = class extends RealWorker {
      constructor(...args: ConstructorParameters<typeof Worker>) {
        super(...args);
        made.push(this as Worker);
      }
    } as typeof Worker;
    return made;
  }

  const run = (on: WasmDevice): void => {
    const [a, b] = [upload(on, numbers(1)), upload(on, numbers(2))];
    const [sum] = on.run(compiledSource(sharedAddition), [a, b], vector(elements));
    expect(valuesOf(on, sum)[1]).toBe(Math.fround(numbers(1)[1] + numbers(2)[1]));
    for (const handle of [a, b, sum]) handle.dispose();
  };

  it('start at the first launch that is worth it, and end with the device', async () => {
    const made = spyOnWorkers();
    device = new WasmDevice({ threads: 3 });
    const small = additionProgram(4, { kernels: [addition(4, shared)], tier: sharedTier });
    const [a, b] = [upload(device, [1, 2, 3, 4]), upload(device, [1, 2, 3, 4])];
    device.run(compiledSource(small), [a, b], vector(4));
    expect(made).toHaveLength(0);
    run(device);
    expect(made).toHaveLength(2);
    const ended = made.map((worker) => new Promise((resolve) => worker.on('exit', resolve)));
    const warn = vi.spyOn(console, 'warn');
    device.shutdown();
    await Promise.all(ended);
    expect(warn).not.toHaveBeenCalled();
  });

  it('are not waited for when the device ends while they start', async () => {
    device = new WasmDevice({ threads: 3 });
    const warmup = device.warmup(sharedAddition);
    await vi.waitFor(() => expect(device?.isLoaded(sharedAddition)).toBe(true), { interval: 1 });
    const start = performance.now();
    device.shutdown();
    await warmup.catch(() => {});
    expect(performance.now() - start).toBeLessThan(500);
  });

  it('that die are reported, and the rest go on', async () => {
    const made = spyOnWorkers();
    const on = await start(3, sharedAddition);
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    for (let i = 0; i < 20; i++) run(on);
    await made[0].terminate();
    expect(warn.mock.calls.map(([text]) => text)).toEqual([expect.stringMatching(/worker thread 1 of 2 .*has ended/)]);
    for (let i = 0; i < 20; i++) run(on);
    await made[1].terminate();
    for (let i = 0; i < 20; i++) run(on);
    expect(warn).toHaveBeenCalledTimes(2);
  });

  it('that can not start are reported, and the caller does the work', async () => {
    threadsModule.Worker = class {
      constructor() {
        throw new Error('no threads here');
      }
    } as unknown as typeof Worker;
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const on = await start(2, sharedAddition);
    run(on);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0][0]).toMatch(/no threads here/);
  });
});

describe('a program', () => {
  it('runs on devices of its own tier alone', () => {
    device = new WasmDevice();
    const handles = [upload(device, numbers(1)), upload(device, numbers(1))];
    expect(() => device!.run(compiledSource(sharedAddition), handles, vector(elements))).toThrow(
      /invalid_program[\s\S]*compiled for another kind of device[\s\S]*wasm\+threads/,
    );
  });
});
