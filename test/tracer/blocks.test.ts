/** What users see of blocks that are compiled once: the account of fusion names them, and results are the same. */
import { expect, test } from 'vitest';
import { gpt, stepModel } from '../../bench/models/index.ts';
import { compile } from '../../index.ts';

const model = (layers: number) =>
  stepModel(gpt({ layers, width: 32, heads: 2, vocabulary: 32, time: 8, batch: 2 }), 'sgd');

test('explain names the block of a launch, and how often it is called', () => {
  const { fn, specs } = model(12);
  const account = compile(fn).explain(...specs());
  const blocks = account.groups.flatMap(({ block }) => (block ? [block] : []));
  expect(new Set(blocks.map(({ name }) => name))).toEqual(new Set(['block1', 'block2']));
  for (const { call, calls } of blocks) {
    expect(calls).toBe(12);
    expect(call).toBeGreaterThanOrEqual(1);
    expect(call).toBeLessThanOrEqual(12);
  }
  expect(String(account)).toContain('in @block1, called 12 times: ');
});

test('the code of a deep network is that of a shallow one', () => {
  const kernels = (layers: number): Set<string> => {
    const { fn, specs } = model(layers);
    return new Set(
      compile(fn)
        .explain(...specs())
        .groups.map(({ kernel }) => kernel),
    );
  };
  expect(kernels(24).size).toBe(kernels(12).size);
});
