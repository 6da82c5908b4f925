/**
 * Operations on generated shapes (empty, one element, broadcast) and arguments (negative axes, any slice) against
 * plain loops over nested indices, written here without looking at how the operations are composed.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { elementAt, elementCount, forEachIndex, literal, positionOf, rowMajorStrides } from '../../ir/literal.ts';
import type { Literal } from '../../ir/types.ts';
import type { SliceRange } from '../../tracer/operations/index.ts';
import * as k from '../../tracer/operations/index.ts';
import { difference } from '../support/close.ts';
import { evaluate, evaluateAll } from '../support/oracle.ts';
import { runs } from '../support/runs.ts';

const close = { relative: 1e-9, absolute: 1e-9 };
const exact = { relative: 0, absolute: 0 };

type Index = readonly number[];

/** The array whose element at each index `element` says. */
function generated(
  dtype: 'float32' | 'int32' | 'bool',
  shape: readonly number[],
  element: (index: Index) => number,
): Literal {
  const data: number[] = [];
  forEachIndex(shape, (index) => data.push(element(index)));
  return literal(dtype, shape, data.length === 0 ? [0] : data);
}

const read = (x: Literal, index: Index): number => elementAt(x, positionOf(index, rowMajorStrides(x.shape)));

const size = fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 2, max: 4 }) }, fc.constantFrom(0, 1, 1));
const shape = (minLength = 0, maxLength = 3) => fc.array(size, { minLength, maxLength });
const value = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: -40, max: 40 }).map((n) => n / 8) },
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0),
);
const ordinary = fc.integer({ min: -40, max: 40 }).map((n) => n / 8);

const filled = (of: readonly number[], element: fc.Arbitrary<number> = ordinary): fc.Arbitrary<Literal> =>
  fc
    .array(element, { minLength: elementCount(of), maxLength: elementCount(of) })
    .map((data) => literal('float32', of, data.length === 0 ? [0] : data));

const anyArray = (minRank = 0, element = ordinary) => shape(minRank).chain((of) => filled(of, element));

const check = (given: Literal, expected: Literal, tolerance = exact): void =>
  expect(difference(given, expected, tolerance)).toBeUndefined();

/** Axes to reduce, some of them negative; `null` for all. */
const axesOf = (rank: number): fc.Arbitrary<number[] | null> =>
  fc.oneof(
    fc.constant(null),
    fc
      .subarray(Array.from({ length: rank }, (_, i) => i))
      .chain((axes) => fc.tuple(...axes.map((axis) => fc.constantFrom(axis, axis - rank))).map((list) => [...list])),
  );

describe('elementwise operations broadcast', () => {
  test('as NumPy does', () => {
    const pair = shape().chain((full) => {
      const part = fc
        .tuple(...full.map((n) => fc.constantFrom(1, n)))
        .chain((sizes) =>
          fc.integer({ min: 0, max: sizes.length }).map((dropped) => (sizes as number[]).slice(dropped)),
        );
      return fc.tuple(
        fc.constant(full),
        part.chain((of) => filled(of, value)),
        filled(full, value),
        fc.boolean(),
      );
    });
    fc.assert(
      fc.property(pair, ([full, small, large, swapped]) => {
        const pick = (index: Index): number =>
          read(
            small,
            index.slice(index.length - small.shape.length).map((i, axis) => (small.shape[axis] === 1 ? 0 : i)),
          );
        const [a, b] = swapped ? [large, small] : [small, large];
        const of = (f: (a: number, b: number) => number, dtype: 'float32' | 'bool' = 'float32') =>
          generated(dtype, full, (i) => (swapped ? f(read(large, i), pick(i)) : f(pick(i), read(large, i))));
        check(
          evaluate((x, y) => x.add(y), [a, b]),
          of((p, q) => p + q),
        );
        check(
          evaluate((x, y) => x.div(y), [a, b]),
          of((p, q) => p / q),
        );
        check(
          evaluate((x, y) => k.less(x, y), [a, b]),
          of((p, q) => Number(p < q), 'bool'),
        );
        check(
          evaluate((x, y) => x.maximum(y), [a, b]),
          of(Math.max),
        );
      }),
      runs(60),
    );
  });
});

