/** The numbers of values: code is made of kernels whose numbers follow from their form alone. */
import { describe, expect, it } from 'vitest';
import { numberValues } from '../../codegen/common/number-values.ts';
import { generateKernel } from '../../codegen/wgsl/kernel.ts';
import type { IndexExpression, Kernel } from '../../ir/kernel.ts';
import { kernelKey, printKernel } from '../../ir/kernel-print.ts';
import { verifyKernel } from '../../ir/kernel-verify.ts';
import { coreWebgpuTier } from '../../runtime/program.ts';

const along = (...axes: readonly string[]): IndexExpression => ({
  offset: 0,
  terms: axes.map((axis, i) => ({ coefficient: i + 1 < axes.length ? 8 : 1, factor: { kind: 'axis', axis } })),
});

/** Sums of rows, scaled where they are positive; `id` numbers its five values. */
const kernel = (id: (value: number) => number): Kernel => ({
  name: 'sums',
  buffers: [
    { name: 'x0', dtype: 'float32', access: 'read', size: 32 },
    { name: 'y0', dtype: 'float32', access: 'write', size: 4 },
  ],
  scratch: [],
  independent: false,
  body: [
    {
      kind: 'loop',
      mode: 'parallel',
      axis: { name: 'i0', extent: 4 },
      body: [
        {
          kind: 'reduce',
          axes: [{ name: 'r0', extent: 8 }],
          order: 'lanes',
          body: [
            {
              kind: 'let',
              id: id(0),
              dtype: 'float32',
              expression: { kind: 'load', memory: 'x0', index: along('i0', 'r0') },
            },
          ],
          accumulators: [{ kind: 'sum', result: id(1), dtype: 'float32', value: id(0) }],
        },
        { kind: 'let', id: id(2), dtype: 'float32', expression: { kind: 'constant', value: 0 } },
        {
          kind: 'let',
          id: id(3),
          dtype: 'bool',
          expression: { kind: 'apply', opcode: 'compare', operands: [id(1), id(2)], direction: 'GT' },
        },
        {
          kind: 'let',
          id: id(4),
          dtype: 'float32',
          expression: { kind: 'apply', opcode: 'multiply', operands: [id(1), id(1)] },
        },
        { kind: 'store', memory: 'y0', index: along('i0'), value: id(4), combine: 'assign', when: id(3) },
      ],
    },
  ],
});

describe('numberValues', () => {
  const plain = kernel((value) => value);
  const others = [kernel((value) => 3 * value + 7), kernel((value) => 90 - value)];

  it('gives kernels that differ in numbers alone one form, which means the same', () => {
    for (const other of others) {
      expect(kernelKey(other)).toBe(kernelKey(plain));
      expect(printKernel(other)).not.toBe(printKernel(plain));
      expect(numberValues(other)).toEqual(numberValues(plain));
      expect(kernelKey(numberValues(other))).toBe(kernelKey(plain));
    }
    expect(() => verifyKernel(numberValues(others[0]))).not.toThrow();
  });

  it('makes their code the same', () => {
    const options = { precision: 'fast', tier: coreWebgpuTier } as const;
    const [first, second] = [plain, others[1]].map((each) => generateKernel(numberValues(each), options).code);
    expect(second).toBe(first);
    expect(generateKernel(others[1], options).code).not.toBe(first);
  });
});
