/** Traces under an explicit key: when they are kept, when they stand for a trace, and when not. */
import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KilnError } from '../../../base/error.ts';
import { staticKey } from '../../../base/static-key.ts';
import { type CompileOptions, compile, dim, spec, type Tensor, tensor, tree } from '../../../index.ts';
import { currentCache } from '../../../runtime/cache/current.ts';
import { compilerVersion } from '../../../tracer/compiler-version.ts';
import { staticValue } from '../../../tracer/static-value.ts';
import { PortableNames, readTrace, recordTrace } from '../../../tracer/trace-record.ts';
import { codeOf, errorOf } from '../../support/errors.ts';
import { closeCache, delayCache, entriesIn, openCache, restart } from '../../support/session-cache.ts';

let folder = '';

beforeEach(() => {
  folder = openCache();
});

afterEach(() => {
  vi.restoreAllMocks();
  closeCache(folder);
});

const traces = (): number => entriesIn(folder, 'trace').length;

/** A function that counts its runs, compiled anew as in another process. */
function counted<A extends readonly unknown[], R>(fn: (...args: A) => R, options: CompileOptions) {
  let runs = 0;
  const make = () =>
    compile((...args: A): R => {
      runs++;
      return fn(...args);
    }, options);
  return { make, runs: () => runs };
}

