/**
 * The side-by-side benchmark without its rivals: references, the comparer, targets, tables and the chart from made-up
 * figures, the ONNX writer, and a run that meets a wrong result.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { peerChart } from '../../bench/peers/chart.ts';
import { assertAgree, assertRight, WrongResult } from '../../bench/peers/compare.ts';
import { evaluate, variablesOf } from '../../bench/peers/expression.ts';
import { mergeFigures, type PeerFigures } from '../../bench/peers/figures.ts';
import { peersResult } from '../../bench/peers/index.ts';
import { onnxModel } from '../../bench/peers/onnx.ts';
import { onnxGraphOf } from '../../bench/peers/onnx-graphs.ts';
import { referenceOf } from '../../bench/peers/reference.ts';
import { type Row, rows } from '../../bench/peers/rows.ts';
import type { Figures } from '../../bench/peers/schedule.ts';
import { verdictsOf } from '../../bench/peers/targets.ts';
import { inputsOf, outputSize, paddingOf } from '../../bench/peers/work.ts';
import { terminalText } from '../../bench/report.ts';

const rowOf = (name: string): Row => rows.find((row) => row.name === name)!;

describe('rows', () => {
  test('have names of their own, and rounds that are measured with them', () => {
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
    for (const row of rows) if (row.round) expect(rowOf(row.round).unit).toBe(row.unit);
  });

  test('inputs are the same in every run, and differ between operands', () => {
    const work = { kind: 'matmul', m: 4, k: 4, n: 4 } as const;
    expect(inputsOf(work)).toEqual(inputsOf(work));
    expect(inputsOf(work)[0].data).not.toEqual(inputsOf(work)[1].data);
  });

  test('padding is that of SAME_UPPER', () => {
    const stem = { channels: 3, image: 224, filters: 64, kernel: 7, stride: 2, groups: 1 };
    const same = { kind: 'convolution', ...stem, padding: 'same' } as const;
    expect([outputSize(same), paddingOf(same)]).toEqual([112, [2, 3]]);
    expect(outputSize({ ...same, padding: 'valid' })).toBe(109);
  });

  test('expressions', () => {
    expect(evaluate(['relu', ['mul', ['tanh', ['add', ['mul', 2, 'x'], 1]], 'x']], 0.5, 0)).toBe(Math.tanh(2) * 0.5);
    expect(variablesOf(['add', 'y', ['exp', 'x']])).toEqual(['x', 'y']);
    expect(variablesOf(['exp', 1])).toEqual([]);
  });
});

describe('comparing', () => {
  const candidate = (values: readonly number[]) => ({ name: 'somebody', outputs: [values] });
  const reference = { at: [0, 2], values: [1, -4] };

  test('takes what is within the tolerance of the largest magnitude', () => {
    expect(() => assertRight('row', candidate([1.003, 99, -4]), reference, 1e-3)).not.toThrow();
    expect(() => assertAgree('row', candidate([1, Number.NaN]), candidate([1, Number.NaN]), 0)).not.toThrow();
  });

  test.each([
    [[1.005, 0, -4], /element 0 is 1.005, in double precision 1/],
    [[Number.NaN, 0, -4], /element 0 is NaN/],
    [[1, 0], /element 2 is undefined/],
  ])('refuses %j', (values, message) => {
    expect(() => assertRight('row', candidate(values), reference, 1e-3)).toThrow(WrongResult);
    expect(() => assertRight('row', candidate(values), reference, 1e-3)).toThrow(message);
  });

  test('refuses results that differ between runtimes, in number, in length or by one bit where none is allowed', () => {
    const first = candidate([1, 2]);
    expect(() => assertAgree('row', { name: 'x', outputs: [] }, first, 1)).toThrow(/0 results, somebody 1/);
    expect(() => assertAgree('row', candidate([1]), first, 1)).toThrow(/1 elements, that of somebody 2/);
    expect(() => assertAgree('row', candidate([1, 2 + 2 ** -51]), first, 0)).toThrow(WrongResult);
  });

  test('references are what the definitions say', () => {
    const work = { kind: 'crossEntropy', rows: 3, size: 2 } as const;
    const inputs = [
      { name: 'x', shape: [3, 2], dtype: 'float32', data: Float32Array.of(0, 0, 1, 1, 0, Math.log(3)) },
      { name: 'labels', shape: [3], dtype: 'int32', data: Int32Array.of(0, 1, 1) },
    ] as const;
    const { at, values } = referenceOf(work, inputs)!;
    expect(Array.from(at)).toEqual([0, 1, 2]);
    expect(values[0]).toBeCloseTo(Math.LN2, 12);
    expect(values[2]).toBeCloseTo(Math.log(4 / 3), 6);
  });
});

test('ONNX models are what the format says', () => {
  const model = onnxModel({
    nodes: [{ type: 'Neg', inputs: ['x'], outputs: ['y'], attributes: { axis: 1, eps: { float: 1 }, pads: [0, 300] } }],
    inputs: [{ name: 'x', shape: [2] }],
    outputs: [{ name: 'y', shape: [2], dtype: 'int32' }],
    initializers: [{ name: 'w', shape: [1], data: BigInt64Array.of(-1n) }],
  });
  expect(Buffer.from(model).toString('hex')).toMatchInlineSnapshot(
    `"08093a750a370a017812017922034e65672a0b0a04617869731801a001022a0d0a03657073150000803fa001012a0e0a0470616473400040ac02a00107120562656e63682a11080110074201774a08ffffffffffffffff5a0f0a0178120a0a08080112040a020802620f0a0179120a0a08080612040a02080242021014"`,
  );
  const { graph, given } = onnxGraphOf(rowOf('layerNorm 1024x1024').work, inputsOf(rowOf('layerNorm 1024x1024').work))!;
  expect(graph.nodes.map(({ type }) => type)).toEqual(['LayerNormalization']);
  expect(given.map(({ name }) => name)).toEqual(['x']);
});

const figure = (row: string, who: Partial<Figures>, p50: number): Figures => ({
  row,
  peer: 'kiln',
  threads: 1,
  mode: '',
  mean: p50,
  p25: p50,
  p50,
  p75: p50,
  p95: p50,
  best: p50,
  rounds: 5,
  compileMs: 1,
  ...who,
});
const fast = { peer: 'kiln', mode: 'fast', simd: 'plain' } as const;
const figures: readonly Figures[] = [
  figure('register tile', fast, 2),
  figure('plain copy, 16 MiB', fast, 1),
  figure('plain copy, 16 MiB', { ...fast, threads: 2 }, 0.8),
  figure('matmul 512', fast, 5),
  figure('matmul 512', { ...fast, threads: 2 }, 2.5),
  figure('matmul 512', { peer: 'onnxruntime-web' }, 10),
  figure('matmul 512', { peer: 'jax-js' }, 6),
  figure('relu(tanh(2x+1)*x), 4M', fast, 1.5),
  figure('relu(tanh(2x+1)*x), 4M', { ...fast, threads: 2 }, 1.4),
  figure('tiny call', fast, 0.002),
];

/** Golden text: `UPDATE=1` writes it anew. */
function expectFile(name: string, text: string): void {
  const file = new URL(name, import.meta.url);
  if (process.env.UPDATE === '1') writeFileSync(file, text);
  expect(text).toBe(readFileSync(file, 'utf8'));
}