describe('reductions', () => {
  test('over any axes', () => {
    const given = shape().chain((of) => fc.tuple(filled(of), axesOf(of.length), fc.boolean()));
    fc.assert(
      fc.property(given, ([x, axes, keepdims]) => {
        const reduced = (axes ?? x.shape.map((_, i) => i)).map((axis) => (axis < 0 ? axis + x.shape.length : axis));
        const kept = x.shape.map((n, i) => (reduced.includes(i) ? 1 : n));
        const lists = new Map<number, number[]>();
        const strides = rowMajorStrides(kept);
        forEachIndex(kept, (index) => lists.set(positionOf(index, strides), []));
        forEachIndex(x.shape, (index) => {
          const target = index.map((i, axis) => (reduced.includes(axis) ? 0 : i));
          lists.get(positionOf(target, strides))?.push(read(x, index));
        });
        const finalShape = keepdims ? kept : x.shape.filter((_, i) => !reduced.includes(i));
        const of = (f: (list: number[]) => number): Literal => {
          const data = [...lists.values()].map(f);
          return literal('float32', finalShape, data.length === 0 ? [0] : data);
        };
        const total = (list: number[]): number => list.reduce((a, b) => a + b, 0);
        const options = { keepdims };
        check(
          evaluate((t) => t.sum(axes, options), [x]),
          of(total),
          close,
        );
        check(
          evaluate((t) => t.mean(axes, options), [x]),
          of((list) => total(list) / list.length),
          close,
        );
        check(
          evaluate((t) => t.logsumexp(axes, options), [x]),
          of((list) => Math.log(total(list.map(Math.exp)))),
          close,
        );
        const spread = (list: number[]): number => {
          const centre = total(list) / list.length;
          return total(list.map((v) => (v - centre) ** 2)) / list.length;
        };
        check(
          evaluate((t) => t.variance(axes, options), [x]),
          of(spread),
          close,
        );
        if (reduced.every((axis) => x.shape[axis] > 0)) {
          check(
            evaluate((t) => t.max(axes, options), [x]),
            of((list) => Math.max(...list)),
          );
        }
      }),
      runs(60),
    );
  });

  test('softmax rows sum to 1 and logSoftmax is its logarithm', () => {
    fc.assert(
      fc.property(
        shape(1).chain((of) => fc.tuple(filled(of), fc.integer({ min: -of.length, max: of.length - 1 }))),
        ([x, axis]) => {
          const [p, logs, sums] = evaluateAll(
            (t) => [t.softmax(axis), t.logSoftmax(axis), t.softmax(axis).sum(axis)],
            [x],
          );
          check(logs, { ...p, data: Array.from(p.data, Math.log) }, close);
          for (const s of Array.from(sums.data)) {
            if (x.shape.every((n) => n > 0)) expect(s).toBeCloseTo(1, 12);
          }
        },
      ),
      runs(40),
    );
  });
});

/** Python's slice of `n` positions. */
function positions(range: SliceRange, n: number): number[] {
  const all = Array.from({ length: n }, (_, i) => i);
  if (range === null || range === undefined) return all;
  if (typeof range === 'number') return [range < 0 ? range + n : range];
  const [start, stop, step = 1] = range as readonly (number | null | undefined)[] as [number?, number?, number?];
  const clamp = (bound: number | undefined | null, open: number): number => {
    if (bound === undefined || bound === null) return open;
    const at = bound < 0 ? bound + n : bound;
    return step > 0 ? Math.min(Math.max(at, 0), n) : Math.min(Math.max(at, -1), n - 1);
  };
  const [from, to] = step > 0 ? [clamp(start, 0), clamp(stop, n)] : [clamp(start, n - 1), clamp(stop, -1)];
  const found: number[] = [];
  for (let i = from; step > 0 ? i < to : i > to; i += step) found.push(i);
  return found;
}

