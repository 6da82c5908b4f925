/**
 * Random kernels against the interpreter, bit for bit: loops of any depth with static and symbolic extents, loads that
 * are contiguous, strided, broadcast, predicated, divided and gathered, reductions of every kind and order.
 */
import fc from 'fast-check';
import { it } from 'vitest';
import { addDims, type Dim, dim, evaluateDim, mulDims } from '../../base/dim.ts';
import type { IndexExpression, IndexTerm, Kernel, KernelBuffer, ScalarId } from '../../ir/kernel.ts';
import { coreWebgpuTier } from '../../runtime/program.ts';
import { checkKernel } from '../support/kernel-check.ts';
import { floordiv, KernelMaker, mod } from '../support/kernel-maker.ts';
import { caseCount } from '../support/runs.ts';
import { isOnWebgpu } from '../support/target.ts';

const numRuns = caseCount(150, 3000);

interface AxisChoice {
  readonly name: string;
  readonly extent: Dim;
  readonly value: number;
}

/** Draws numbers one after the other, so that a failing kernel shrinks. */
class Choices {
  readonly #numbers: readonly number[];
  #at = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  /** 0 to `count - 1`. */
  next(count: number): number {
    return (this.#numbers[this.#at++ % this.#numbers.length] ?? 0) % count;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.next(items.length)];
  }
}

const symbol = dim('S', { min: 0 });

class RandomKernel {
  readonly choices: Choices;
  readonly size: number;
  readonly buffers: KernelBuffer[] = [];
  readonly k: KernelMaker;

  constructor(numbers: readonly number[], size: number) {
    this.choices = new Choices(numbers);
    this.size = size;
    this.k = new KernelMaker('random', this.buffers);
  }

  axis(name: string): AxisChoice {
    const symbolic = this.choices.next(3) === 0;
    const value = symbolic ? this.size : this.choices.pick([1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 33]);
    return { name, extent: symbolic ? symbol : value, value };
  }

  buffer(access: KernelBuffer['access'], size: Dim, dtype: KernelBuffer['dtype'] = 'float32'): string {
    const name = `${access === 'read' ? 'x' : 'y'}${this.buffers.length}`;
    this.buffers.push({ name, dtype, access, size });
    return name;
  }

  /** Row-major over some of the axes, in some order. */
  dense(axes: readonly AxisChoice[]): { index: IndexExpression; size: Dim } {
    const terms: IndexTerm[] = [];
    let size: Dim = 1;
    for (const { name, extent } of [...axes].reverse()) {
      terms.unshift({ coefficient: size, factor: { kind: 'axis', axis: name } });
      size = mulDims(size, extent);
    }
    return { index: { offset: 0, terms }, size };
  }

  shuffled<T>(items: readonly T[]): T[] {
    const rest = [...items];
    return items.map(() => rest.splice(this.choices.next(rest.length), 1)[0]);
  }

  load(axes: readonly AxisChoice[]): ScalarId {
    const { choices, k } = this;
    const used = axes.filter(() => choices.next(4) > 0);
    switch (choices.next(7)) {
      case 0: {
        const { index, size } = this.dense(this.shuffled(used));
        return k.load(this.buffer('read', size), index);
      }
      case 1: {
        // A window that begins before the buffer and ends after it.
        const { index, size } = this.dense(used);
        const position = k.index({ ...index, offset: -2 });
        const limit = k.let('int32', { kind: 'size', size });
        const reaches = k.applyTo(
          'bool',
          'and',
          k.compare('GE', position, k.constant(0, 'int32')),
          k.compare('LT', position, limit),
        );
        return k.load(this.buffer('read', size), { ...index, offset: -2 }, reaches, choices.next(5) - 2);
      }
      case 2: {
        const { index, size } = this.dense(used);
        const divisor = choices.pick([2, 3, 4]);
        const parts: IndexTerm[] = [
          { coefficient: 1, factor: floordiv(index, divisor) },
          { coefficient: size, factor: mod(index, divisor) },
        ];
        return k.load(this.buffer('read', mulDims(size, divisor + 1)), { offset: 0, terms: parts });
      }
      case 3: {
        const { index, size } = this.dense(used);
        const where = k.load(this.buffer('read', size, 'int32'), index);
        const gathered: IndexTerm = { coefficient: choices.pick([1, 3]), factor: { kind: 'value', id: where } };
        return k.load(this.buffer('read', 60), { offset: choices.next(3), terms: [gathered] });
      }
      default: {
        const { index, size } = this.dense(used);
        const offset = choices.next(3);
        return k.load(this.buffer('read', addDims(size, offset)), { ...index, offset });
      }
    }
  }

