import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KilnError } from '../../base/error.ts';
import { bindSymbols } from '../../runtime/bind-symbols.ts';
import type { Program } from '../../runtime/program.ts';
import { evaluateSize } from '../../runtime/sizes.ts';
import { validateProgram } from '../../runtime/validate.ts';
import {
  additionProgram,
  constant,
  doubling,
  float32Input,
  input,
  output,
  ownOutput,
  programOf,
  temporary,
} from './support.ts';

const runs = process.env.KILN_TEST === 'full' ? 100_000 : 3000;

/** One of everything. */
const whole: Program = programOf({
  symbols: [{ name: 'B', min: 1, max: 64 }],
  inputs: [float32Input(['B']), float32Input([4], true)],
  outputs: [
    ownOutput(['B']),
    { dtype: 'float32', shape: [4], source: { kind: 'donated', input: 1 } },
    { dtype: 'float32', shape: ['B'], source: { kind: 'input', index: 0 } },
    { dtype: 'int32', shape: [2], source: { kind: 'constant', index: 0 } },
    { dtype: 'float32', shape: ['B'], source: { kind: 'output', index: 0 } },
  ],
  constants: [{ dtype: 'int32', shape: [2], bytes: new Uint8Array(8) }],
  temporaries: [{ bytes: '4*B', first: 0, last: 1 }],
  kernels: [doubling('B')],
  steps: [
    { kind: 'launch', kernel: 0, buffers: [input(0), temporary(0)] },
    { kind: 'launch', kernel: 0, buffers: [constant(0), output(0)] },
  ],
});

const withPart = (path: readonly (string | number)[], value: unknown): unknown => {
  if (path.length === 0) return value;
  const change = (part: unknown, [head, ...rest]: readonly (string | number)[]): unknown => {
    const copy: Record<string | number, unknown> = Object.assign(Array.isArray(part) ? [] : {}, part);
    copy[head] = rest.length === 0 ? value : change(copy[head], rest);
    return copy;
  };
  return change(whole, path);
};

