/** Launches whose program is still being compiled: order, reads, failures, disposal and donation while they wait. */
import { describe, expect, it, vi } from 'vitest';
import { KilnError } from '../../base/error.ts';
import { DeviceArray } from '../../runtime/array.ts';
import { collectGarbage } from '../../runtime/collect-garbage.ts';
import { provokeCollection } from '../../runtime/collector.ts';
import { WasmDevice } from '../../runtime/wasm/device.ts';
import { engine } from '../../runtime/wasm/engine.ts';
import {
  additionProgram,
  compiledSource,
  doublingInPlace,
  ownOutput,
  PendingSource,
  programOf,
  trappingProgram,
  upload,
  valuesOf,
  vector,
} from './support.ts';

const add = compiledSource(additionProgram(2));
const ones = (device: WasmDevice) => upload(device, [1, 1]);

describe('a launch that must be compiled', () => {
  it('gives handles at once, and its results when it is compiled', async () => {
    const device = new WasmDevice();
    const pending = new PendingSource(additionProgram(2));
    const [sum] = device.run(pending, [ones(device), ones(device)], vector(2));
    expect(sum.state).toBe('pending');
    expect(pending.preparations).toBe(1);
    const read = device.read(sum);
    pending.complete();
    expect(new Float32Array((await read).buffer)).toEqual(new Float32Array([2, 2]));
    expect(sum.state).toBe('ready');
  });

  it('holds back all that came later', async () => {
    const device = new WasmDevice();
    const x = ones(device);
    const order: string[] = [];
    const [slow, fast] = [new PendingSource(additionProgram(2)), new PendingSource(additionProgram(2))];
    const [a] = device.run(slow, [x, x], vector(2));
    const [b] = device.run(fast, [x, x], vector(2));
    const [c] = device.run(add, [a, b], vector(2));
    const [d] = device.run(add, [x, x], vector(2));
    fast.complete();
    const reads = [a, b, c, d].map((each, i) => device.read(each).then(() => order.push('abcd'[i])));
    await collectGarbage(provokeCollection);
    expect([a, b, c, d].map((each) => each.state)).toEqual(['pending', 'pending', 'pending', 'pending']);
    slow.complete();
    await Promise.all(reads);
    expect(order).toEqual(['a', 'b', 'c', 'd']);
    expect(valuesOf(device, c)).toEqual([4, 4]);
    await device.synchronize();
    const [e] = device.run(add, [c, d], vector(2));
    expect(e.state).toBe('ready');
  });

  it('is compiled on the spot by a synchronous read', async () => {
    const device = new WasmDevice();
    const pending = new PendingSource(additionProgram(2));
    const [sum] = device.run(pending, [ones(device), ones(device)], vector(2));
    const [twice] = device.run(add, [sum, sum], vector(2));
    expect(valuesOf(device, twice)).toEqual([4, 4]);
    // The background compile ends later and changes nothing.
    pending.complete();
    await device.synchronize();
    expect(valuesOf(device, sum)).toEqual([2, 2]);
  });

  it('compiles the code once, however many launches wait for it', async () => {
    const device = new WasmDevice();
    const program = additionProgram(2);
    const sources = [new PendingSource(program), new PendingSource(program), new PendingSource(program)];
    const x = ones(device);
    const sums = sources.map((source) => device.run(source, [x, x], vector(2))[0]);
    // Beside this thread, or at once where an engine needs its flag.
    const compiling = [vi.spyOn(engine(), 'compile'), vi.spyOn(engine(), 'Module')];
    for (const source of sources) source.complete();
    await device.synchronize();
    expect(compiling.reduce((sum, { mock }) => sum + mock.calls.length, 0)).toBe(1);
    for (const spy of compiling) spy.mockRestore();
    for (const sum of sums) expect(valuesOf(device, sum)).toEqual([2, 2]);
  });

  it('stays queued when it can not be compiled on the spot', async () => {
    const device = new WasmDevice();
    const refuse = () => {
      throw new KilnError('blocking_read', 'this thread may not wait');
    };
    const program = additionProgram(2);
    const pending = new PendingSource(program, refuse);
    const x = ones(device);
    const [sum] = device.run(pending, [x, x], vector(2));
    expect(() => device.readSync(sum)).toThrow(/blocking_read/);
    expect(sum.state).toBe('pending');
    pending.complete(program);
    await device.synchronize();
    expect(valuesOf(device, sum)).toEqual([2, 2]);
  });
});

