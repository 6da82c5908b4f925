/**
 * Sorting of entries by their keys, four passes of a least-significant-digit radix sort (Knuth, The Art of Computer
 * Programming 3, 5.2.5) over the bytes of the key; bytes that are the same in all keys are passed over. Entries are
 * keys alone, or pairs of 8 bytes whose lower half is the position, so that pairs are all different and in the order of
 * whole 64-bit numbers. Few pairs are sorted by insertion.
 *
 *     entries at `source`, as much memory at `other`     the result is in one of the two, whose address is written
 *                                                       behind the counts
 */
import type { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';

/** Counts of four digits of 8 bits, and behind them the address of the result. */
const digits = 4;
const buckets = 256;
export const resultOffset = digits * buckets * 4;
/** Bytes of the counts, and of the result's address. */
export const countsBytes = resultOffset + 16;

/** As many entries are sorted by insertion. */
export const fewEntries = 40;

/** What is sorted: the bytes of an entry, and where in it the key is. */
export interface EntryShape {
  readonly bytes: 4 | 8;
  readonly keyOffset: 0 | 4;
}

export const keyEntries: EntryShape = { bytes: 4, keyOffset: 0 };
export const pairEntries: EntryShape = { bytes: 8, keyOffset: 4 };

/** Parameters of the functions that `buildRadixSort` makes. */
export const radixParameters = ['source', 'other', 'length', 'counts'] as const;
const [source, other, length, counts] = [0, 1, 2, 3];

/** The address of an entry. */
export const entryAt = (f: FunctionBuilder, { bytes }: EntryShape, base: Expression, at: Expression): Expression =>
  f.module.i32.add(base, f.module.i32.shl(at, f.i32(bytes === 8 ? 3 : 2)));

/** Builds a function that sorts entries; see `radixParameters`. */
export function buildRadixSort(f: FunctionBuilder, shape: EntryShape): void {
  const { i32 } = f.module;
  const isFew = i32.le_s(f.get(length), f.i32(fewEntries));
  const many = (): void => {
    countDigits(f, shape);
    for (let digit = 0; digit < digits; digit++) distribute(f, shape, digit);
    f.statement(i32.store(resultOffset, 4, f.get(counts), f.get(source)));
  };
  if (shape.bytes === 4) many();
  else {
    f.when(
      isFew,
      () => {
        insert(f);
        f.statement(i32.store(resultOffset, 4, f.get(counts), f.get(source)));
      },
      many,
    );
  }
}

/** `counts[digit][value of the digit]++` for all digits of all keys. */
function countDigits(f: FunctionBuilder, shape: EntryShape): void {
  const { module } = f;
  const { i32 } = module;
  f.statement(module.memory.fill(f.get(counts), f.i32(0), f.i32(resultOffset)));
  const at = f.newLocal('i32', 'at');
  f.loop({ counter: at, start: f.i32(0), step: 1, limit: () => f.get(length) }, () => {
    const key = f.let('i32', i32.load(shape.keyOffset, 4, entryAt(f, shape, f.get(source), f.get(at))), 'key');
    for (let digit = 0; digit < digits; digit++) {
      const place = f.let('i32', countOf(f, digit, f.get(key)));
      const offset = digit * buckets * 4;
      const more = i32.add(i32.load(offset, 4, f.get(place)), f.i32(1));
      f.statement(i32.store(offset, 4, f.get(place), more));
    }
  });
}

/** The address of the count of a key's digit, without the offset of the digit. */
function countOf(f: FunctionBuilder, digit: number, key: Expression): Expression {
  const { i32 } = f.module;
  const shift = 8 * digit - 2;
  const moved = shift < 0 ? i32.shl(key, f.i32(-shift)) : i32.shr_u(key, f.i32(shift));
  return i32.add(f.get(counts), i32.and(moved, f.i32((buckets - 1) << 2)));
}

/** Moves all entries to the other memory in the order of one digit, unless all have the same. */
function distribute(f: FunctionBuilder, shape: EntryShape, digit: number): void {
  const { module } = f;
  const { i32, i64 } = module;
  const offset = digit * buckets * 4;
  const firstKey = i32.load(shape.keyOffset, 4, f.get(source));
  const isSame = i32.eq(i32.load(offset, 4, countOf(f, digit, firstKey)), f.get(length));
  f.when(i32.eqz(isSame), () => {
    const next = f.let('i32', f.get(other), 'next');
    const bucket = f.newLocal('i32', 'bucket');
    f.loop({ counter: bucket, start: f.i32(0), step: 4, limit: () => f.i32(4 * buckets), nonEmpty: true }, () => {
      const place = f.let('i32', i32.add(f.get(counts), f.get(bucket)));
      const count = f.let('i32', i32.load(offset, 4, f.get(place)));
      f.statement(i32.store(offset, 4, f.get(place), f.get(next)));
      f.set(next, entryAt(f, shape, f.get(next), f.get(count)));
    });
    const at = f.newLocal('i32', 'at');
    f.loop({ counter: at, start: f.i32(0), step: 1, limit: () => f.get(length), nonEmpty: true }, () => {
      const entry = f.let('i32', entryAt(f, shape, f.get(source), f.get(at)), 'entry');
      const key = f.let('i32', i32.load(shape.keyOffset, 4, f.get(entry)), 'key');
      const place = f.let('i32', countOf(f, digit, f.get(key)), 'place');
      const target = f.let('i32', i32.load(offset, 4, f.get(place)), 'target');
      if (shape.bytes === 4) f.statement(i32.store(0, 4, f.get(target), f.get(key)));
      else f.statement(i64.store(0, 8, f.get(target), i64.load(0, 8, f.get(entry))));
      f.statement(i32.store(offset, 4, f.get(place), i32.add(f.get(target), f.i32(shape.bytes))));
    });
    const before = f.let('i32', f.get(source));
    f.set(source, f.get(other));
    f.set(other, f.get(before));
  });
}

/** Insertion of pairs as 64-bit numbers. */
function insert(f: FunctionBuilder): void {
  const { module } = f;
  const { i32, i64 } = module;
  const at = f.newLocal('i32', 'at');
  f.loop({ counter: at, start: f.i32(1), step: 1, limit: () => f.get(length) }, () => {
    const to = f.let('i32', entryAt(f, pairEntries, f.get(source), f.get(at)), 'to');
    const pair = f.let('i64', i64.load(0, 8, f.get(to)), 'pair');
    const [again, done] = [f.label('again'), f.label('done')];
    const before = (): Expression => i32.sub(f.get(to), f.i32(8));
    const body = f.inScope(() => {
      f.statement(module.br_if(done, i32.eq(f.get(to), f.get(source))));
      const previous = f.let('i64', i64.load(0, 8, before()));
      f.statement(module.br_if(done, i64.lt_u(f.get(previous), f.get(pair))));
      f.statement(i64.store(0, 8, f.get(to), f.get(previous)));
      f.set(to, before());
      f.statement(module.br(again));
    });
    f.statement(module.block(done, [module.loop(again, module.block(null, body.statements))]));
    f.statement(i64.store(0, 8, f.get(to), f.get(pair)));
  });
}