describe('moving elements', () => {
  test('slices as Python does', () => {
    const bound = fc.oneof(fc.constant(null), fc.integer({ min: -6, max: 6 }));
    const range = fc.oneof(
      fc.constant(null),
      fc.tuple(bound, bound, fc.constantFrom(1, 1, 2, 3, -1, -2)).map(([a, b, c]): SliceRange => [a, b, c]),
    );
    const given = shape(1).chain((of) => {
      const each = of.map((n) =>
        n > 0 ? fc.oneof<fc.Arbitrary<SliceRange>[]>(range, fc.integer({ min: -n, max: n - 1 })) : range,
      );
      return fc.tuple(filled(of), fc.tuple(...each), fc.integer({ min: 0, max: of.length }));
    });
    fc.assert(
      fc.property(given, ([x, all, count]) => {
        const ranges = all.slice(0, count);
        const chosen = x.shape.map((n, axis) => positions(ranges[axis], n));
        const dropped = x.shape.map((_, axis) => typeof ranges[axis] === 'number');
        const resultShape = chosen.map((list) => list.length).filter((_, axis) => !dropped[axis]);
        const expected = generated('float32', resultShape, (index) => {
          const next = index.values();
          return read(
            x,
            chosen.map((list, axis) => list[dropped[axis] ? 0 : (next.next().value as number)]),
          );
        });
        check(
          evaluate((t) => t.slice(...ranges), [x]),
          expected,
        );
      }),
      runs(150),
    );
  });

  test('permutes, flips, rolls and pads', () => {
    const given = shape(1).chain((of) =>
      fc.tuple(
        filled(of, value),
        fc.shuffledSubarray(
          Array.from({ length: of.length }, (_, i) => i),
          { minLength: of.length },
        ),
        fc.integer({ min: -of.length, max: of.length - 1 }),
        fc.integer({ min: -7, max: 7 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 2 })), {
          minLength: of.length,
          maxLength: of.length,
        }),
      ),
    );
    fc.assert(
      fc.property(given, ([x, order, axis, shift, amounts]) => {
        const at = axis < 0 ? axis + x.shape.length : axis;
        const n = x.shape[at];
        const moved = (to: (i: number) => number) =>
          generated('float32', x.shape, (index) =>
            read(
              x,
              index.map((i, a) => (a === at ? to(i) : i)),
            ),
          );
        check(
          evaluate((t) => t.permuteDims(order), [x]),
          generated(
            'float32',
            order.map((a) => x.shape[a]),
            (index) =>
              read(
                x,
                x.shape.map((_, a) => index[order.indexOf(a)]),
              ),
          ),
        );
        check(
          evaluate((t) => t.flip(axis), [x]),
          moved((i) => n - 1 - i),
        );
        check(
          evaluate((t) => t.roll(shift, axis), [x]),
          moved((i) => (((i - shift) % n) + n) % n),
        );
        const wide = x.shape.map((size, a) => size + amounts[a][0] + amounts[a][1]);
        check(
          evaluate((t) => t.pad(amounts, { value: 7 }), [x]),
          generated('float32', wide, (index) => {
            const inside = index.map((i, a) => i - amounts[a][0]);
            return inside.every((i, a) => i >= 0 && i < x.shape[a]) ? read(x, inside) : 7;
          }),
        );
      }),
      runs(60),
    );
  });

  test('what is split or unstacked comes together again', () => {
    fc.assert(
      fc.property(
        shape(1).chain((of) => fc.tuple(filled(of, value), fc.integer({ min: -of.length, max: of.length - 1 }))),
        ([x, axis]) => {
          const n = x.shape.at(axis) as number;
          const cuts = [Math.floor(n / 3), Math.floor(n / 2)];
          check(
            evaluate((t) => k.concat(t.split(cuts, axis), axis), [x]),
            x,
          );
          if (n > 0)
            check(
              evaluate((t) => k.stack(t.unstack(axis), axis), [x]),
              x,
            );
          if (n > 0)
            check(
              evaluate((t) => k.concat(t.split(n, axis), axis), [x]),
              x,
            );
        },
      ),
      runs(40),
    );
  });

  test('takes rows at any position', () => {
    const given = anyArray(1).chain((x) =>
      fc.tuple(
        fc.constant(x),
        fc.integer({ min: 0, max: x.shape.length - 1 }),
        shape(0, 2),
        fc.infiniteStream(fc.integer({ min: -6, max: 6 })),
      ),
    );
    fc.assert(
      fc.property(given, ([x, axis, of, stream]) => {
        const n = x.shape[axis];
        if (n === 0) return;
        const indices = generated('int32', of, () => stream.next().value as number);
        const resultShape = [...x.shape.slice(0, axis), ...of, ...x.shape.slice(axis + 1)];
        const expected = generated('float32', resultShape, (index) => {
          const i = read(indices, index.slice(axis, axis + of.length));
          const position = i < 0 ? i + n : i;
          if (position < 0 || position >= n) return Number.NaN;
          return read(x, [...index.slice(0, axis), position, ...index.slice(axis + of.length)]);
        });
        check(
          evaluate((t, i) => t.take(i, axis), [x, indices]),
          expected,
        );
      }),
      runs(60),
    );
  });
});

describe('matrix products', () => {
  test('of any ranks and batches', () => {
    const dims = fc.tuple(size, size, size, shape(0, 2));
    const given = dims.chain(([m, n, inner, batch]) => {
      const part = fc.tuple(...batch.map((b) => fc.constantFrom(1, b)));
      return fc.tuple(
        part.chain((b) => filled([...(b as number[]), m, inner])),
        part.chain((b) =>
          fc.integer({ min: 0, max: b.length }).chain((from) => filled([...(b as number[]).slice(from), inner, n])),
        ),
      );
    });
    fc.assert(
      fc.property(given, ([a, b]) => {
        const rank = Math.max(a.shape.length, b.shape.length);
        const batch = Array.from({ length: rank - 2 }, (_, i) => {
          const [p, q] = [a, b].map((x) => x.shape[i - rank + x.shape.length] ?? 1);
          return p === 1 ? q : p;
        });
        const inner = a.shape[a.shape.length - 1];
        const part = (x: Literal, index: Index, last: Index): number => {
          const own = x.shape.slice(0, -2);
          const at = own.map((n, i) => (n === 1 ? 0 : index[i + batch.length - own.length]));
          return read(x, [...at, ...last]);
        };
        const expected = generated(
          'float32',
          [...batch, a.shape.at(-2) as number, b.shape.at(-1) as number],
          (index) => {
            const [i, j] = index.slice(-2);
            let total = 0;
            for (let l = 0; l < inner; l++) total += part(a, index, [i, l]) * part(b, index, [l, j]);
            return total;
          },
        );
        check(
          evaluate((x, y) => x.matmul(y), [a, b]),
          expected,
          close,
        );
      }),
      runs(60),
    );
  });
});