  value(axes: readonly AxisChoice[], known: readonly ScalarId[]): ScalarId {
    const { choices, k } = this;
    let value = this.load(axes);
    const steps = choices.next(4);
    for (let step = 0; step < steps; step++) {
      const other =
        choices.next(3) === 0
          ? this.load(axes)
          : choices.next(2) === 0 && known.length
            ? choices.pick(known)
            : k.constant(choices.pick([0, -0, 1.5, -2]));
      switch (choices.next(6)) {
        case 0:
          value = k.apply(choices.pick(['abs', 'negate', 'floor', 'sign']), value);
          break;
        case 1:
          value = k.apply('select', k.compare(choices.pick(['LT', 'GE', 'EQ']), value, other), value, other);
          break;
        case 2:
          value = k.apply(choices.pick(['maximum', 'minimum']), choices.next(2) ? value : other, other);
          break;
        default:
          value = k.apply(choices.pick(['add', 'subtract', 'multiply', 'divide']), value, other);
      }
    }
    return value;
  }

  reduced(axes: readonly AxisChoice[]): ScalarId {
    const { choices, k } = this;
    const own = Array.from({ length: 1 + choices.next(2) }, (_, i) => this.axis(`r${i}`));
    const order = choices.pick(['lanes', 'blocks'] as const);
    const kinds = [choices.pick(['sum', 'sum', 'sum', 'max', 'min', 'product'] as const)];
    const product = choices.next(2) === 0;
    const [result] = k.reduce(
      own.map(({ name, extent }) => ({ name, extent })),
      kinds,
      () => {
        const a = this.value([...axes, ...own], []);
        return [product ? k.apply('multiply', a, this.value([...axes, ...own], [])) : a];
      },
      { order },
    );
    return result;
  }

  build(): Kernel {
    const { choices, k } = this;
    const axes = Array.from({ length: choices.next(4) }, (_, i) => this.axis(`i${i}`));
    const body = (): void => {
      const known = Array.from({ length: choices.next(3) }, () => this.reduced(axes));
      const { index, size } = this.dense(this.shuffled(axes));
      k.store(this.buffer('write', size), index, this.value(axes, known));
    };
    const nest = (level: number): void => {
      if (level === axes.length) body();
      else k.parallel(axes[level].name, axes[level].extent, () => nest(level + 1));
    };
    nest(0);
    return k.finish();
  }
}

const fill = (kernel: Kernel, name: string, i: number): number => {
  const buffer = kernel.buffers.find((b) => b.name === name);
  if (buffer?.dtype === 'int32') return (i * 7) % 19;
  return i % 13 === 5 ? -0 : Math.fround(Math.sin(i * 12.9898 + name.length) * 3);
};

it('random kernels give the same bits as the interpreter', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(1000), { minLength: 60, maxLength: 60 }),
      fc.constantFrom(0, 1, 2, 3, 5, 8, 11, 19),
      async (numbers, size) => {
        const kernel = new RandomKernel(numbers, size).build();
        // Groups are made to bind no more, one for scratch memory included.
        fc.pre(!isOnWebgpu || kernel.buffers.length < coreWebgpuTier.storageBuffers);
        const bindings = { S: size };
        const total = kernel.buffers.reduce((sum, b) => sum + evaluateDim(b.size, new Map([['S', size]])), 0);
        fc.pre(total < 200_000 && !kernel.buffers.some((b) => evaluateDim(b.size, new Map([['S', size]])) > 60_000));
        await checkKernel(kernel, [bindings], (name, i) => fill(kernel, name, i));
      },
    ),
    { numRuns, seed: 20240607 },
  );
});
