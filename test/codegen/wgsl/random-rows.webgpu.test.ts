/** Random rows of sweeps, scratch arrays and loops, against the interpreter: who waits for whom is decided right. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Dim, dim, mulDims } from '../../../base/dim.ts';
import type { IndexExpression, Kernel, ScalarId } from '../../../ir/kernel.ts';
import { printKernel } from '../../../ir/kernel-print.ts';
import { verifyKernel } from '../../../ir/kernel-verify.ts';
import { makeInputs } from '../../support/kernel-data.ts';
import { at, KernelMaker, read, write } from '../../support/kernel-maker.ts';
import { compareOnGpu } from '../../support/webgpu-kernel.ts';

const numRuns = process.env.KILN_TEST === 'full' ? 300 : 8;
const symbol = dim('S', { min: 1 });
const arrays = ['s0', 's1'] as const;

/** Draws numbers one after the other, so that a failing kernel shrinks. */
class RandomRow {
  readonly k: KernelMaker;
  readonly rows: Dim;
  readonly length: number;
  readonly #known: ScalarId[] = [];
  readonly #filled = new Set<string>();
  readonly #numbers: readonly number[];
  readonly #isColumn: boolean;
  #at = 0;

  constructor(numbers: readonly number[], rows: Dim, length: number, isColumn: boolean) {
    const size = mulDims(rows, length);
    this.k = new KernelMaker(
      'row',
      [
        read('x', size),
        read('w', length),
        write('y', size, 'float32', numbers[0] % 2 === 0 ? 0 : undefined),
        write('z', rows),
      ],
      arrays.map((name) => ({ name, dtype: 'float32', size: length })),
    );
    [this.#numbers, this.rows, this.length, this.#isColumn] = [numbers, rows, length, isColumn];
  }

  next(count: number): number {
    return (this.#numbers[this.#at++ % this.#numbers.length] ?? 0) % count;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.next(items.length)];
  }

  ofRow(axis: string): IndexExpression {
    return this.#isColumn ? at([this.rows, axis], 'i') : at([this.length, 'i'], axis);
  }

  /** The position itself, or the one as far from the end: another thread's. */
  position(axis: string): IndexExpression {
    return this.next(3) === 0 ? at(this.length - 1, [-1, axis]) : at(axis);
  }

  mixed(value: ScalarId): ScalarId {
    if (this.#known.length === 0 || this.next(2) === 0) return value;
    return this.k.apply(this.pick(['add', 'maximum'] as const), value, this.pick(this.#known));
  }

  element(axis: string): ScalarId {
    const source = this.pick(['x', 'w', ...this.#filled]);
    const index = source === 'x' ? this.ofRow(axis) : source === 'w' ? at(axis) : this.position(axis);
    return this.mixed(this.k.load(source, index));
  }

  fill(): void {
    const { k } = this;
    const axis = `j${k.id()}`;
    const target = this.pick(arrays);
    this.#filled.delete(target);
    k.parallel(axis, this.length, () => {
      k.store(target, this.position(axis), k.apply('multiply', this.element(axis), k.constant(0.5)));
    });
    this.#filled.add(target);
  }

  reduce(): void {
    const { k } = this;
    const axis = `r${k.id()}`;
    const kinds = this.next(2) === 0 ? (['max', 'min'] as const) : (['sum'] as const);
    const results = k.reduce([{ name: axis, extent: this.length }], kinds, () => {
      const value = this.element(axis);
      return kinds.map(() => value);
    });
    const scale = k.constant(kinds.length === 1 ? 1 / this.length : 0.5);
    for (const result of results) this.#known.push(k.apply('multiply', result, scale));
  }

  /** A loop that every thread does, with a sweep inside. */
  repeat(): void {
    const { k } = this;
    const initial = k.constant(0);
    const [last] = k.sequential(`q${k.id()}`, 2, [initial], 'float32', ([carried]) => {
      const before = this.#known.length;
      this.fill();
      this.reduce();
      const next = k.apply('maximum', carried, this.#known[this.#known.length - 1]);
      this.#known.length = before;
      return [next];
    });
    this.#known.push(last);
  }

  build(): Kernel {
    const { k } = this;
    k.parallel('i', this.rows, () => {
      for (let step = 0; step < 3; step++) {
        const what = this.next(5);
        if (what < 2) this.fill();
        else if (what < 4) this.reduce();
        else this.repeat();
      }
      this.reduce();
      k.store('z', at('i'), this.#known[this.#known.length - 1]);
      k.parallel('o', this.length, () => k.store('y', this.ofRow('o'), this.mixed(k.load('x', this.ofRow('o')))));
    });
    return k.finish();
  }
}

it('random rows are what the interpreter makes of them', { timeout: 300_000 }, async () => {
  let turn = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(1000), { minLength: 60, maxLength: 60 }),
      fc.constantFrom(16, 33, 64, 300, 1028),
      fc.constantFrom(1, 3, 20),
      fc.boolean(),
      fc.nat(3).map((n) => n === 0),
      async (numbers, length, rows, isSymbolic, isColumn) => {
        const kernel = new RandomRow(numbers, isSymbolic ? symbol : rows, length, isColumn).build();
        verifyKernel(kernel);
        const bindings = { S: rows };
        const inputs = makeInputs(kernel, bindings, (_, i) => Math.fround(1 + Math.sin(i * 12.9898) / 2));
        const difference = await compareOnGpu(kernel, inputs, bindings, turn++);
        expect(difference && `${printKernel(kernel)}\n${difference}`).toBeUndefined();
      },
    ),
    { numRuns, seed: 20261121, endOnFailure: true },
  );
});
