/**
 * Float functions in WGSL against double precision: special values, seeded bits and ordinary numbers, on one value and
 * on four, in both precisions. The bounds are `wgslUlp`; docs/accuracy.md has what was measured.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { binaryReferences, ulpError, unaryReferences } from '../../../bench/math-reference.ts';
import { codeOf, mapWgsl, type Way } from '../../../bench/wgsl-map.ts';
import type { ScalarOpcode } from '../../../ir/kernel.ts';
import { scalarFunction } from '../../../ir/ops/scalar.ts';
import { isFullRun } from '../../support/runs.ts';
import { wgslUlpAt } from '../../support/tolerance.ts';
import { rawDevice } from '../../support/webgpu-device.ts';
import { isCloseTo, sampleColumns, toBits } from '../../support/wgsl-samples.ts';

const float = 'float32';

const ways = (['fast', 'strict'] as const).flatMap((precision) =>
  ([1, 4] as const).map((lanes): Way => ({ precision, lanes })),
);

const unary = [
  ...(['sqrt', 'rsqrt', 'exponential', 'exponential_minus_one', 'log', 'log_plus_one', 'sine', 'cosine'] as const),
  ...(['tanh', 'erf'] as const),
];
const binary = ['add', 'subtract', 'multiply', 'divide', 'power', 'atan2', 'remainder'] as const;
type FloatOpcode = (typeof unary)[number] | (typeof binary)[number];

const countOf = (opcode: FloatOpcode): number => (binary.some((one) => one === opcode) ? 2 : 1);

/** The strict exponential is Kiln's own. */
const boundOf =
  (opcode: ScalarOpcode, { precision }: Way) =>
  (exact: number): number =>
    opcode === 'exponential' && precision === 'strict' ? 1 : wgslUlpAt(opcode, exact);

async function run(opcode: FloatOpcode, way: Way, columns: readonly (readonly number[])[]): Promise<Float32Array> {
  const code = codeOf({ opcode, dtype: float, from: float }, countOf(opcode));
  const words = columns.map((column) => Uint32Array.from(column, (x) => toBits(float, x)));
  return new Float32Array((await mapWgsl(await rawDevice(), code, way, words)).buffer);
}

/** WGSL bounds the error of a quotient for divisors between 2^-126 and 2^126 alone. */
const isBounded = (opcode: FloatOpcode, operands: readonly number[]): boolean =>
  opcode !== 'divide' || Math.abs(operands[1]) <= 2 ** 126;

/** The results that are too far off, in words. */
async function faults(opcode: FloatOpcode, way: Way, columns: readonly (readonly number[])[]): Promise<string[]> {
  const f = scalarFunction(opcode, float) as (...operands: number[]) => number;
  const results = await run(opcode, way, columns);
  const found: string[] = [];
  results.forEach((result, i) => {
    const operands = columns.map((column) => column[i]);
    if (!isBounded(opcode, operands) || isCloseTo(result, f, operands, boundOf(opcode, way))) return;
    found.push(`${opcode}(${operands.join(', ')}) = ${result}, not ${f(...operands)}`);
  });
  return found.slice(0, 10);
}

describe.each(ways)('$precision, $lanes lanes', (way) => {
  it.each([...unary, ...binary])('%s', async (opcode) => {
    const columns = sampleColumns(Array(countOf(opcode)).fill(float), isFullRun ? 1 << 20 : 1 << 14);
    expect(await faults(opcode, way, columns)).toEqual([]);
  });

  it('powers keep their bound where results span all sizes', async () => {
    const logarithms = Array.from({ length: 1 << 12 }, (_, i) => ((i % 509) / 509) * 250 - 125);
    const bases = logarithms.map((logarithm) => Math.fround(2 ** logarithm));
    const targets = logarithms.map((_, i) => ((i % 1021) / 1021) * 300 - 150);
    const exponents = bases.map((base, i) => Math.fround(targets[i] / Math.log2(base)));
    expect(await faults('power', way, [bases, exponents])).toEqual([]);
  });

  it('powers keep their bound for integers', async () => {
    const numbers = Array.from({ length: 41 }, (_, i) => i - 20);
    const pairs = numbers.flatMap((x) => numbers.map((y) => [x, y])).slice(0, 1680);
    expect(
      await faults(
        'power',
        way,
        [0, 1].map((at) => pairs.map((pair) => pair[at])),
      ),
    ).toEqual([]);
  });

  it('sines and cosines keep their bound near multiples of a quarter turn, small and large', async () => {
    const near = Array.from({ length: 1 << 12 }, (_, i) => Math.fround((i - 2048) * (Math.PI / 2)));
    const far = Array.from({ length: 1 << 10 }, (_, i) => Math.fround((i + 1) ** 12 * (Math.PI / 2)));
    // The float32 whose distance to a multiple of pi/2 is least.
    const closest = [16367173 * 2 ** 72, -16367173 * 2 ** 72, 16367173 * 2 ** 71, 8192];
    const angles = [...near, ...far, ...closest];
    expect(await faults('sine', way, [angles])).toEqual([]);
    expect(await faults('cosine', way, [angles])).toEqual([]);
  });
});

describe('lanes', () => {
  it.each([...unary, ...binary])('%s gives a value the same bits wherever it stands', async (opcode) => {
    const columns = sampleColumns(Array(countOf(opcode)).fill(float), 1 << 10);
    for (const precision of ['fast', 'strict'] as const) {
      const [one, four] = await Promise.all(
        ([1, 4] as const).map((lanes) => run(opcode, { precision, lanes }, columns)),
      );
      const differing = [...one].filter((x, i) => !Object.is(x, four[i]));
      expect(differing).toEqual([]);
    }
  });
});

describe('docs/accuracy.md', () => {
  it('states errors of WebGPU within the bounds, for every function', () => {
    const page = readFileSync(new URL('../../../docs/accuracy.md', import.meta.url), 'utf8');
    const section = page.slice(page.indexOf('## WebGPU'));
    for (const opcode of Object.keys({ ...unaryReferences, ...binaryReferences }) as ScalarOpcode[]) {
      const row = new RegExp(`^\\| \`${opcode}\` \\|(.*)\\|$`, 'm').exec(section);
      expect(row, opcode).not.toBeNull();
      const [strict, fast] = row![1].split('|').map((cell) => (cell.trim() === 'exact' ? 0 : Number(cell)));
      // The argument of an exponential is at most 104.
      const room = opcode === 'exponential' ? 2 * 104 : 0;
      expect(strict, opcode).toBeLessThanOrEqual(boundOf(opcode, { precision: 'strict', lanes: 4 })(1));
      expect(fast, opcode).toBeLessThanOrEqual(boundOf(opcode, { precision: 'fast', lanes: 4 })(1) + room);
    }
  });
});

describe('the bounds', () => {
  it('are of use: results that are half as close fail', async () => {
    const [x] = sampleColumns([float], 1 << 12);
    const results = await run('tanh', { precision: 'fast', lanes: 1 }, [x]);
    const worst = Math.max(...x.map((at, i) => (Math.abs(at) < 2 ** -126 ? 0 : ulpError(results[i], Math.tanh(at)))));
    expect(worst).toBeGreaterThan(0.5);
    expect(isCloseTo(1, Math.tanh, [0.5], () => 5)).toBe(false);
    expect(isCloseTo(0, Math.tanh, [2 ** -130], () => 0)).toBe(true);
    expect(isCloseTo(0, Math.tanh, [2 ** -125], () => 0)).toBe(false);
    expect(
      isCloseTo(
        -0,
        (a) => a,
        [0],
        () => 0,
      ),
    ).toBe(false);
  });
});
