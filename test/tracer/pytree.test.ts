/** Pytrees: structure, order of leaves, registered classes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { staticKey } from '../../base/static-key.ts';
import { KilnError, tensor, tree } from '../../index.ts';

const codeOf = (body: () => unknown): string | undefined => {
  try {
    body();
    return undefined;
  } catch (error) {
    return error instanceof KilnError ? error.code : String(error);
  }
};

/** Trees of numbers; keys include awkward ones. */
const trees = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.integer(),
    fc.constant(null),
    fc.constant(undefined),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constant('__proto__')), tie('tree'), { maxKeys: 3 }),
  ),
})).tree;

describe('structure', () => {
  it('round-trips any tree', () => {
    fc.assert(
      fc.property(trees, (value) => {
        const { leaves, structure } = tree.flatten(value);
        const again = tree.flatten(tree.unflatten(structure, leaves));
        expect(again.leaves).toEqual(leaves);
        expect(tree.structure(tree.unflatten(structure, leaves)).toString()).toBe(tree.structure(value).toString());
      }),
    );
  });

  it('does not depend on the order in which keys were added', () => {
    expect(tree.leaves({ w: 1, b: 2 })).toEqual([2, 1]);
    expect(tree.structure({ w: 1, b: 2 }).toString()).toBe(tree.structure({ b: 2, w: 1 }).toString());
    expect(tree.structure({ w: 1, b: [2, null, undefined] }).toString()).toBe('{b:[*,null,undefined],w:*}');
  });

  it('tells nulls, containers and keys apart', () => {
    const texts = [[], {}, [1], { 0: 1 }, null, undefined, [null], { 'a:b': 1 }, { a: { b: 1 } }].map((value) =>
      tree.structure(value).toString(),
    );
    expect(new Set(texts).size).toBe(texts.length);
  });

  it('keeps a key called __proto__', () => {
    const value = JSON.parse('{"__proto__": 1}') as object;
    const mapped = tree.map((leaf: number) => leaf + 1, value as Record<string, number>);
    expect(Object.keys(mapped)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(mapped)).toBe(Object.prototype);
  });
});

describe('map', () => {
  it('goes over several trees at once', () => {
    expect(tree.map((a: number, b: number) => a + b, { x: [1, 2] }, { x: [10, 20] })).toEqual({ x: [11, 22] });
  });

  it('takes tensors as leaves', () => {
    const p = { w: tensor([1, 2]), b: tensor(3) };
    const doubled = tree.map((leaf) => leaf.mul(2), p);
    expect(doubled.w.arraySync()).toEqual([2, 4]);
    expect(doubled.b.itemSync()).toBe(6);
  });

  it('refuses trees of another structure, with both in the message', () => {
    const mismatch = () => tree.map((a: number) => a, { x: 1 } as object, { y: 1 });
    expect(codeOf(mismatch)).toBe('tree_mismatch');
    expect(mismatch).toThrow(/given: {4}\{y:\*\}\n {2}expected: \{x:\*\}/);
    expect(codeOf(() => tree.unflatten(tree.structure([1, 2]), [1]))).toBe('tree_mismatch');
  });
});

describe('classes', () => {
  class Point {
    x: unknown;
    y: unknown;
    constructor(x: unknown, y: unknown) {
      this.x = x;
      this.y = y;
    }
    get sum(): number {
      return (this.x as number) + (this.y as number);
    }
  }

  it('are an error until they are registered', () => {
    class Unknown {
      value = 1;
    }
    expect(codeOf(() => tree.leaves(new Unknown()))).toBe('unregistered_class');
    expect(() => tree.leaves([new Map()])).toThrow(/tree\.register\(Map/);
    tree.register(Unknown);
    expect(tree.leaves(new Unknown())).toEqual([1]);
  });

  it('come back as instances, with their fields or by their own rules', () => {
    tree.register(Point);
    const moved = tree.map((n: number) => n + 1, new Point(1, 2) as unknown as number[]) as unknown as Point;
    expect(moved).toBeInstanceOf(Point);
    expect(moved.sum).toBe(5);

    class Scaled {
      readonly value: unknown;
      readonly unit: string;
      constructor(value: unknown, unit: string) {
        this.value = value;
        this.unit = unit;
      }
    }
    tree.register(Scaled, {
      flatten: (s) => [s.value, s.unit] as const,
      unflatten: (value: unknown, unit: string) => new Scaled(value, unit),
    });
    const { leaves, structure } = tree.flatten(new Scaled([1, 2], 'm'));
    expect(leaves).toEqual([1, 2]);
    expect(tree.unflatten(structure, [3, 4])).toEqual(new Scaled([3, 4], 'm'));
    const other = tree.structure(new Scaled([1, 2], 's')).toString();
    expect(other).not.toBe(tree.structure(new Scaled([1, 2], 'm')).toString());
  });
});

describe('keys of static values', () => {
  it('are equal exactly for values that can not be told apart', () => {
    const values: unknown[] = [0, -0, Number.NaN, 1, '1', 'a,b', 'a', true, false, null, undefined, 1n, [], {}, [1, 2]];
    values.push(
      ['1,2'],
      { a: 1 },
      { a: '1' },
      () => 1,
      () => 1,
      Symbol('s'),
      Symbol('s'),
      new Map(),
      new Map(),
    );
    values.forEach((a, i) => {
      values.forEach((b, j) => {
        expect(staticKey(a) === staticKey(b), `${String(i)} and ${String(j)}`).toBe(i === j);
      });
    });
    expect(staticKey([1, { a: Number.NaN }])).toBe(staticKey([1, { a: Number.NaN }]));
  });
});