describe('a compile that fails', () => {
  it.each([
    ['a KilnError', new KilnError('compile_failed', 'no code for this'), /no code for this/],
    ['anything else', new RangeError('too deep'), /add could not be compiled[\s\S]*too deep/],
  ])('with %s poisons the outputs and what depends on them, and nothing else', async (_, cause, message) => {
    const device = new WasmDevice();
    const x = ones(device);
    const pending = new PendingSource(additionProgram(2));
    const [a] = device.run(pending, [x, x], vector(2));
    const [b] = device.run(add, [a, x], vector(2));
    const [c] = device.run(add, [x, x], vector(2));
    pending.fail(cause);
    await expect(device.read(b)).rejects.toThrow(message);
    await expect(device.read(b)).rejects.toMatchObject({ code: 'compile_failed' });
    expect(b.error).toBe(a.error);
    expect(valuesOf(device, c)).toEqual([2, 2]);
    for (const each of [a, b, c, x]) each.dispose();
    expect(device.memory()).toMatchObject({ tensors: 0, bytes: 0 });
  });

  it('is never an unhandled rejection', async () => {
    const unhandled: unknown[] = [];
    const listener = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', listener);
    const device = new WasmDevice();
    const pending = new PendingSource(additionProgram(2));
    const [a] = device.run(pending, [ones(device), ones(device)], vector(2));
    device.run(compiledSource(trappingProgram(2)), [a], vector(2));
    pending.fail(new Error('no'));
    await collectGarbage(provokeCollection);
    process.off('unhandledRejection', listener);
    expect(unhandled).toEqual([]);
    expect(a.state).toBe('failed');
  });

  it('on the spot poisons like one in the background', () => {
    const device = new WasmDevice();
    const refuse = () => {
      throw new KilnError('compile_failed', 'no code for this');
    };
    const [sum] = device.run(new PendingSource(additionProgram(2), refuse), [ones(device), ones(device)], vector(2));
    expect(() => device.readSync(sum)).toThrow(/no code for this/);
    expect(sum.state).toBe('failed');
  });
});

describe('disposing while a launch waits', () => {
  it('takes effect behind the launch', async () => {
    const device = new WasmDevice();
    const [x, y] = [ones(device), ones(device)];
    const pending = new PendingSource(additionProgram(2));
    const [sum] = device.run(pending, [x, y], vector(2));
    x.dispose();
    expect(x.state).toBe('disposed');
    expect(() => device.run(add, [x, y], vector(2))).toThrow(/use_after_dispose/);
    expect(device.memory()).toMatchObject({ tensors: 2, bytes: 16 });
    pending.complete();
    await device.synchronize();
    expect(device.memory()).toMatchObject({ tensors: 2, bytes: 16 });
    expect(valuesOf(device, sum)).toEqual([2, 2]);
    sum.dispose();
    expect(device.memory()).toMatchObject({ tensors: 1, bytes: 8 });
  });

  it('of an output drops its bytes as soon as they exist, but not under a read that waits', async () => {
    const device = new WasmDevice();
    const x = ones(device);
    const pending = new PendingSource(additionProgram(2));
    const [read, unread] = [0, 1].map(() => device.run(pending, [x, x], vector(2))[0]);
    const bytes = device.read(read);
    read.dispose();
    unread.dispose();
    pending.complete();
    expect(new Float32Array((await bytes).buffer)).toEqual(new Float32Array([2, 2]));
    await device.synchronize();
    expect(device.memory()).toMatchObject({ tensors: 1, bytes: 8 });
  });

  it('by the collector does not disturb reads of arrays that nobody holds', async () => {
    const device = new WasmDevice();
    const pending = new PendingSource(additionProgram(2));
    const read = (() => {
      const [x, y] = [0, 1].map(() => new DeviceArray('float32', [2], ones(device)));
      const [sum] = device.run(pending, [x.handle!, y.handle!], vector(2));
      return new DeviceArray('float32', [2], sum).data();
    })();
    await collectGarbage(provokeCollection);
    pending.complete();
    expect(await read).toEqual(new Float32Array([2, 2]));
  });
});

