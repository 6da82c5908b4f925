/** Random rows of contractions, sweeps and values that go from one to another: against the interpreter, bit for bit. */
import fc from 'fast-check';
import { it } from 'vitest';
import { type Dim, dim, mulDims } from '../../base/dim.ts';
import type { IndexExpression, Kernel, ScalarId } from '../../ir/kernel.ts';
import { checkKernel } from '../support/kernel-check.ts';
import { at, KernelMaker, read, write } from '../support/kernel-maker.ts';
import { caseCount } from '../support/runs.ts';

const numRuns = caseCount(40, 300);
const symbol = dim('S', { min: 1 });
const arrays = ['s0', 's1', 's2'] as const;

/** Draws numbers one after the other, so that a failing kernel shrinks. */
class RandomRow {
  readonly k: KernelMaker;
  readonly heads: number;
  /** Length of the scratch rows, and depth of the contractions. */
  readonly length: number;
  readonly rows: Dim;
  /** Values of the row that are known so far. */
  readonly known: ScalarId[] = [];
  /** Scratch rows that have been written. */
  readonly filled = new Set<string>();
  readonly #numbers: readonly number[];
  #at = 0;

  constructor(numbers: readonly number[], rows: Dim, heads: number, length: number) {
    const size = mulDims(rows, heads * length);
    this.k = new KernelMaker(
      'row',
      [
        read('x', size),
        read('w', heads * length * length),
        read('t', length * length),
        write('y', size, 'float32', numbers[0] % 2 === 0 ? 0 : undefined),
        write('z', mulDims(rows, heads)),
      ],
      arrays.map((name) => ({ name, dtype: 'float32', size: length })),
    );
    this.#numbers = numbers;
    this.rows = rows;
    this.heads = heads;
    this.length = length;
  }

  next(count: number): number {
    return (this.#numbers[this.#at++ % this.#numbers.length] ?? 0) % count;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.next(items.length)];
  }

  ofRow(axis: string): IndexExpression {
    return at([this.heads * this.length, 'i'], [this.length, 'h'], axis);
  }

  /** A value made of others that the row knows. */
  mixed(value: ScalarId): ScalarId {
    if (this.known.length === 0 || this.next(2) === 0) return value;
    return this.k.apply(this.pick(['add', 'multiply', 'maximum'] as const), value, this.pick(this.known));
  }

  /** An element of the row: of a scratch row, or of the input. */
  element(axis: string): ScalarId {
    const source = this.pick(['x', ...this.filled]);
    return this.mixed(this.k.load(source, source === 'x' ? this.ofRow(axis) : at(axis)));
  }

  /** An element of a matrix that all rows share, or all rows of a head. */
  shared(j: string, d: string): ScalarId {
    const { k, length } = this;
    const [a, b] = this.pick([
      [j, d],
      [d, j],
    ]);
    return this.next(2) === 0
      ? k.load('w', at([length * length, 'h'], [length, a], b))
      : k.load('t', at([length, a], b));
  }

  sum(axis: string, depth: string): ScalarId {
    const { k } = this;
    const product = (): ScalarId => {
      const factors = [this.element(depth), this.shared(axis, depth)];
      return k.apply('multiply', ...(this.next(2) === 0 ? factors : factors.reverse()));
    };
    return k.reduce([{ name: depth, extent: this.length }], ['sum'], () => [product()], { order: 'blocks' })[0];
  }

  /** A loop that fills a scratch row; a contraction reads only others. */
  fill(): void {
    const { k } = this;
    const axis = `j${k.id()}`;
    const target = this.pick(arrays);
    k.parallel(axis, this.length, () => {
      const isContraction = this.next(3) > 0;
      if (isContraction) this.filled.delete(target);
      let value = isContraction ? this.sum(axis, `${axis}d`) : this.element(axis);
      if (isContraction && this.next(3) === 0) value = k.apply('subtract', value, this.sum(axis, `${axis}e`));
      if (this.next(3) === 0) {
        const hidden = k.compare(this.pick(['LE', 'GT'] as const), k.index(at(axis)), k.index(at('i')));
        value = k.apply('select', hidden, value, k.constant(0));
      }
      k.store(target, at(axis), k.apply('multiply', this.mixed(value), k.constant(0.125)));
    });
    this.filled.add(target);
  }

  /** A value of the row: of a sweep, of memory, or of others. */
  value(): void {
    const { k } = this;
    const axis = `r${k.id()}`;
    const kind = this.next(4);
    if (kind === 0) this.known.push(k.load('x', at([this.heads * this.length, 'i'], [this.length, 'h'])));
    else if (kind === 1) this.known.push(this.mixed(k.constant(0.5)));
    else {
      const axes = [{ name: axis, extent: this.length }];
      const [result] = k.reduce(axes, [this.pick(['sum', 'max', 'min'] as const)], () => [this.element(axis)]);
      this.known.push(kind === 2 ? result : k.apply('multiply', result, k.constant(0.25)));
    }
  }

  build(): Kernel {
    const { k, heads, rows, length } = this;
    k.parallel('h', heads, () =>
      k.parallel('i', rows, () => {
        for (let step = 0; step < 5; step++) {
          if (this.next(2) === 0) this.value();
          else this.fill();
        }
        this.fill();
        this.value();
        const last = this.known[this.known.length - 1];
        k.parallel('o', length, () => {
          const value = k.load(this.pick([...this.filled]), at('o'));
          k.store('y', this.ofRow('o'), this.mixed(value));
        });
        k.store('z', at([heads, 'i'], 'h'), last);
      }),
    );
    return k.finish();
  }
}

it('random rows give the same bits as the interpreter', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(1000), { minLength: 60, maxLength: 60 }),
      fc.constantFrom(1, 2),
      fc.constantFrom(4, 7, 8, 17),
      fc.constantFrom(1, 3, 4, 18, 35),
      fc.boolean(),
      async (numbers, heads, length, rows, isSymbolic) => {
        const kernel = new RandomRow(numbers, isSymbolic ? symbol : rows, heads, length).build();
        await checkKernel(kernel, [{ S: rows }], (name, i) => Math.fround(Math.sin(i * 12.9898 + name.length) * 2));
      },
    ),
    { numRuns, seed: 20250813 },
  );
});
