/**
 * The function that sorts one row: elements become keys (`keys.ts`), keys are sorted (`radix.ts`), and the first of
 * them become elements or positions again. Where only a few are wanted, the row is swept once, and what is less than
 * the greatest of the least so far is collected; whenever the collection is full, all but the least are dropped.
 *
 *     sort s0 < 1000000 descending -> values s1, positions s2 < 10
 *       first 148 pairs, sorted, 10 of them kept, then all that is less than the tenth ...
 */
import { byteSize } from '../../../base/dtype.ts';
import type { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';
import { bitsOfKey, copyElement, hasVectorKeys, type KeyOrder, loadKey, storeBits, vectorKeys } from './keys.ts';
import { countsBytes, entryAt, fewEntries, keyEntries, pairEntries, resultOffset } from './radix.ts';

export interface RowSort extends KeyOrder {
  readonly values: boolean;
  readonly positions: boolean;
  /** Whether few of many elements are wanted: always, never, or as the sizes turn out. */
  readonly selects: 'always' | 'never' | 'perhaps';
}

/** From how many elements for each that is wanted on selecting them beats sorting all. */
export const selectRatio = 8;
/** Entries that are collected beside twice those that are wanted. */
export const spareEntries = 20;

/** Names of the functions that sort entries. */
export interface EntrySorts {
  readonly keys: string;
  readonly pairs: string;
}

export const rowParameters = ['keys', 'values', 'positions', 'work', 'length', 'count'] as const;
const [keys, values, positions, work, length, count] = [0, 1, 2, 3, 4, 5];

export function buildRowSort(f: FunctionBuilder, sort: RowSort, sorts: EntrySorts): void {
  new RowBuilder(f, sort, sorts).build();
}

class RowBuilder {
  readonly f: FunctionBuilder;
  readonly sort: RowSort;
  readonly sorts: EntrySorts;
  readonly entries: number;

  constructor(f: FunctionBuilder, sort: RowSort, sorts: EntrySorts) {
    this.f = f;
    this.sort = sort;
    this.sorts = sorts;
    this.entries = f.let('i32', f.module.i32.add(f.get(work), f.i32(countsBytes)), 'entries');
  }

  build(): void {
    const { f, sort } = this;
    const { i32 } = f.module;
    if (sort.selects === 'always') this.#select();
    else if (sort.selects === 'never') this.#sortAll();
    else {
      const isFew = i32.lt_u(f.get(count), i32.div_u(f.get(length), f.i32(selectRatio)));
      const isMany = i32.gt_s(f.get(length), f.i32(4 * spareEntries));
      f.when(
        i32.and(isFew, isMany),
        () => this.#select(),
        () => this.#sortAll(),
      );
    }
  }

  /** All elements as pairs, or, where only values are wanted, as keys. */
  #sortAll(): void {
    const { f } = this;
    const { i32 } = f.module;
    const asPairs = (): void => {
      const at = f.newLocal('i32', 'at');
      f.loop({ counter: at, start: f.i32(0), step: 1, limit: () => f.get(length) }, () =>
        this.#storePair(entryAt(f, pairEntries, f.get(this.entries), f.get(at)), f.get(at)),
      );
      const second = f.let('i32', entryAt(f, pairEntries, f.get(this.entries), f.get(length)));
      this.#finish(this.#sortEntries(this.sorts.pairs, f.get(second), f.get(length)));
    };
    if (this.sort.positions) {
      asPairs();
      return;
    }
    f.when(i32.le_s(f.get(length), f.i32(fewEntries)), asPairs, () => {
      const hasNegativeZero = this.#storeKeys();
      f.when(f.get(hasNegativeZero), asPairs, () => this.#valuesOfKeys());
    });
  }

  /** Writes the key of each element. @returns a local that tells whether an element is -0, whose key is that of 0 */
  #storeKeys(): number {
    const { f, sort } = this;
    const { i32, i32x4, v128 } = f.module;
    const hasNegativeZero = f.let('i32', f.i32(0), 'negative_zero');
    const at = f.let('i32', f.i32(0), 'at');
    const to = (): Expression => entryAt(f, keyEntries, f.get(this.entries), f.get(at));
    if (hasVectorKeys(sort)) {
      const seen = f.let('v128', f.splat('int32', 0));
      const limit = f.let('i32', i32.sub(f.get(length), f.i32(3)));
      f.loop({ counter: at, step: 4, limit: () => f.get(limit) }, () => {
        const elements = f.let('v128', v128.load(0, 4, this.#element(at)));
        if (sort.dtype === 'float32') {
          f.set(seen, v128.or(f.get(seen), i32x4.eq(f.get(elements), f.splat('int32', -(2 ** 31)))));
        }
        f.statement(v128.store(0, 4, to(), vectorKeys(f, sort, f.get(elements))));
      });
      f.set(hasNegativeZero, v128.any_true(f.get(seen)));
    }
    f.loop({ counter: at, step: 1, limit: () => f.get(length) }, () => {
      const element = f.let('i32', this.#element(at));
      f.statement(i32.store(0, 4, to(), loadKey(f, sort, f.get(element))));
      if (sort.dtype !== 'float32') return;
      const isNegativeZero = i32.eq(i32.load(0, 4, f.get(element)), f.i32(-(2 ** 31)));
      f.set(hasNegativeZero, i32.or(f.get(hasNegativeZero), isNegativeZero));
    });
    return hasNegativeZero;
  }

  #valuesOfKeys(): void {
    const { f, sort } = this;
    const { i32 } = f.module;
    const second = f.let('i32', entryAt(f, keyEntries, f.get(this.entries), f.get(length)));
    const sorted = this.#sortEntries(this.sorts.keys, f.get(second), f.get(length));
    const at = f.newLocal('i32', 'at');
    f.loop({ counter: at, start: f.i32(0), step: 1, limit: () => f.get(count) }, () => {
      const key = i32.load(0, 4, entryAt(f, keyEntries, f.get(sorted), f.get(at)));
      f.statement(storeBits(f, sort.dtype, this.#element(at, values), bitsOfKey(f, sort, key)));
    });
  }

  /** The least `count` pairs. */
  #select(): void {
    const { f, sort } = this;
    const { i32, i32x4, v128 } = f.module;
    const most = f.let('i32', i32.add(i32.shl(f.get(count), f.i32(1)), f.i32(spareEntries)), 'most');
    const collected = f.let('i32', f.i32(0), 'collected');
    const bound = f.let('i32', f.i32(-1), 'bound');
    const second = f.let('i32', entryAt(f, pairEntries, f.get(this.entries), f.get(most)), 'second');
    const at = f.let('i32', f.i32(0), 'at');
    const end = (): Expression => entryAt(f, pairEntries, f.get(this.entries), f.get(collected));
    const first = f.let(
      'i32',
      f.least(
        () => f.get(length),
        () => f.get(most),
      ),
    );
    f.loop({ counter: at, step: 1, limit: () => f.get(first) }, () => {
      this.#storePair(end(), f.get(at));
      f.set(collected, i32.add(f.get(collected), f.i32(1)));
    });
    const drop = (): void => {
      const sorted = this.#sortEntries(this.sorts.pairs, f.get(second), f.get(collected));
      f.set(
        collected,
        f.least(
          () => f.get(collected),
          () => f.get(count),
        ),
      );
      const bytes = i32.shl(f.get(collected), f.i32(3));
      f.statement(f.module.memory.copy(f.get(this.entries), f.get(sorted), bytes));
      f.set(bound, i32.load(0, 4, i32.sub(end(), f.i32(4))));
    };
    const collect = (): void => {
      const key = f.let('i32', loadKey(f, sort, this.#element(at)), 'key');
      f.when(i32.lt_u(f.get(key), f.get(bound)), () => {
        f.statement(i32.store(0, 4, end(), f.get(at)));
        f.statement(i32.store(4, 4, end(), f.get(key)));
        f.set(collected, i32.add(f.get(collected), f.i32(1)));
        f.when(i32.eq(f.get(collected), f.get(most)), drop);
      });
      f.set(at, i32.add(f.get(at), f.i32(1)));
    };
    drop();
    if (hasVectorKeys(sort)) {
      const limit = f.let('i32', i32.sub(f.get(length), f.i32(15)));
      f.loop({ counter: at, step: 0, limit: () => f.get(limit) }, () => {
        const element = f.let('i32', this.#element(at));
        const isLess = (part: number): Expression => {
          const found = vectorKeys(f, sort, v128.load(16 * part, 4, f.get(element)));
          return i32x4.lt_u(found, i32x4.splat(f.get(bound)));
        };
        const halves = [0, 2].map((part) => f.let('v128', v128.or(isLess(part), isLess(part + 1))));
        f.when(
          v128.any_true(v128.or(f.get(halves[0]), f.get(halves[1]))),
          () => {
            const stop = f.let('i32', i32.add(f.get(at), f.i32(16)));
            f.loop({ counter: at, step: 0, limit: () => f.get(stop), nonEmpty: true }, collect);
          },
          () => f.set(at, i32.add(f.get(at), f.i32(16))),
        );
      });
    }
    f.loop({ counter: at, step: 0, limit: () => f.get(length) }, collect);
    drop();
    this.#finish(this.entries);
  }

  /** Calls a function of `radix.ts` on the entries. @returns a local with the address of the result */
  #sortEntries(name: string, other: Expression, size: Expression): number {
    const { f } = this;
    const { i32 } = f.module;
    f.statement(f.module.call(name, [f.get(this.entries), other, size, f.get(work)], f.binaryen.none));
    return f.let('i32', i32.load(resultOffset, 4, f.get(work)), 'sorted');
  }

  #storePair(to: Expression, position: Expression): void {
    const { f } = this;
    const { i32 } = f.module;
    const [target, at] = [f.let('i32', to), f.let('i32', position)];
    const key = f.let('i32', loadKey(f, this.sort, this.#element(at)));
    f.statement(i32.store(0, 4, f.get(target), f.get(at)));
    f.statement(i32.store(4, 4, f.get(target), f.get(key)));
  }

  /** What is wanted of the first pairs. */
  #finish(sorted: number): void {
    const { f, sort } = this;
    const { i32 } = f.module;
    const at = f.newLocal('i32', 'at');
    f.loop({ counter: at, start: f.i32(0), step: 1, limit: () => f.get(count) }, () => {
      const position = f.let('i32', i32.load(0, 4, entryAt(f, pairEntries, f.get(sorted), f.get(at))));
      if (sort.positions) {
        f.statement(i32.store(0, 4, entryAt(f, keyEntries, f.get(positions), f.get(at)), f.get(position)));
      }
      if (sort.values) f.statement(copyElement(f, sort.dtype, this.#element(at, values), this.#element(position)));
    });
  }

  /** The address of an element of the row, or of the values. */
  #element(at: number, base = keys): Expression {
    const { f } = this;
    const { i32 } = f.module;
    const bytes = byteSize(this.sort.dtype);
    const offset = bytes === 1 ? f.get(at) : i32.shl(f.get(at), f.i32(bytes === 2 ? 1 : 2));
    return i32.add(f.get(base), offset);
  }
}