describe('donating to a launch that waits', () => {
  it('ends the use of the input at once', async () => {
    const device = new WasmDevice();
    const x = ones(device);
    const pending = new PendingSource(doublingInPlace(2));
    const [y] = device.run(pending, [x], vector(2));
    expect(x.state).toBe('donated');
    expect(() => device.run(add, [x, x], vector(2))).toThrow(/donated to double/);
    pending.complete();
    await device.synchronize();
    expect(valuesOf(device, y)).toEqual([2, 2]);
    expect(device.memory()).toMatchObject({ tensors: 1, bytes: 8 });
  });

  it('gives the input back when the compile fails', async () => {
    const device = new WasmDevice();
    const [x, disposed] = [ones(device), ones(device)];
    const pending = new PendingSource(doublingInPlace(2));
    device.run(pending, [x], vector(2));
    device.run(pending, [disposed], vector(2));
    disposed.dispose();
    pending.fail(new Error('no'));
    await device.synchronize();
    expect(x.state).toBe('ready');
    expect(disposed.state).toBe('disposed');
    expect(valuesOf(device, x)).toEqual([1, 1]);
    expect(device.memory().bytes).toBe(8);
  });

  it('fails later work on the input when the program tells only then that it takes it', async () => {
    const device = new WasmDevice();
    const x = ones(device);
    const pending = new PendingSource(doublingInPlace(2));
    const unaware = {
      name: 'double',
      get program() {
        return pending.program;
      },
      prepare: () => pending.prepare(),
      prepareSync: () => pending.prepareSync(),
    };
    const [y] = device.run(unaware, [x], vector(2));
    const [sum] = device.run(add, [x, x], vector(2));
    pending.complete();
    await expect(device.read(sum)).rejects.toMatchObject({ code: 'use_after_dispose' });
    expect(valuesOf(device, y)).toEqual([2, 2]);
  });

  it('lets reads that came before it see the old values', async () => {
    const device = new WasmDevice();
    const first = new PendingSource(additionProgram(2));
    const [x] = device.run(first, [ones(device), ones(device)], vector(2));
    const before = device.read(x);
    const [y] = device.run(compiledSource(doublingInPlace(2)), [x], vector(2));
    first.complete();
    expect(new Float32Array((await before).buffer)).toEqual(new Float32Array([2, 2]));
    expect(valuesOf(device, y)).toEqual([4, 4]);
  });
});

it('an alias of a pending buffer waits with it', async () => {
  const device = new WasmDevice();
  const pending = new PendingSource(additionProgram(2));
  const [x] = device.run(pending, [ones(device), ones(device)], vector(2));
  const column = device.alias(x, [2, 1]);
  x.dispose();
  pending.complete();
  expect(new Float32Array((await device.read(column)).buffer)).toEqual(new Float32Array([2, 2]));
});

it('a source that throws rather than rejects poisons its outputs, and the queue goes on', async () => {
  const device = new WasmDevice();
  const broken = new PendingSource(additionProgram(2));
  broken.prepare = () => {
    throw new RangeError('too deep');
  };
  const x = ones(device);
  const [lost] = device.run(broken, [x, x], vector(2));
  const [kept] = device.run(add, [x, x], vector(2));
  await expect(device.read(lost)).rejects.toThrow(/add could not be compiled[\s\S]*too deep/);
  expect(valuesOf(device, kept)).toEqual([2, 2]);
});

it('shutdown fails what waits', async () => {
  const device = new WasmDevice();
  const pending = new PendingSource(additionProgram(2));
  const [x] = device.run(pending, [ones(device), ones(device)], vector(2));
  const read = device.read(x);
  device.shutdown();
  await expect(read).rejects.toMatchObject({ code: 'shut_down' });
  pending.complete();
  await collectGarbage(provokeCollection);
  expect(x.state).toBe('disposed');
});

