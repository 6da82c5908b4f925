/** Values of a second copy of the package: the error says that there are two. */
import { describe, expect, it, vi } from 'vitest';
import { compile, KilnError, type Tensor, tensor } from '../../index.ts';

vi.resetModules();
const other = await import('../../index.ts');

const messageOf = (body: () => unknown): string => {
  try {
    body();
  } catch (error) {
    if (error instanceof KilnError) return error.message;
    throw error;
  }
  throw new Error('nothing was thrown');
};

describe('two copies of the package', () => {
  const foreign = other.tensor([1, 2, 3]);
  const x = tensor([1, 2, 3]);

  it('are named where a value of one meets the other', () => {
    const f = compile((t: Tensor) => t.add(1));
    expect(foreign).not.toBeInstanceOf(x.constructor);
    const wrong: readonly (() => unknown)[] = [
      () => x.add(foreign),
      () => f(foreign),
      () => f.explain(other.spec([3])),
      () => tensor(foreign as never),
      () => compile((t: Tensor) => t.add(foreign))(x),
    ];
    for (const body of wrong) expect(messageOf(body)).toMatch(/two copies of kilnjs are loaded/);
  });

  it('work each by itself', () => {
    expect(x.add(1).arraySync()).toEqual([2, 3, 4]);
    expect(
      other
        .compile((t: Tensor) => t.mul(2))(foreign)
        .arraySync(),
    ).toEqual([2, 4, 6]);
  });
});
