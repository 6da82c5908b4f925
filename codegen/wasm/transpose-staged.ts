/**
 * Transposes of bytes whose rows lie a multiple of 512 bytes apart: lines of a block fall into the same few sets of a
 * cache, and as a register tile uses eight bytes of a line of 64, they are driven out before they are used up. So a block
 * is first copied to scratch memory, whole lines at a time, whose rows lie a little further apart.
 *
 *     y[1024*i + j] = x[1024*j + i]
 *
 *     for blocks of 256 j and 64 i
 *       rows[80*(j - j0) + i - i0] = x[1024*j + i]      rows of 64 bytes
 *       y[1024*i + j] = rows[80*(j - j0) + i - i0]      tiles in registers, as everywhere
 *
 * Elements of four bytes lose by it: their tiles use half a line at a time, and the copy costs more than it saves.
 */
import { type Dim, isStatic } from '../../base/dim.ts';
import type { Axis, IndexExpression } from '../../ir/kernel.ts';
import { coefficientOf, valuesOfIndex } from '../common/linear-index.ts';
import { addressExpression, addressOf } from './addressing.ts';
import type { Expression } from './math/emitter.ts';
import type { NestEmitter } from './nest.ts';
import type { RecordLayout } from './record.ts';
import type { Transpose } from './transpose.ts';
import type { ByteMove } from './transpose-bytes.ts';

/** Positions on an axis: `[start, end)`. */
export type Range = readonly [start: () => Expression, end: () => Expression];

export interface Ranges {
  readonly down: Range;
  readonly across: Range;
  /** Whether both are multiples of any tile. */
  readonly isWhole?: boolean;
}

/** Elements of a block along either axis; one block takes all of an axis that is up to half as long again. */
const usualDown = 64;
const usualAcross = 256;
/** Strides in bytes whose multiples conflict. */
const period = 512;
/** Bytes between the rows of scratch memory. */
const gap = 16;
const rows = 'turned_rows';

interface Staged {
  readonly down: number;
  readonly across: number;
  /** From the array to scratch memory, and from there to the result. */
  readonly copy: ByteMove;
  readonly turn: ByteMove;
}

const sideOf = (extent: Dim, usual: number): number => (!isStatic(extent) ? 1 : extent <= 1.5 * usual ? extent : usual);
/** The axis that says where a block begins. */
const originOf = (axis: string): string => `${axis}_origin`;

/** The blocks of a transpose whose rows conflict; reserves their scratch memory. */
export function stage(
  { down, across, mayRepeat }: Transpose,
  move: ByteMove,
  layout: RecordLayout,
): Staged | undefined {
  const sides = [sideOf(down.axis.extent, usualDown), sideOf(across.axis.extent, usualAcross)];
  if (sides[0] % 16 !== 0 || sides[1] % 8 !== 0) return undefined;
  const isEven = [down, across].every(({ axis }, at) => (axis.extent as number) % sides[at] === 0);
  if (!mayRepeat && !isEven) return undefined;
  const { memory, index } = move.from;
  const stride = coefficientOf(index, across.axis.name);
  if (stride === undefined || !isStatic(stride) || stride % period !== 0) return undefined;
  if (coefficientOf(index, down.axis.name) !== 1 || valuesOfIndex(index).length > 0) return undefined;
  const apart = sides[0] + gap;
  const term = (coefficient: number, axis: string) => ({ coefficient, factor: { kind: 'axis', axis } as const });
  const ofAxis = (coefficient: number, { name }: Axis) => [term(coefficient, name), term(-coefficient, originOf(name))];
  const place: IndexExpression = { offset: 0, terms: [...ofAxis(apart, across.axis), ...ofAxis(1, down.axis)] };
  const staged = { memory: rows, index: place };
  layout.addScratch(rows, layout.dtypeOf(memory), apart * sides[1]);
  return {
    down: sides[0],
    across: sides[1],
    copy: { from: move.from, to: staged },
    turn: { from: staged, to: move.to },
  };
}

/** Builds the loops over the blocks of `ranges`; `turn` builds what turns the tiles of one. */
export function emitStaged(
  emitter: NestEmitter,
  { down, across }: Transpose,
  staged: Staged,
  ranges: Ranges,
  turn: (parts: Ranges) => void,
): void {
  blocks(emitter, across.axis, staged.across, ranges.across, (acrossPart) =>
    blocks(emitter, down.axis, staged.down, ranges.down, (downPart, origin) => {
      const { env } = emitter;
      const { f } = env;
      const atOrigin = { local: origin, delta: 0, scope: f.scope };
      const row = f.newLocal('i32', `${across.axis.name}_row`);
      f.loop({ counter: row, start: acrossPart[0](), step: 1, limit: acrossPart[1], nonEmpty: true }, () => {
        const atRow = { local: row, delta: 0, scope: f.scope, step: 1 };
        env.withAxis(down.axis.name, atOrigin, () =>
          env.withAxis(across.axis.name, atRow, () => copyRow(emitter, staged.copy, staged.down)),
        );
      });
      turn({ down: downPart, across: acrossPart, isWhole: true });
    }),
  );
}

/** A loop over the blocks of an axis, of which the last begins early where it would be cut. */
function blocks(
  { env }: NestEmitter,
  { name, extent }: Axis,
  side: number,
  [start, limit]: Range,
  build: (part: Range, origin: number) => void,
): void {
  const { f } = env;
  const { i32 } = f.module;
  const counter = f.newLocal('i32', `${name}_part`);
  f.loop({ counter, start: start(), step: side, limit, nonEmpty: true }, () => {
    const last = (extent as number) - side;
    const fitted = (): Expression =>
      f.least(
        () => f.get(counter),
        () => f.i32(last),
      );
    const origin = (extent as number) % side === 0 ? counter : f.let('i32', fitted());
    const end = f.let('i32', i32.add(f.get(origin), f.i32(side)));
    env.withAxis(originOf(name), { local: origin, delta: 0, scope: f.scope }, () =>
      build([() => f.get(origin), () => f.get(end)], origin),
    );
  });
}

function copyRow({ env }: NestEmitter, { from, to }: ByteMove, length: number): void {
  const { f } = env;
  const { v128 } = f.module;
  const [source, target] = [from, to].map(({ memory, index }) => addressOf(env, memory, 1, index));
  for (let at = 0; at < length; at += 16) {
    const vector = v128.load(source.offset + at, 1, addressExpression(env, source));
    f.statement(v128.store(target.offset + at, 1, addressExpression(env, target), vector));
  }
}
