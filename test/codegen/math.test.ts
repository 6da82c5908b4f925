/**
 * The vector math functions against double precision: special values, every binade, seeded samples. The bounds are
 * those of docs/accuracy.md, where `bench/math.ts --exhaustive` measured all 2^32 arguments.
 */
import { readFileSync } from 'node:fs';
import binaryen from 'binaryen';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createMemory, instantiate } from '../../bench/instantiate.ts';
import {
  type BinaryName,
  binaryReferences,
  erf,
  type UnaryName,
  ulpError,
  unaryReferences,
} from '../../bench/math-reference.ts';
import { binaryMath, fastVectorMath, unaryMath, vectorMath } from '../../codegen/wasm/math/index.ts';
import { buildMap } from '../../codegen/wasm/math/map.ts';
import { isFullRun, runs } from '../support/runs.ts';
import { fastUlpBounds, ulpBounds } from '../support/tolerance.ts';

/** How the functions are built: for `strict`, and for `fast` on an engine without and with fused multiply-add. */
const ways = {
  strict: { functions: vectorMath, isFused: false, bounds: ulpBounds },
  fast: { functions: fastVectorMath, isFused: false, bounds: fastUlpBounds },
  fused: { functions: fastVectorMath, isFused: true, bounds: fastUlpBounds },
} as const;
type Way = keyof typeof ways;
const wayNames = Object.keys(ways) as Way[];

const unaryNames = Object.keys(unaryReferences) as UnaryName[];
const binaryNames = Object.keys(binaryReferences) as BinaryName[];

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const smallest = 2 ** -149;
const largest = (2 - 2 ** -23) * 2 ** 127;

/** A function on arrays of any length; the map runs on whole vectors. */
type OnArrays = (x: readonly number[] | Float32Array, y?: readonly number[] | Float32Array) => Float32Array;
const compiled = new Map<string, OnArrays>();

function run(way: Way, name: keyof typeof vectorMath, x: readonly number[] | Float32Array, y = x): Float32Array {
  return compiled.get(`${way} ${name}`)!(x, y);
}

beforeAll(() => {
  const memory = createMemory(64);
  const third = 1 << 20;
  const all = wayNames.flatMap((way) => Object.entries(ways[way].functions).map(([name, f]) => ({ way, name, f })));
  for (const { way, name, f } of all) {
    const { map } = instantiate(buildMap(binaryen, f, ways[way]), memory);
    compiled.set(`${way} ${name}`, (x, y = x) => {
      new Float32Array(memory.buffer, 0, x.length).set(x);
      new Float32Array(memory.buffer, third, x.length).set(y);
      map(0, third, 2 * third, Math.ceil(x.length / 4) * 16);
      return new Float32Array(memory.buffer, 2 * third, x.length).slice();
    });
  }
});

/** The lowest, highest and some middle numbers of every binade, and what is special. */
function everyBinade(): Float32Array {
  const significands = [0, 1, 0x3504f3, 0x3504f4, 0x400000, 0x490fdb, 0x7fffff];
  const bits: number[] = [];
  for (let exponent = 0; exponent < 256; exponent++) {
    for (const significand of significands) bits.push((exponent << 23) | significand);
  }
  const magnitudes = new Float32Array(new Uint32Array(bits).buffer);
  return Float32Array.from([...magnitudes, ...magnitudes.map((x) => -x)]);
}

/** The largest error and its argument, for a message that says where. */
function worstOf(
  way: Way,
  name: UnaryName | BinaryName,
  x: Float32Array,
  y: Float32Array = x,
): { error: number; at: string } {
  const result = run(way, name, x, y);
  const reference: (x: number, y: number) => number = { ...unaryReferences, ...binaryReferences }[name];
  let worst = { error: 0, at: '' };
  for (let i = 0; i < x.length; i++) {
    const exact = reference(x[i], y[i]);
    const error = ulpError(result[i], exact);
    if (error > worst.error) worst = { error, at: `${name}(${x[i]}, ${y[i]}) = ${result[i]}, not ${exact}` };
  }
  return worst;
}

function expectWithinBound(name: UnaryName | BinaryName, x: Float32Array, y?: Float32Array): void {
  for (const way of wayNames) {
    const worst = worstOf(way, name, x, y);
    expect(worst.error, `${way}: ${worst.at}`).toBeLessThanOrEqual(ways[way].bounds[name]);
  }
}

