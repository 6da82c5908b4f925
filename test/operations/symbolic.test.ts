/**
 * Operations on symbolic sizes: the result types are formulas, one trace serves every size, and what the bounds do not
 * answer is an `unknown_size` error (those stand in errors.test.ts).
 */
import { describe, expect, test } from 'vitest';
import { type Dim, dim } from '../../base/dim.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { literal } from '../../ir/literal.ts';
import type { Literal } from '../../ir/types.ts';
import * as k from '../../tracer/operations/index.ts';
import type { Tensor } from '../../tracer/tensor.ts';
import { difference } from '../support/close.ts';
import { evaluate, moduleOf, resultTypes } from '../support/oracle.ts';

const B = dim('B', { min: 1, max: 64 });
const T = dim('T', { min: 4, max: 32 });

type Body = (...inputs: Tensor[]) => Tensor;

const shapeOf = (body: Body, ...shapes: (readonly Dim[])[]): string =>
  `[${resultTypes(
    body,
    shapes.map((shape) => ({ dtype: 'float32' as const, shape })),
  )[0].shape.join(',')}]`;

describe('result shapes are formulas', () => {
  const rows: readonly (readonly [string, string, Body, ...(readonly Dim[])[]])[] = [
    ['broadcast', '[B,4]', (x, y) => x.add(y), [B, 4], [4]],
    ['matmul', '[B,8]', (x, w) => x.matmul(w), [B, 4], [4, 8]],
    ['batched matmul', '[B,T,T]', (x) => x.matmul(x.mT), [B, T, 8]],
    ['reshape', '[B*T,8]', (x) => x.reshape([-1, 8]), [B, T, 8]],
    ['reshape back', '[B,T,8]', (x) => x.reshape([-1, 8]).reshape([B, T, 8]), [B, T, 8]],
    ['flatten', '[B,8*T]', (x) => x.flatten(1), [B, T, 8]],
    ['concat', '[2*T+1]', (x, y) => k.concat([x, x, y]), [T], [1]],
    ['slice', '[T-1,8]', (x) => x.slice([1, null]), [T, 8]],
    ['slice from the end', '[T-3]', (x) => x.slice([0, -3]), [T]],
    ['every second', '[floordiv(T+1,2)]', (x) => x.slice([null, null, 2]), [T]],
    ['one element', '[8]', (x) => x.slice(-1), [T, 8]],
    ['pad', '[T+3]', (x) => x.pad([[1, 2]]), [T]],
    ['tile', '[2*T,3]', (x) => x.tile([2, 3]), [T, 1]],
    ['repeat', '[3*B]', (x) => x.repeat(3, 0), [B]],
    ['roll', '[T]', (x) => x.roll(2, 0), [T]],
    ['convolution', '[B,6,T-2]', (x) => x.conv1d(k.zeros([6, 3, 3])), [B, 3, T]],
    ['padded convolution', '[B,6,T]', (x) => x.conv1d(k.zeros([6, 3, 3]), null, { padding: 'same' }), [B, 3, T]],
    ['pooling', '[B,3,floordiv(T,2)]', (x) => x.maxPool1d(2), [B, 3, T]],
    ['zeros like', '[B,T]', (x) => k.zerosLike(x), [B, T]],
    ['random numbers', '[B,4]', (x) => k.random.normal(k.random.key(0), x.type.shape), [B, 4]],
    ['einsum', '[T,B]', (x, y) => k.einsum('bij,ij->jb', x, y).mT.mT, [B, 3, T], [3, T]],
  ];
  for (const [what, expected, body, ...shapes] of rows) {
    test(what, () => expect(shapeOf(body, ...shapes)).toBe(expected));
  }
});

describe('one trace serves every size', () => {
  const input = (shape: readonly number[]): Literal => {
    const count = shape.reduce((a, b) => a * b, 1);
    return literal(
      'float32',
      shape,
      Float64Array.from({ length: count }, (_, i) => Math.sin(i + 1)),
    );
  };
  const bodies: Readonly<Record<string, Body>> = {
    mean: (x) => x.mean(),
    'mean over the symbolic axis': (x) => x.mean(0),
    variance: (x) => x.variance(0, { correction: 1 }),
    softmax: (x) => x.softmax(0),
    layerNorm: (x) => k.layerNorm(x, null, null, { axis: 0 }),
    crossEntropy: (x) => k.crossEntropy(x, x.argmax(-1)),
    'cross-entropy of symbolic classes': (x) => k.crossEntropy(x.mT, x.mT.argmax(-1)),
    take: (x) => x.take(k.tensor([-1, 0, 99], { dtype: 'int32' })),
    attention: (x) => k.scaledDotProductAttention(x, x, x, { isCausal: true }),
    flip: (x) => x.slice([null, null, -1]),
    tril: (x) => x.matmul(x.mT).tril(),
    argmax: (x) => x.argmax(0).astype('float32'),
    uniform: (x) => k.random.uniform(k.random.key(3), x.type.shape),
  };
  for (const [what, body] of Object.entries(bodies)) {
    test(what, () => {
      const symbolic = moduleOf(body, [{ dtype: 'float32', shape: [T, 4] }]);
      for (const size of [4, 7, 32]) {
        const x = input([size, 4]);
        const [given] = evaluateModule(symbolic, [x], { mode: 'double' });
        expect(difference(given, evaluate(body, [x]), { relative: 1e-12, absolute: 1e-12 })).toBeUndefined();
      }
    });
  }
});
