/** `kilnjs/bench`: figures that make sense, results compared before they are timed, bad counts refused. */
import { describe, expect, test } from 'vitest';
import { benchmark, summarize } from '../../bench/index.ts';
import { benchmarkTable, formatBytes, formatCount, formatMs } from '../../bench/table.ts';
import { memory, ones, type Tensor } from '../../index.ts';

const layer = (x: Tensor, w: Tensor) => x.matmul(w).tanh();

describe('benchmark', () => {
  test('gives a row for each mode, the batch from the last tensor, and leaves no tensor behind', async () => {
    const args: [Tensor, Tensor] = [ones([32, 16]), ones([16, 8])];
    const before = memory().tensors;
    const progress: number[] = [];
    const report = await benchmark(layer, args, {
      warmup: 2,
      iterations: 5,
      onProgress: (done) => progress.push(done),
    });
    expect(report.name).toBe('layer');
    expect(report.rows.map((row) => row.mode)).toEqual(['eager', 'compiled']);
    for (const row of report.rows) {
      expect(row.batchSize).toBe(16);
      expect(row.mean).toBeGreaterThan(0);
      expect(row.p50).toBeLessThanOrEqual(row.p95);
      expect(row.throughput).toBeCloseTo((row.batchSize * 1000) / row.mean, 6);
      // Arguments and result at the least: (32 * 16 + 16 * 8 + 32 * 8) * 4 bytes.
      expect(row.peakBytes).toBeGreaterThanOrEqual(3584);
      expect(row.compileMs).toBeGreaterThanOrEqual(0);
    }
    expect(report.speedup).toBeCloseTo(report.rows[0].mean / report.rows[1].mean, 12);
    expect(progress).toEqual(Array.from({ length: 14 }, (_, i) => i + 1));
    expect(memory().tensors).toBe(before);
    expect(String(report)).toContain('compiled is');
  });

  test('refuses to time a function whose modes disagree', async () => {
    let calls = 0;
    const drifting = (x: Tensor) => x.mul(++calls);
    await expect(benchmark(drifting, [ones([4])], { warmup: 1, iterations: 1 })).rejects.toThrow(
      /\[invalid_argument\] benchmark: eager and compiled drifting disagree[\s\S]*output 0, element 0/,
    );
  });

  test.each([0, -1, 1.5, Number.NaN])('refuses %s iterations', async (iterations) => {
    await expect(benchmark(layer, [ones([2, 2]), ones([2, 2])], { iterations })).rejects.toMatchObject({
      code: 'invalid_argument',
      given: String(iterations),
    });
  });
});

describe('figures', () => {
  test('percentiles are nearest ranks', () => {
    const times = Array.from({ length: 20 }, (_, i) => 20 - i);
    expect(summarize(times)).toEqual({ mean: 10.5, p50: 10, p95: 19 });
    expect(summarize([3])).toEqual({ mean: 3, p50: 3, p95: 3 });
  });

  test('read well', () => {
    expect([0.0123, 12.34, 1234].map(formatMs)).toEqual(['12.3 µs', '12.3 ms', '1.23 s']);
    expect([0, 512, 1536, 5 * 2 ** 20, 2 ** 40].map(formatBytes)).toEqual([
      '0 B',
      '512 B',
      '1.50 KiB',
      '5.00 MiB',
      '1024 GiB',
    ]);
    expect([7, 1234567].map(formatCount)).toEqual(['7', '1,234,567']);
  });

  test('the table says when compiling pays', () => {
    const row = { batchSize: 1, mean: 2, p50: 2, p95: 3, throughput: 500, peakBytes: 1024, compileMs: 10 };
    const rows = [
      { ...row, mode: 'eager' },
      { ...row, mode: 'compiled', mean: 1 },
    ] as const;
    const text = (breakEvenCalls: number): string => benchmarkTable({ name: 'f', rows, speedup: 2, breakEvenCalls });
    expect(text(1)).toContain('paid for itself after 1 call');
    expect(text(0)).toContain('with the first call');
    expect(text(Number.POSITIVE_INFINITY)).toContain('does not pay for itself');
  });
});