/** Every place in a value that can be replaced. */
function pathsOf(value: unknown, path: readonly (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [[...path]];
  const entries = Array.isArray(value) ? value.map((item, i) => [i, item] as const) : Object.entries(value);
  return [[...path], ...entries.flatMap(([key, item]) => pathsOf(item, [...path, key]))];
}

const isInvalid = (program: unknown): boolean => {
  try {
    validateProgram(program);
    return false;
  } catch (error) {
    if (error instanceof KilnError && error.code === 'invalid_program') return true;
    throw error;
  }
};

describe('validateProgram', () => {
  it('accepts programs, and gives them back', () => {
    expect(validateProgram(whole)).toBe(whole);
    expect(validateProgram(additionProgram(3)).name).toBe('add');
  });

  it('accepts bytes of another realm, as compiled in a thread beside a `vm` context', () => {
    const bytes = runInNewContext('new Uint8Array(8)') as Uint8Array;
    expect(bytes).not.toBeInstanceOf(Uint8Array);
    const program = { ...whole, constants: [{ ...whole.constants[0], bytes }] };
    expect(validateProgram(program)).toBe(program);
    const words = { ...whole, constants: [{ ...whole.constants[0], bytes: new Uint16Array(8) }] };
    expect(() => validateProgram(words)).toThrow(/no Uint8Array/);
  });

  it.each<[string, (string | number)[], unknown]>([
    ['another version', ['version'], 1],
    ['a tier that is none', ['tier'], 'wasm'],
    ['another target', ['tier', 'target'], 'webgpu'],
    ['a tier that does not say whether it has threads', ['tier', 'threads'], undefined],
    ['a kernel without phases', ['kernels', 0, 'phases'], []],
    ['a phase without a group', ['kernels', 0, 'phases', 0], { tiles: 1 }],
    ['shared scratch of no size', ['kernels', 0, 'sharedBytes'], -1],
    ['a symbol twice', ['symbols', 1], { name: 'B', min: 1, max: 2 }],
    ['a symbol with crossed bounds', ['symbols', 0, 'min'], 65],
    ['a dtype that is a property of all objects', ['inputs', 0, 'dtype'], 'toString'],
    ['a size over unknown symbols', ['inputs', 0, 'shape', 0], 'T'],
    ['a size that is no expression', ['kernels', 0, 'flops'], '1+'],
    ['a size nested beyond measure', ['kernels', 0, 'phases', 0, 'tiles'], '('.repeat(1900)],
    ['a size without end', ['kernels', 0, 'flops'], '1+'.repeat(10_000)],
    ['a negative size', ['temporaries', 0, 'bytes'], -4],
    ['a distance that is no int32', ['kernels', 0, 'sizes', 0], -(2 ** 31) - 1],
    ['a symbolic constant', ['constants', 0, 'shape', 0], 'B'],
    ['a constant shorter than its shape', ['constants', 0, 'shape', 0], 3],
    ['an output that takes over what is not donated', ['outputs', 1, 'source', 'input'], 0],
    ['an output that is itself', ['outputs', 4, 'source', 'index'], 4],
    ['an unknown kernel', ['steps', 0, 'kernel'], 1],
    ['an unknown buffer', ['steps', 0, 'buffers', 0, 'index'], 2],
    ['a list of one kind of buffer', ['steps', 0, 'buffers', 0, 'kind'], ['input']],
    ['a list of one dtype', ['inputs', 0, 'dtype'], ['float32']],
    ['a number of steps that has no value', ['prepareSteps'], { valueOf: 1, toString: 1 }],
    ['a kind of buffer that has no name', ['steps', 0, 'buffers', 0, 'kind'], { valueOf: 1, toString: 1 }],
    ['a place that has no value', ['outputs', 2, 'source', 'index'], { valueOf: 1, toString: 1 }],
    ['an arena that has no value', ['arenaBytes'], { valueOf: 1, toString: 1 }],
    ['a buffer kind from the prototype', ['steps', 0, 'buffers', 0, 'kind'], 'constructor'],
    ['a write to an alias', ['steps', 1, 'buffers', 1, 'index'], 2],
    ['a kernel that does not say what it touches', ['kernels', 0, 'bufferBytes'], undefined],
    ['a kernel that tells of one of two buffers', ['kernels', 0, 'bufferBytes'], [8]],
    ['a buffer of half a byte', ['kernels', 0, 'bufferBytes', 0], 0.5],
    ['a buffer of infinitely many bytes', ['kernels', 0, 'bufferBytes', 0], Number.POSITIVE_INFINITY],
    ['a temporary that is used before its time', ['temporaries', 0, 'first'], 1],
    ['more temporaries than time to place them', ['temporaries'], new Array(70_000).fill(whole.temporaries[0])],
    ['too few buffers', ['steps', 0, 'buffers'], [input(0)]],
    ['a short hash', ['kernels', 0, 'hash'], 'abc'],
    ['code as text', ['kernels', 0, 'code'], 'AGFzbQ'],
    ['a temporary without a place', ['arenaBytes'], 1000],
  ])('refuses %s', (_, path, value) => {
    expect(isInvalid(withPart(path, value))).toBe(true);
  });

  it('accepts strides that run backwards, and numbers above an int32, which binding refuses', () => {
    for (const size of [-1, -(2 ** 31), 2 ** 31 - 1, 2 ** 31])
      expect(isInvalid(withPart(['kernels', 0, 'sizes'], [size]))).toBe(false);
    for (const size of [-(2 ** 31) - 1, 2 ** 53, 0.5, Number.NaN])
      expect(isInvalid(withPart(['kernels', 0, 'sizes'], [size]))).toBe(true);
  });

  it('refuses temporaries behind the end of the arena', () => {
    const planned = { ...whole, arenaBytes: 100, temporaries: [{ bytes: 64, offset: 64, first: 0, last: 1 }] };
    expect(isInvalid(planned)).toBe(true);
    expect(isInvalid({ ...planned, arenaBytes: 128 })).toBe(false);
  });

  it('accepts distances that are negative, where a kernel walks backwards', () => {
    expect(isInvalid(withPart(['kernels', 0, 'sizes', 0], -99))).toBe(false);
  });

  it('never throws anything but invalid_program', () => {
    const paths = pathsOf(whole);
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.anything(), (path, value) => {
        expect(typeof isInvalid(withPart(path, value))).toBe('boolean');
      }),
      { numRuns: runs },
    );
  });
});

describe('sizes', () => {
  it('are evaluated with the values of their symbols', () => {
    const bindings = new Map([
      ['B', 7],
      ['T', 3],
    ]);
    expect(evaluateSize(5, bindings)).toBe(5);
    expect(evaluateSize('2*B*T+1', bindings)).toBe(43);
    expect(evaluateSize('floordiv(B+3,4)', bindings)).toBe(2);
    expect(() => evaluateSize('T-B', bindings)).toThrow(/invalid_size.*T.*-4 for B=7, T=3/);
    expect(() => evaluateSize('X', bindings)).toThrow(/invalid_program.*'X'/);
  });

  it('of symbols are read off the shapes of the inputs', () => {
    const program = additionProgram('2*B', { symbols: [{ name: 'B', min: 1, max: 100 }] });
    expect(bindSymbols(program, [[8], [8]])).toEqual(new Map([['B', 4]]));
    expect(() => bindSymbols(program, [[8], [6]])).toThrow(/shape_mismatch/);
    expect(() => bindSymbols(program, [[8], [8, 1]])).toThrow(/shape_mismatch.*input 1/);
    expect(() => bindSymbols(program, [[8]])).toThrow(/shape_mismatch.*input 1[\s\S]*nothing/);
    const unknown = additionProgram(2, { symbols: [{ name: 'B', min: 1, max: 100 }] });
    expect(() => bindSymbols(unknown, [[2], [2]])).toThrow(/invalid_program.*B/);
  });
});
