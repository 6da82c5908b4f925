/** Mutated entries of the cache: each is a miss or something whole, never an error, and is removed when it is a miss. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Random } from '../../../ir/ops/random.ts';
import { CompiledCache } from '../../../runtime/cache/compiled-cache.ts';
import { entryName } from '../../../runtime/cache/entry.ts';
import type { EntryKind, EntryName, EntryStore } from '../../../runtime/cache/store.ts';
import type { Program } from '../../../runtime/program.ts';
import { validateProgram } from '../../../runtime/validate.ts';
import { parseStore } from '../../../tracer/autotune/store.ts';
import { caseCount } from '../../support/runs.ts';
import { randomProgram } from '../cache/programs.ts';
import { headerOf, JsonMutator, mutateBytes, outcomeLater, outcomeOf, Tally, withHeader } from './mutations.ts';

/** A store that gives what a test puts there. */
class FakeStore implements EntryStore {
  readonly place = 'a test';
  readonly entries = new Map<string, Uint8Array>();
  readonly #keyOf = ({ kind, hash }: EntryName): string => `${kind}/${hash}`;

  readSync = (name: EntryName): Uint8Array | undefined => this.entries.get(this.#keyOf(name));
  read = (name: EntryName): Promise<Uint8Array | undefined> => Promise.resolve(this.readSync(name));
  readAll = (names: readonly EntryName[]) => Promise.resolve(names.map(this.readSync));
  write = (name: EntryName, bytes: Uint8Array): void => void this.entries.set(this.#keyOf(name), bytes);
  add = (name: EntryName, bytes: () => Uint8Array): void => {
    if (!this.entries.has(this.#keyOf(name))) this.write(name, bytes());
  };
  remove = (name: EntryName): void => void this.entries.delete(this.#keyOf(name));
  list = () => Promise.resolve([]);
  settle = () => Promise.resolve();
  trim = () => Promise.resolve({ entries: 0, bytes: 0 });
}

const version = 'some version';
const key = 'some key';
const trace = { program: key, result: { kind: 'dict', keys: ['loss'], children: [{ kind: 'array' }] }, effects: [] };

interface Target {
  readonly store: FakeStore;
  readonly cache: CompiledCache;
  readonly name: EntryName;
  readonly program: Program;
  /** The entry as it was written. */
  readonly whole: Uint8Array;
  readonly header: JsonMutator;
  find(): unknown;
}

function targetOf(kind: EntryKind, program: Program): Target {
  const store = new FakeStore();
  const cache = new CompiledCache(store, version);
  cache.keepProgram(key, program);
  cache.keepTrace(key, trace);
  const [{ hash }] = program.kernels;
  const name = entryName(kind, version, kind === 'kernel' ? hash : key);
  const whole = store.readSync(name)!;
  const find = {
    program: () => cache.findProgramSync(key),
    kernel: () => cache.findKernelSync(hash),
    trace: () => cache.findTraceSync(key),
  }[kind];
  return { store, cache, name, program, whole, header: new JsonMutator(headerOf(whole)), find };
}

const small = (target: 'wasm' | 'webgpu'): Program[] =>
  Array.from({ length: 12 }, (_, seed) => randomProgram(seed, target))
    .filter(({ kernels }) => kernels.length > 0)
    .sort((a, b) => a.kernels.length - b.kernels.length || a.steps.length - b.steps.length)
    .slice(0, 2);

const programs = [...small('wasm'), ...small('webgpu')];
const targets = programs.flatMap((program) =>
  (['program', 'kernel', 'trace'] as const).map((kind) => targetOf(kind, program)),
);
const wholes = targets.map(({ whole }) => whole);

beforeEach(() => void vi.spyOn(console, 'warn').mockImplementation(() => {}));
afterEach(() => void vi.restoreAllMocks());

/** One mutation of one entry. @param mutate how its bytes are changed */
function isFound(seed: number, mutate: (target: Target, random: Random) => Uint8Array): 'found' | 'removed' {
  const random = new Random(seed);
  const target = random.pick(targets);
  target.store.write(target.name, mutate(target, random));
  let found: unknown;
  expect(
    outcomeOf(seed, () => (found = target.find())),
    `seed ${seed}`,
  ).toBe('ok');
  if (found === undefined) {
    const isRemoved = target.store.readSync(target.name) === undefined;
    // A program that names a kernel which nobody has may find it some day; compiling it puts it right.
    if (!isRemoved) {
      expect(target.name.kind, `seed ${seed}`).toBe('program');
      target.cache.keepProgram(key, target.program);
      expect(target.find(), `seed ${seed}`).toEqual(target.program);
    }
    return 'removed';
  }
  if (target.name.kind === 'program') validateProgram(found);
  return 'found';
}

test('bytes that were changed are no entry', () => {
  const tally = new Tally();
  for (let seed = 0; seed < caseCount(40_000, 4_000_000); seed++) {
    let isSame = false;
    const outcome = isFound(seed, ({ whole }, random) => {
      const bytes = mutateBytes(whole, random, wholes);
      isSame = Buffer.compare(bytes, whole) === 0;
      return bytes;
    });
    expect(outcome, `seed ${seed}`).toBe(isSame ? 'found' : 'removed');
    tally.add(outcome);
  }
  expect(tally.counts.removed).toBeGreaterThan(0.9 * tally.total);
  expect(console.warn).toHaveBeenCalledTimes(1);
});

test('headers that were changed, with the right hash, give something whole or nothing', () => {
  const tally = new Tally();
  for (let seed = 0; seed < caseCount(15_000, 2_000_000); seed++) {
    tally.add(isFound(seed, ({ whole, header }, random) => withHeader(whole, header.mutate(random))));
  }
  expect(tally.counts.removed).toBeGreaterThan(0.5 * tally.total);
  expect(tally.counts.found).toBeGreaterThan(0.02 * tally.total);
});

test('so they do for those who wait', async () => {
  for (let seed = 0; seed < caseCount(1000, 100_000); seed++) {
    const random = new Random(seed);
    const { store, cache, name, whole, header } = random.pick(targets.filter((each) => each.name.kind === 'program'));
    store.write(name, withHeader(whole, header.mutate(random)));
    expect(await outcomeLater(seed, () => cache.findProgram(key)), `seed ${seed}`).toBe('ok');
  }
});

test('a store of schedules is read as a whole or refused', () => {
  const entry = `${'0'.repeat(64)} ${'1'.repeat(64)}`;
  const whole = JSON.stringify({
    version: 1,
    schedules: { [entry]: '4x8x256x64x512', [`${entry.slice(1)}2`]: 'usual' },
  });
  const texts = new JsonMutator(whole);
  let read = 0;
  for (let seed = 0; seed < caseCount(5000, 500_000); seed++) {
    const text = texts.mutate(new Random(seed));
    try {
      for (const [name, schedule] of parseStore(text)) {
        expect(name).toMatch(/^[0-9a-f]{64} [0-9a-f]{64}$/);
        expect(typeof schedule).toBe('string');
      }
      read += 1;
    } catch (error) {
      // `readFile` says each of these once, and goes on without the file.
      expect([SyntaxError, TypeError, RangeError], `seed ${seed}: ${String(error)}`).toContain(
        (error as Error).constructor,
      );
      expect(String(error), `seed ${seed}`).not.toMatch(/stack|undefined|not a function/);
    }
  }
  expect(read).toBeGreaterThan(0);
});
