/** Control cases: what the end-to-end tests compare with would notice a fault. */
import { expect, test } from 'vitest';
import { evaluateModule } from '../../ir/evaluate.ts';
import { elementCount, literal } from '../../ir/literal.ts';
import { mainOf } from '../../ir/types.ts';
import { bitDifference } from '../support/device-run.ts';
import { distantFrom } from '../support/every-way.ts';
import { array } from '../support/ir.ts';
import { randomModule } from '../support/random-graph.ts';
import { shrink } from '../support/shrink.ts';
import { accumulationFault } from '../support/tolerance.ts';

test('bit differences: zeros of other signs, NaN, types', () => {
  const x = array('f32', [0, Number.NaN, 1]);
  expect(bitDifference([x], [array('f32', [0, Number.NaN, 1])])).toBeUndefined();
  expect(bitDifference([x], [array('f32', [-0, Number.NaN, 1])])).toMatch(/element 0 is 0 instead of 0/);
  expect(bitDifference([x], [array('f32', [0, 2, 1])])).toMatch(/element 1/);
  expect(bitDifference([x], [array('i32', [0, 0, 1])])).toMatch(/float32\[3\] instead of int32\[3\]/);
  expect(bitDifference([x], [])).toMatch(/1 results instead of 0/);
});

test('sums: an element left out or counted twice is beyond the bound, roundings are not', () => {
  const terms = Array.from({ length: 1000 }, (_, i) => Math.fround(Math.sin(i)));
  const [sum, size] = [terms.reduce((a, b) => a + b), terms.reduce((a, b) => a + Math.abs(b), 0)];
  const rounded = terms.reduce((a, b) => Math.fround(a + b));
  const faultOf = (value: number) =>
    accumulationFault(array('f32', [value]), array('f32', [sum]), array('f32', [1000]), array('f32', [size]));
  expect(faultOf(rounded)).toBeUndefined();
  for (const term of terms.filter((t) => Math.abs(t) > 0.1)) {
    expect(faultOf(rounded - term)).toBeDefined();
    expect(faultOf(rounded + term)).toBeDefined();
  }
  expect(faultOf(Number.NaN)).toBeDefined();
});

test('the distance from the reference: one wrong element is noticed', () => {
  for (let seed = 0; seed < 20; seed++) {
    const { module, inputs } = randomModule(seed, { smooth: true });
    const right = evaluateModule(module, inputs, { mode: 'rounded' });
    expect(distantFrom(right, module, inputs)).toBeUndefined();
    const [first, ...others] = right;
    if (first.dtype !== 'float32' || elementCount(first.shape) === 0) continue;
    const greatest = Math.max(1, ...Array.from(first.data, Math.abs));
    const wrong = Array.from(first.data, (x, i) => (i === 0 ? x + greatest / 100 : x));
    expect(distantFrom([literal('float32', first.shape, wrong), ...others], module, inputs)).toMatch(/element 0/);
  }
});

test('a failing module shrinks to the op that fails', async () => {
  let found = 0;
  for (let seed = 0; seed < 40; seed++) {
    const whole = randomModule(seed, { ops: 16 });
    const has = ({ module }: { module: typeof whole.module }): boolean =>
      mainOf(module).graph.ops.some(({ opcode }) => opcode === 'dot_general');
    const { ops, results } = mainOf(whole.module).graph;
    const live = new Set(results);
    for (const op of [...ops].reverse())
      if (op.results.some((r) => live.has(r))) for (const o of op.operands) live.add(o);
    if (!ops.some((op) => op.opcode === 'dot_general' && op.results.some((r) => live.has(r)))) continue;
    found++;
    const small = await shrink(whole, has);
    expect(mainOf(small.module).graph.ops.map(({ opcode }) => opcode)).toEqual(['dot_general']);
    expect(evaluateModule(small.module, small.inputs, { mode: 'rounded' })).toHaveLength(1);
  }
  expect(found).toBeGreaterThan(3);
});