describe.each(unaryNames)('%s', (name) => {
  it('keeps its bound in every binade, at the special values too', () => {
    expectWithinBound(name, everyBinade());
  });

  it('keeps its bound on an even sample of all bit patterns', () => {
    const stride = isFullRun ? 401 : 4001;
    const count = Math.floor(2 ** 32 / stride);
    for (let start = 0; start < count; start += 1 << 16) {
      const bits = Uint32Array.from({ length: Math.min(1 << 16, count - start) }, (_, i) => (start + i) * stride);
      expectWithinBound(name, new Float32Array(bits.buffer));
    }
  });

  it('keeps its bound on ordinary numbers', () => {
    const property = fc.property(fc.float32Array({ min: -20, max: 20, minLength: 1, maxLength: 4096 }), (x) => {
      expectWithinBound(name, x);
    });
    fc.assert(property, runs(20));
  });
});

describe('special values', () => {
  const tables: { readonly [K in UnaryName]?: readonly (readonly [x: number, y: number])[] } = {
    cosine: [
      [0, 1],
      [-0, 1],
      [inf, nan],
      [-inf, nan],
      [smallest, 1],
    ],
    erf: [
      [0, 0],
      [-0, -0],
      [inf, 1],
      [-inf, -1],
      [4, 1],
      [-largest, -1],
    ],
    exponential: [
      [0, 1],
      [-0, 1],
      [inf, inf],
      [-inf, 0],
      [88.73, inf],
      [-103, smallest],
      [-104, 0],
      [1e30, inf],
    ],
    exponential_minus_one: [
      [0, 0],
      [-0, -0],
      [inf, inf],
      [-inf, -1],
      [smallest, smallest],
      [-smallest, -smallest],
    ],
    log: [
      [1, 0],
      [0, -inf],
      [-0, -inf],
      [-1, nan],
      [-smallest, nan],
      [inf, inf],
      [-inf, nan],
    ],
    log_plus_one: [
      [0, 0],
      [-0, -0],
      [-1, -inf],
      [-1.5, nan],
      [inf, inf],
      [-inf, nan],
      [smallest, smallest],
    ],
    rsqrt: [
      [0, inf],
      [-0, -inf],
      [-1, nan],
      [inf, 0],
      [4, 0.5],
      [2 ** -126, 2 ** 63],
    ],
    sign: [
      [0, 0],
      [-0, -0],
      [inf, 1],
      [-inf, -1],
      [smallest, 1],
      [-3, -1],
    ],
    sine: [
      [0, 0],
      [-0, -0],
      [inf, nan],
      [-inf, nan],
      [smallest, smallest],
      [-smallest, -smallest],
    ],
    tanh: [
      [0, 0],
      [-0, -0],
      [inf, 1],
      [-inf, -1],
      [smallest, smallest],
      [-smallest, -smallest],
      [largest, 1],
    ],
  };

  it.each(Object.entries(tables))('%s', (name, table) => {
    const rows = [...table, [nan, nan] as const];
    for (const way of wayNames) {
      const results = run(
        way,
        name as UnaryName,
        rows.map(([x]) => x),
      );
      expect([...results], way).toEqual(rows.map(([, y]) => Math.fround(y)));
    }
  });

  it('is_finite is a mask', () => {
    const mask = run('strict', 'is_finite', [0, -0, 1, -largest, smallest, inf, -inf, nan]);
    expect([...new Int32Array(mask.buffer)]).toEqual([-1, -1, -1, -1, -1, 0, 0, 0]);
  });
});

const interesting = [
  ...[0, smallest, 2 ** -127, 2 ** -126, 1e-30, 0.25, 0.5, 1 - 2 ** -24, 1, 1 + 2 ** -23, 1.5, 2, 3, 7, 2 ** 23 + 1],
  ...[2 ** 24 - 1, 2 ** 24, 1e10, 1e30, largest, inf],
].flatMap((x) => [x, -x]);

describe.each(binaryNames)('%s of two operands', (name) => {
  it('agrees on all pairs of special and interesting numbers', () => {
    const numbers = [...interesting, nan];
    const x = Float32Array.from(numbers.flatMap((a) => numbers.map(() => a)));
    const y = Float32Array.from(numbers.flatMap(() => numbers));
    expectWithinBound(name, x, y);
  });

  it('keeps its bound on pairs of any bits, of ordinary numbers and of integers', () => {
    const anyBits = fc.integer().map((bits) => new Float32Array(new Int32Array([bits]).buffer)[0]);
    const ordinary = fc.float({ min: -20, max: 20 });
    const number = fc.oneof(anyBits, ordinary, fc.integer({ min: -40, max: 40 }), fc.constantFrom(...interesting));
    const pairs = fc.array(fc.tuple(number, number), { minLength: 1, maxLength: 2000 });
    const property = fc.property(pairs, (given) => {
      expectWithinBound(
        name,
        Float32Array.from(given, ([x]) => x),
        Float32Array.from(given, ([, y]) => y),
      );
    });
    fc.assert(property, runs(60));
  });
});