it('a queued launch without room asks the collector before it fails', async () => {
  const device = new WasmDevice({ memoryLimit: 2 ** 20 });
  const elements = 80_000;
  const x = upload(device, new Array<number>(elements).fill(1));
  const pending = new PendingSource(additionProgram(elements));
  const program = additionProgram(elements);
  // Three arrays fit, a fourth does not; the first result is garbage at once.
  (() => new DeviceArray('float32', [elements], device.run(pending, [x, x], vector(elements))[0]))();
  const kept = device.run(pending, [x, x], vector(elements))[0];
  const [last] = device.run(compiledSource(program), [kept, kept], vector(elements));
  const [tooMuch] = device.run(compiledSource(program), [last, last], vector(elements));
  pending.complete();
  await device.synchronize();
  expect([kept.state, last.state]).toEqual(['ready', 'ready']);
  await expect(device.read(tooMuch)).rejects.toMatchObject({ code: 'out_of_memory' });
  expect(valuesOf(device, last)[0]).toBe(4);
});

describe('a lack of memory that no collection mends', () => {
  const unwritten = (elements: number) => programOf({ name: 'unwritten', outputs: [ownOutput([elements])] });
  /** Rounds of the collector while `work` runs; each begins with an array buffer of 128 MiB. */
  const collections = async (work: () => Promise<unknown>): Promise<number> => {
    let rounds = 0;
    const Original = globalThis.ArrayBuffer;
    globalThis.ArrayBuffer = new Proxy(Original, {
      construct: (target, [bytes]) => {
        if (bytes === 2 ** 27) rounds += 1;
        return new target(bytes);
      },
    });
    try {
      await work();
    } finally {
      globalThis.ArrayBuffer = Original;
    }
    return rounds;
  };

  it('fails a launch beyond the limit at once', async () => {
    const device = new WasmDevice({ memoryLimit: 2 ** 20 });
    const pending = new PendingSource(unwritten(2 ** 20));
    const [x] = device.run(pending, [], vector(2 ** 20));
    const rounds = await collections(async () => {
      pending.complete();
      await expect(device.read(x)).rejects.toMatchObject({ code: 'out_of_memory' });
    });
    expect(rounds).toBe(0);
  });

  it('collects once for a launch, and not again for the reads of what it left', async () => {
    const device = new WasmDevice({ memoryLimit: 2 ** 20 });
    const held = upload(device, new Array<number>(2 ** 17).fill(1));
    const pending = new PendingSource(unwritten(2 ** 17));
    const [x] = device.run(pending, [], vector(2 ** 17));
    const once = await collections(async () => {
      pending.complete();
      await device.synchronize();
    });
    expect(once).toBeGreaterThan(0);
    const slow = new PendingSource(unwritten(1));
    expect(x.state).toBe('failed');
    const again = await collections(async () => {
      device.run(slow, [], vector(1));
      const [y] = device.run(compiledSource(additionProgram(2 ** 17)), [x, x], vector(2 ** 17));
      const read = device.read(y);
      slow.complete();
      await expect(read).rejects.toMatchObject({ code: 'out_of_memory' });
    });
    expect(again).toBe(0);
    expect(held.state).toBe('ready');
  });
});

describe('bytes of another device that are on their way', () => {
  const bytesOf = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

  it('hold back what came later, in order', async () => {
    const device = new WasmDevice();
    let resolve = (_: Uint8Array): void => {};
    const arrival = new Promise<Uint8Array>((arrive) => {
      resolve = arrive;
    });
    const moved = device.uploadLater('float32', [2], arrival);
    const [sum] = device.run(add, [moved, ones(device)], vector(2));
    expect([moved.state, sum.state]).toEqual(['pending', 'pending']);
    expect(() => device.readSync(sum)).toThrowError(/on its way from another device/);
    resolve(bytesOf(3, 4));
    expect(new Float32Array((await device.read(sum)).buffer)).toEqual(new Float32Array([4, 5]));
    expect(moved.state).toBe('ready');
    moved.dispose();
    sum.dispose();
    expect(device.memory().tensors).toBe(1);
  });

  it('that never come fail with their cause, and what is made of them', async () => {
    const device = new WasmDevice();
    const lost = new KilnError('device_lost', 'the other device is gone');
    const moved = device.uploadLater('float32', [2], Promise.reject(lost));
    const [sum] = device.run(add, [moved, ones(device)], vector(2));
    await expect(device.read(sum)).rejects.toBe(lost);
    expect([moved.state, sum.state]).toEqual(['failed', 'failed']);
    expect(valuesOf(device, device.run(add, [ones(device), ones(device)], vector(2))[0])).toEqual([2, 2]);
  });
});