describe('a trace under a key', () => {
  it('stands for its signature alone, whatever else there is', () => {
    const { make, runs } = counted((x: Tensor, by: number) => x.mul(by), { cache: 'mul' });
    expect(make()(tensor([1, 2]), 3).arraySync()).toEqual([3, 6]);
    expect([runs(), traces()]).toEqual([1, 1]);
    restart();
    const again = make();
    expect(again(tensor([1, 2]), 3).arraySync()).toEqual([3, 6]);
    expect(runs()).toBe(1);
    expect(again.stats()).toMatchObject({ compiles: 0, hits: { memory: 0, disk: 1 } });
    // Another number, another type: signatures of their own.
    expect(again(tensor([1, 2]), -0).arraySync()).toEqual([-0, -0]);
    expect(again(tensor([1, 2], { dtype: 'int32' }), 3).arraySync()).toEqual([3, 6]);
    expect([runs(), traces()]).toEqual([3, 3]);
    // A trace knows arrays by their types, not by where they lie.
    expect(again(new Float32Array([1, 2]) as never, 3).arraySync()).toEqual([3, 6]);
    expect(runs()).toBe(3);
  });

  it('is a promise of the user: a function that has changed gives what it gave', () => {
    compile((x: Tensor) => x.add(1), { cache: 'stale' })(tensor([1])).arraySync();
    restart();
    expect(compile((x: Tensor) => x.add(100), { cache: 'stale' })(tensor([1])).arraySync()).toEqual([2]);
    expect(compile((x: Tensor) => x.add(100), { cache: 'fresh' })(tensor([1])).arraySync()).toEqual([101]);
  });

  it('is of one function, whatever others are kept under the same text', () => {
    class Pair {
      held = tensor([2, 3]);
      @compile({ cache: 'v1' })
      sum(x: Tensor): Tensor {
        return x.add(this.held);
      }
      @compile({ cache: 'v1' })
      difference(x: Tensor): Tensor {
        return x.sub(this.held);
      }
    }
    for (let i = 0; i < 2; i++) {
      const pair = new Pair();
      expect(pair.sum(tensor([1, 1])).arraySync()).toEqual([3, 4]);
      expect(pair.difference(tensor([1, 1])).arraySync()).toEqual([-1, -2]);
      restart();
    }
    // `kiln cache ls` names them.
    const texts = entriesIn(folder, 'trace').map((file) => readFileSync(file, 'latin1'));
    expect(texts.map((text) => /"trace":\{.*"name":"(\w+)"/.exec(text)?.[1]).sort()).toEqual(['difference', 'sum']);
  });

  it('tells static values apart that are close', () => {
    const code = (x: Tensor, text: string) => x.mul(0).add(text.charCodeAt(0));
    const count = (x: Tensor, list: readonly unknown[]) => x.mul(0).add(list.length);
    for (let i = 0; i < 2; i++) {
      for (const text of ['\ud800', '\ud801', '\ufffd']) {
        expect(compile(code, { cache: 'k' })(tensor([1]), text).arraySync()).toEqual([text.charCodeAt(0)]);
      }
      for (const list of [[], new Array(1), [undefined, undefined]]) {
        const counted = compile(count, { cache: 'k', static: [1] });
        expect(counted(tensor([1]), list).arraySync()).toEqual([list.length]);
      }
      restart();
    }
    expect(traces()).toBe(6);
  });

  it('knows which arguments are given up, also those of a method', () => {
    const { make, runs } = counted((a: Tensor, b: Tensor) => a.sub(b), { cache: 'donate', donate: [0] });
    for (let i = 0; i < 2; i++) {
      const a = tensor([3, 4]);
      expect(make()(a, tensor([1, 1])).arraySync()).toEqual([2, 3]);
      expect(codeOf(() => a.arraySync())).toBe('use_after_dispose');
      restart();
    }
    expect(runs()).toBe(1);
    // Without the option it is another signature.
    restart();
    const kept = tensor([3, 4]);
    compile((a: Tensor, b: Tensor) => a.sub(b), { cache: 'donate' })(kept, tensor([1, 1]));
    expect(kept.arraySync()).toEqual([3, 4]);
  });

  it('serves every size of a symbolic one', () => {
    const rows = dim('B', { min: 1, max: 100 });
    const { make, runs } = counted((x: Tensor) => [x.sum(1), x.reshape([-1])] as const, {
      cache: 'rows',
      dynamic: [spec([rows, 3])],
    });
    make()(tensor(new Float32Array(6), { shape: [2, 3] }))[0].arraySync();
    restart();
    const again = make();
    for (const count of [5, 100]) {
      const [sums, flat] = again(tensor(new Float32Array(3 * count).fill(1), { shape: [count, 3] }));
      expect(sums.arraySync()).toEqual(Array.from({ length: count }, () => 3));
      expect(flat.shape).toEqual([3 * count]);
    }
    expect(runs()).toBe(1);
    expect(again.stats().hits.disk).toBe(1);
  });

  it('is taken up by warmup, also where the cache must be waited for', async () => {
    const { make, runs } = counted((x: Tensor) => x.mul(x), { cache: 'aside' });
    await make().warmup(spec([2]));
    for (const isDelayed of [false, true]) {
      restart();
      if (isDelayed) delayCache();
      const again = make();
      await again.warmup(spec([2]));
      expect(await again(tensor([3, 4])).array()).toEqual([9, 16]);
      expect(runs()).toBe(1);
      expect(again.stats()).toMatchObject({ compiles: 0, hits: { memory: 0, disk: 1 } });
    }
    restart();
    // A call can not wait: it is traced, and meets its program by the graph.
    const called = make();
    expect(await called(tensor([3, 4])).array()).toEqual([9, 16]);
    expect(runs()).toBe(2);
    expect(called.stats()).toMatchObject({ compiles: 0, hits: { disk: 1 } });
  });

  it('traces again where the program is gone, or the folder', () => {
    const { make, runs } = counted((x: Tensor) => x.exp(), { cache: 'gone' });
    make()(tensor([0])).arraySync();
    for (const file of entriesIn(folder, 'program')) writeFileSync(file, readFileSync(file).subarray(0, 50));
    restart();
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    expect(make()(tensor([0])).arraySync()).toEqual([1]);
    expect(runs()).toBe(2);
    warn.mockRestore();
    restart();
    expect(make()(tensor([0])).arraySync()).toEqual([1]);
    expect(runs()).toBe(2);
  });
});

describe('no trace is kept', () => {
  /** What KILN_DEBUG=cache says of it. */
  function reasonOf(run: () => unknown): string {
    vi.stubEnv('KILN_DEBUG', 'cache');
    const printed = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    run();
    vi.stubEnv('KILN_DEBUG', '');
    const lines = printed.mock.calls.map(([text]) => String(text));
    printed.mockRestore();
    expect(traces()).toBe(0);
    return lines.find((line) => line.includes('is not kept: '))?.split('is not kept: ')[1] ?? lines.join('\n');
  }
  const x = () => tensor([1, 2]);
  class Mode {}

  it('of what takes tensors from around it', () => {
    const w = tensor([3, 4]);
    expect(reasonOf(() => compile((t: Tensor) => t.mul(w), { cache: 'k' })(x()))).toBe(
      'it takes 1 tensors from around it',
    );
  });

  it('for functions and objects that are known by their identity', () => {
    const call = (arg: unknown) => compile((t: Tensor, _: unknown) => t.mul(2), { cache: 'k', static: [1] })(x(), arg);
    expect(reasonOf(() => call(Math.sin))).toBe('the function sin is known by its identity');
    expect(reasonOf(() => call({ mode: [new Mode()] }))).toBe('an object of class Mode is known by its identity');
    expect(reasonOf(() => call(Symbol('s')))).toBe('Symbol(s) is known by its identity');
  });

  it('of a method whose object holds such', () => {
    const identity = (t: Tensor): Tensor => t;
    class Layer {
      scale = tensor(2);
      activation = identity;
      @compile({ cache: 'layer' })
      forward(t: Tensor): Tensor {
        return this.activation(t.mul(this.scale));
      }
    }
    expect(reasonOf(() => new Layer().forward(x()))).toBe('the function identity is known by its identity');
  });

  it('of two functions under one text and one name, which are traced', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    for (let i = 0; i < 2; i++) {
      const [half, third] = [2, 3].map((by) => compile((t: Tensor) => t.div(by), { cache: `by ${by}` }));
      expect([half(tensor([6])).arraySync(), third(tensor([6])).arraySync()]).toEqual([[3], [2]]);
      expect([warn.mock.calls.length, traces()]).toEqual([0, 2]);
      restart();
    }
    for (let i = 0; i < 2; i++) {
      const plus = compile((t: Tensor) => t.add(1), { cache: 'v1' });
      const minus = compile((t: Tensor) => t.sub(1), { cache: 'v1' });
      compile((t: Tensor) => t.neg(), { cache: 'v1' });
      expect([plus(tensor([6])).arraySync(), minus(tensor([6])).arraySync()]).toEqual([[7], [5]]);
      expect(warn.mock.calls).toEqual([[expect.stringMatching(/two functions called anonymous .* cache: 'v1'/)]]);
      expect(traces()).toBe(2);
      warn.mockClear();
      restart();
    }
  });

  it('for classes of one name', () => {
    const make = () =>
      class Twin {
        constructor(readonly held: Tensor) {}
      };
    const [one, two] = [make(), make()];
    for (const each of [one, two]) tree.register(each);
    expect(reasonOf(() => compile((t: { held: Tensor }) => t.held.mul(2), { cache: 'k' })(new one(x())))).toBe(
      'several registered classes are called Twin',
    );
    expect(new two(x()).held.shape).toEqual([2]);
  });

  it('where the option says so, or the cache is off', () => {
    expect(reasonOf(() => compile((t: Tensor) => t.mul(2), { cache: false })(x()).arraySync())).toMatch(
      /not looked for on disk: its option cache is false/,
    );
    expect(entriesIn(folder, 'program')).toEqual([]);
    vi.stubEnv('KILN_CACHE', 'off');
    expect(reasonOf(() => compile((t: Tensor) => t.mul(3), { cache: 'k' })(x()).arraySync())).toMatch(
      /KILN_CACHE is off/,
    );
    expect(entriesIn(folder, 'program')).toEqual([]);
  });

  it('for an option that is none', () => {
    for (const cache of [true, '', 3, null, {}]) {
      const { code, given } = errorOf(() => compile((t: Tensor) => t, { cache: cache as never }));
      expect([code, given]).toEqual(['invalid_argument', expect.stringMatching(/^cache: /)]);
    }
  });
});

