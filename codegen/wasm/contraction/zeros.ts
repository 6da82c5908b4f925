/**
 * Steps that add nothing. The left factor of attention's last contraction is a row of probabilities, which begins or
 * ends in zeros where positions are masked. A product with zero is zero if the other factor is finite, and adding zero
 * changes no bit of a sum that began at zero. So a tile may leave out the steps before the first and after the last
 * element of its rows that is not zero, if it is known that the right factor is finite.
 *
 *     left rows   0 0 0 0 3 1 0 0 0 0 0 0        steps 4 to 8 of 12
 *                 0 0 0 0 0 5 2 0 0 0 0 0
 */
import { type Dim, floorDivDims, modDims, mulDims } from '../../../base/dim.ts';
import type { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';

/** Rows of float32 in memory, each element beside the next. */
export interface RowsInMemory {
  /** A local with the address of the first element of the first row. */
  readonly at: number;
  readonly rows: number;
  /** Bytes from row to row; four elements may be read at each multiple of four of the length. */
  readonly stride: Dim;
  readonly length: Dim;
}

/** Locals with the first step and the end of those that a tile needs: all where `finite` is 0. */
export function emitNeededSteps(
  f: FunctionBuilder,
  rows: RowsInMemory,
  finite: Expression,
): { readonly begin: number; readonly end: number } {
  const { i32, v128 } = f.module;
  const begin = f.let('i32', f.i32(0), 'begin');
  const end = f.let('i32', f.size(rows.length), 'end');
  const pointers = Array.from({ length: rows.rows }, (_, row) =>
    row === 0 ? rows.at : f.let('i32', i32.add(f.get(rows.at), f.size(mulDims(rows.stride, row)))),
  );
  /** Whether any of four elements of the rows is not zero, after the sign is shifted out. */
  const isNeeded = (position: number, counted?: Expression): Expression => {
    const offset = f.let('i32', i32.shl(f.get(position), f.i32(2)));
    const loaded = pointers.map((pointer) => v128.load(0, 4, i32.add(f.get(pointer), f.get(offset))));
    const all = f.module.i32x4.shl(
      loaded.reduce((a, b) => v128.or(a, b)),
      f.i32(1),
    );
    return v128.any_true(counted === undefined ? all : v128.and(all, counted));
  };
  f.when(finite, () => {
    const whole = mulDims(floorDivDims(rows.length, 4), 4);
    const rest = modDims(rows.length, 4);
    if (rest !== 0) {
      const last = f.let('i32', f.size(whole));
      const counted = f.module.i32x4.lt_s(f.lanes([0, 1, 2, 3]), f.module.i32x4.splat(f.size(rest)));
      const skip = (): void => f.set(end, f.get(last));
      f.when(i32.eqz(isNeeded(last, counted)), skip);
    }
    const fromEnd = f.let('i32', i32.sub(f.size(whole), f.i32(4)));
    f.when(i32.eq(f.get(end), f.size(whole)), () => {
      const round = f.newLocal('i32');
      f.loop({ counter: round, start: f.i32(0), step: 4, limit: () => f.size(whole) }, (done) => {
        f.statement(f.module.br_if(done, isNeeded(fromEnd)));
        f.set(end, f.get(fromEnd));
        f.set(fromEnd, i32.sub(f.get(fromEnd), f.i32(4)));
      });
    });
    const last = f.let('i32', i32.and(f.get(end), f.i32(-4)));
    f.loop({ counter: begin, start: f.i32(0), step: 4, limit: () => f.get(last) }, (done) => {
      f.statement(f.module.br_if(done, isNeeded(begin)));
    });
  });
  return { begin, end };
}

/** Sets a local to 0 if there is an infinity or a NaN among the float32 elements of a packed factor. */
export function emitIsFinite(f: FunctionBuilder, memory: string, bytes: Dim, finite: number): void {
  const { i32, i32x4, v128 } = f.module;
  const greatest = f.let('v128', f.splat('int32', 0), 'greatest');
  const at = f.let('i32', f.base(memory));
  const end = f.let('i32', i32.add(f.get(at), f.size(bytes)));
  f.loop({ counter: at, step: 32, limit: () => f.get(end) }, () => {
    for (const offset of [0, 16]) {
      const magnitude = v128.and(v128.load(offset, 4, f.get(at)), f.splat('int32', 0x7fffffff));
      f.set(greatest, i32x4.max_u(f.get(greatest), magnitude));
    }
  });
  const infinity = f.splat('int32', 0x7f800000);
  f.set(finite, i32x4.all_true(i32x4.lt_u(f.get(greatest), infinity)));
}
