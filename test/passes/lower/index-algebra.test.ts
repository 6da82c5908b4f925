import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dim } from '../../../base/dim.ts';
import { elementCount, positionOf, rowMajorStrides } from '../../../ir/literal.ts';
import { type Index, IndexAlgebra, reshapeSegments } from '../../../passes/lower/index-algebra.ts';
import { runs } from '../../support/runs.ts';

const text = (index: Index): string => index.key;

/** The number an index stands for at a point. */
function evaluate({ offset, terms }: Index, at: ReadonlyMap<string, number>): number {
  return terms.reduce<number>((sum, { coefficient, factor }) => {
    if (factor.kind === 'axis') return sum + Number(coefficient) * (at.get(factor.axis) ?? 0);
    if (factor.kind === 'value') throw new Error('no values here');
    const [a, b] = [evaluate(factor.dividend, at), Number(factor.divisor)];
    return sum + Number(coefficient) * (factor.kind === 'floordiv' ? Math.floor(a / b) : a - b * Math.floor(a / b));
  }, Number(offset));
}

/** A way to write a number of elements as a shape. */
const factorization = (count: number): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 6 }).map((choices) => {
    const shape: number[] = [];
    let rest = count;
    for (const choice of choices) {
      const divisors = Array.from({ length: rest }, (_, d) => d + 1).filter((d) => rest % d === 0);
      const part = divisors[choice % divisors.length];
      shape.push(part);
      rest /= part;
    }
    return [...shape, rest];
  });

describe('simplification', () => {
  const algebra = new IndexAlgebra();
  const B = dim('B', { min: 1 });
  const i = algebra.axis('i', B);
  const j = algebra.axis('j', 4);

  test('division of a split axis gives its parts', () => {
    const position = algebra.add(algebra.scale(i, 4), j);
    expect(text(algebra.floorDivide(position, 4))).toBe('1*i+0');
    expect(text(algebra.modulo(position, 4))).toBe('1*j+0');
  });

  test('quotient and remainder join again, with a symbolic divisor too', () => {
    const r = algebra.axis('r', 100);
    const joined = algebra.add(algebra.scale(algebra.floorDivide(r, B), B), algebra.modulo(r, B));
    expect(text(joined)).toBe('1*r+0');
  });

  test('nested divisions become one', () => {
    const r = algebra.axis('r', 1000);
    expect(text(algebra.floorDivide(algebra.floorDivide(r, 3), 5))).toBe('1*floordiv(1*r+0,15)+0');
    expect(text(algebra.modulo(algebra.modulo(r, 12), 4))).toBe('1*mod(1*r+0,4)+0');
    expect(text(algebra.floorDivide(algebra.scale(r, 6), 4))).toBe('1*floordiv(3*r+0,2)+0');
  });

  test('an axis of size 1 is zero', () => {
    expect(algebra.axis('one', 1).isConstant).toBe(true);
  });

  test('bounds know the sign of an index', () => {
    expect(algebra.isNonNegative(algebra.subtractFrom(3, j))).toBe(true);
    expect(algebra.isNonNegative(algebra.subtractFrom(2, j))).toBe(false);
  });
});

test('reshaping an index gives the element at the same position, for any two shapes', () => {
  const shapes = fc
    .constantFrom(1, 6, 12, 24, 36, 60)
    .chain((count) => fc.tuple(factorization(count), factorization(count), factorization(count)));
  fc.assert(
    fc.property(shapes, ([from, via, to]) => {
      const algebra = new IndexAlgebra();
      const axes = from.map((size, axis) => algebra.axis(`i${axis}`, size));
      const reshaped = algebra.reshape(algebra.reshape(axes, from, via), via, to);
      const [fromStrides, toStrides] = [rowMajorStrides(from), rowMajorStrides(to)];
      for (let position = 0; position < elementCount(from); position++) {
        const at = new Map(from.map((size, axis) => [`i${axis}`, Math.floor(position / fromStrides[axis]) % size]));
        const index = reshaped.map((entry) => evaluate(entry, at));
        expect(positionOf(index, toStrides)).toBe(position);
        index.forEach((entry, axis) => {
          expect(entry).toBeGreaterThanOrEqual(0);
          expect(entry).toBeLessThan(to[axis]);
        });
      }
    }),
    runs(60),
  );
});

test('reshape segments are the shortest runs with equally many elements', () => {
  const B = dim('B', { min: 1, max: 64 });
  expect(reshapeSegments([B, 4, 6], [B, 24])).toEqual([
    { fromStart: 0, fromEnd: 1, toStart: 0, toEnd: 1 },
    { fromStart: 1, fromEnd: 3, toStart: 1, toEnd: 2 },
  ]);
});