describe('figures', () => {
  const all: PeerFigures = { machine: 'a machine', versions: { tfjs: 'tfjs 4' }, figures, blanks: [] };

  test('the chart', () => {
    expectFile('peers-chart.svg', peerChart(all));
    expect(peerChart({ ...all, figures: [...figures].reverse() })).toBe(peerChart(all));
  });

  test('the tables', () => {
    expectFile('peers-tables.txt', terminalText(peersResult(all)));
  });

  test('targets', () => {
    const text = verdictsOf(figures).map(
      (v) => `${v.row}, ${v.threads}, ${v.against}: ${v.figure.toFixed(2)} of ${v.target} ${v.met}`,
    );
    expect(text).toEqual([
      'matmul 512, 1, onnxruntime-web: 2.00 of 1.2 true',
      'matmul 512, 1, jax-js: 1.20 of 1.5 false',
      'matmul 512, 2, onnxruntime-web: 4.00 of 1.2 true',
      'matmul 512, 2, jax-js: 2.40 of 1.5 true',
      'matmul 512, 1, register tile: 0.80 of 0.85 false',
      'matmul 512, 2, 1 thread: 2.00 of 1.7 true',
      'relu(tanh(2x+1)*x), 4M, 2, 1 thread, a plain copy 1.25x: 1.07 of 1.125 false',
      'tiny call, 1, a call: 2.00 of 5 true',
    ]);
  });

  test('of a part of the rows replace theirs and leave the others', () => {
    const all = (list: readonly Figures[], machine = 'm'): PeerFigures => ({
      machine,
      versions: {},
      figures: list,
      blanks: [],
    });
    const order = rows.map(({ name }) => name);
    const fresh = all([figure('matmul 512', fast, 4)]);
    const merged = mergeFigures(all(figures), fresh, order).figures;
    expect(merged).toHaveLength(figures.length);
    expect(merged.find((f) => f.row === 'matmul 512' && f.peer === 'kiln' && f.threads === 1)?.p50).toBe(4);
    expect(mergeFigures(all(figures, 'another'), fresh, order).figures).toEqual(fresh.figures);
  });
});