describe('power', () => {
  it('keeps its bound where results span all sizes', () => {
    const pair = fc.tuple(
      fc.double({ min: -125, max: 125, noNaN: true }),
      fc.double({ min: -150, max: 150, noNaN: true }),
    );
    const property = fc.property(fc.array(pair, { minLength: 1, maxLength: 2000 }), (given) => {
      const x = Float32Array.from(given, ([logarithm]) => 2 ** logarithm);
      const y = Float32Array.from(given, ([logarithm, target]) => target / logarithm);
      expectWithinBound('power', x, y);
    });
    fc.assert(property, runs(60));
  });
});

describe('lanes', () => {
  it('do not influence each other: a rare path in one changes no bit of the others', () => {
    const number = fc.oneof(
      fc.float({ min: -100, max: 100 }),
      fc.integer().map((bits) => new Float32Array(new Int32Array([bits]).buffer)[0]),
    );
    const lane = fc.tuple(number, number);
    const property = fc.property(fc.tuple(lane, lane, lane, lane), (lanes) => {
      const names = Object.keys(vectorMath) as (keyof typeof vectorMath)[];
      for (const [way, name] of wayNames.flatMap((way) => names.map((name) => [way, name] as const))) {
        const together = run(
          way,
          name,
          lanes.map(([x]) => x),
          lanes.map(([, y]) => y),
        );
        const alone = lanes.map(([x, y]) => run(way, name, [x, x, x, x], [y, y, y, y])[0]);
        expect(together, `${way} ${name}`).toEqual(Float32Array.from(alone));
      }
    });
    fc.assert(property, runs(300));
  });
});

describe('the references', () => {
  it('erf agrees with values of mpmath (1.4, at 30 digits)', () => {
    const table = [
      [1e-5, 1.1283791670579e-5],
      [0.1, 0.1124629160182849],
      [0.5, 0.5204998778130465],
      [1, 0.8427007929497149],
      [1.75, 0.9866716712191824],
      [2.4999, 0.9995928300996666],
      [2.5, 0.999593047982555],
      [3.75, 0.9999998862727434],
    ];
    for (const [x, expected] of table) {
      expect(Math.abs(erf(x) / expected - 1)).toBeLessThan(1e-15);
      expect(erf(-x)).toBe(-erf(x));
    }
  });

  it('an error in ULP counts neighbours, signs of zero, NaN and overflow', () => {
    expect(ulpError(1 + 2 ** -23, 1)).toBe(1);
    expect(ulpError(1 - 2 ** -24, 1)).toBe(0.5);
    expect(ulpError(smallest, 0)).toBe(1);
    expect(ulpError(-0, 0)).toBe(inf);
    expect(ulpError(1, nan)).toBe(inf);
    expect(ulpError(nan, nan)).toBe(0);
    expect(ulpError(inf, 1e300)).toBe(0);
    expect(ulpError(inf, largest)).toBe(1);
  });

  it('a bound that is too tight fails: the measurement sees errors', () => {
    expect(worstOf('strict', 'tanh', everyBinade()).error).toBeGreaterThan(0.5);
  });
});

describe('docs/accuracy.md', () => {
  it('states errors within the bounds of these tests, for every function in every way', () => {
    const text = readFileSync(new URL('../../docs/accuracy.md', import.meta.url), 'utf8');
    for (const name of [...unaryNames, ...binaryNames]) {
      const row = new RegExp(`^\\| \`${name}\` \\|(.*)\\|$`, 'm').exec(text);
      expect(row, name).not.toBeNull();
      const cells = row![1].split('|').map((cell) => cell.trim());
      wayNames.forEach((way, i) => {
        const stated = cells[i] === 'exact' ? 0 : Number(cells[i]);
        expect(stated, `${name}, ${way}`).toBeLessThanOrEqual(ways[way].bounds[name]);
      });
    }
    expect(Object.keys({ ...unaryMath, ...binaryMath }).sort()).toEqual(
      [...unaryNames, ...binaryNames, 'is_finite'].sort(),
    );
  });
});