describe('what is read back', () => {
  it('is the value of a static key', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withNullPrototype: true }), (value) => {
        const key = staticKey(value);
        if (!/(^|[[,=])#/.test(key)) expect(staticKey(staticValue(key))).toBe(key);
      }),
    );
  });

  it('is refused where it is no key', () => {
    for (const key of [
      '',
      'n',
      'n1x',
      's3:ab',
      's1:abc',
      'b2',
      '[n1',
      '[n1,]',
      '{1:a=n1',
      '{1:an1}',
      '#3',
      'NN',
      'i',
    ]) {
      expect(
        codeOf(() => staticValue(key)),
        key,
      ).toBe('invalid_program');
    }
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ns[]{}:,=#0123bNUi-.e') }), (key) => {
        let value: unknown;
        try {
          value = staticValue(key);
        } catch (error) {
          expect(error).toBeInstanceOf(KilnError);
          return;
        }
        expect(typeof staticKey(value)).toBe('string');
      }),
    );
  });

  it('gives a trace, or says that it is none', () => {
    const { structure } = tree.flatten({ a: [1, null], b: undefined, c: 2 });
    const effects = [
      { holder: ['state'], key: 'n', structure: { kind: 'leaf' }, leaves: [{ output: 2 }] },
      { holder: [], key: 'mode', structure: { kind: 'leaf' }, leaves: [{ value: 'busy' }] },
    ] as const;
    const traced = { structure, resultCount: 2, effects };
    const record = JSON.parse(JSON.stringify(recordTrace('p', traced, new PortableNames()))) as object;
    expect(readTrace(record, 3)).toEqual(traced);
    expect(codeOf(() => readTrace(record, 4))).toBe('invalid_program');
    const text = JSON.stringify(record);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom(...'[]{}",:0123aknull'), (at, character) => {
        let changed: unknown;
        try {
          changed = JSON.parse(text.slice(0, at) + character + text.slice(at + 1));
        } catch {
          return;
        }
        try {
          expect(readTrace(changed, 3).resultCount).toBeLessThanOrEqual(3);
        } catch (error) {
          expect(error).toBeInstanceOf(KilnError);
        }
      }),
    );
  });

  it('is not taken for another call, nor puts anything where no field is', () => {
    const makeClass = () =>
      class Box {
        value = tensor([1, 2]);
        @compile({ cache: 'box' })
        add(x: Tensor<'float32'>): void {
          this.value = this.value.add(x);
        }
      };
    const cache = currentCache(compilerVersion())!;
    const first = new (makeClass())();
    first.add(tensor([1, 1]));
    first.value.arraySync();
    const find = vi.spyOn(cache, 'findTraceSync');
    const drop = vi.spyOn(cache, 'dropTrace');
    vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    restart();
    new (makeClass())().add(tensor([1, 1]));
    const record = find.mock.results[0].value as { effects: object[] };
    for (const effect of [{ holder: ['constructor', 'prototype'] }, { holder: ['value'] }, { key: '__proto__' }]) {
      restart();
      find.mockReturnValueOnce({ ...record, effects: [{ ...record.effects[0], ...effect }] });
      const Box = makeClass();
      const box = new Box();
      box.add(tensor([1, 1]));
      expect(box.value.arraySync()).toEqual([2, 3]);
      expect(drop).toHaveBeenCalledOnce();
      drop.mockClear();
      expect(Object.keys(Box.prototype)).toEqual([]);
    }
  });
});
