/**
 * Long rows in few: a reduction of a whole array, or of a handful of rows, in two phases. The order of sums starts a
 * new partial sum for every `reductionBlock` elements, so blocks can be computed by themselves, wherever and whenever;
 * what they come to is combined in order afterwards, as one sweep over the row would have done. No bit changes.
 *
 *     reduce i < 4194304 { load x[i] } -> sum; store y[0]
 *
 *     phase 1, 256 tiles     16 blocks each: eight partial sums to shared[block]
 *     phase 2, 1 tile        the partial sums of 4096 blocks in order; the sum; the store
 */
import { ceilDivDims, type Dim, dimBounds, dimProduct, isStatic, mulDims } from '../../base/dim.ts';
import {
  type Axis,
  type KernelNode,
  type Let,
  type Loop,
  type Reduce,
  reductionBlock,
  reductionLanes,
} from '../../ir/kernel.ts';
import { likelyExtent } from '../common/cost.ts';
import type { Unit } from '../common/units.ts';
import type { AccumulatorCode, Sweep } from './accumulator-state.ts';
import { beginAccumulator } from './accumulators.ts';
import type { Expression } from './math/emitter.ts';
import type { NestEmitter } from './nest.ts';
import type { Plan } from './plan.ts';
import { Round } from './reduce.ts';
import { emitRows, outerLoops } from './tiles.ts';

/** Blocks that a tile of the first phase takes. */
const blocksOfTile = 16;
/** More rows are shared row by row; shorter rows are not worth a phase. */
const mostRows = 8;
const leastElements = 65536;

export interface Partials {
  readonly prefix: readonly Loop[];
  /** Plain values before the reduction, and what comes after it. */
  readonly lets: readonly Let[];
  readonly reduce: Reduce;
  readonly axis: Axis;
  readonly after: readonly KernelNode[];
}

export function matchPartials({ nodes }: Unit, plan: Plan): Partials | undefined {
  const prefix = nodes.length === 1 ? outerLoops(nodes[0], plan) : [];
  const innermost = prefix.at(-1);
  if (innermost && plan.isVector(innermost)) return undefined;
  const body = innermost?.body ?? nodes;
  const place = body.findIndex((node) => node.kind === 'reduce');
  const reduce = body[place];
  if (reduce?.kind !== 'reduce' || !plan.isVector(reduce) || reduce.axes.length !== 1) return undefined;
  const before = body.slice(0, place);
  const after = body.slice(place + 1);
  const lets = before.filter((node) => node.kind === 'let');
  if (lets.length < before.length || !after.every(({ kind }) => kind === 'let' || kind === 'store')) return undefined;
  if (!reduce.body.every(({ kind }) => kind === 'let')) return undefined;
  const inBlocks = reduce.order === 'blocks';
  if (reduce.accumulators.some((a) => a.kind === 'tuple' || (inBlocks && a.dtype === 'float32'))) return undefined;
  const [axis] = reduce.axes;
  const rows = prefix.reduce((count, loop) => count * likelyExtent(loop.axis.extent), 1);
  if (rows > mostRows || dimBounds(axis.extent)[0] < leastElements) return undefined;
  return { prefix, lets, reduce, axis, after };
}

/** Builds the function of a unit; gives the tiles of its phases. */
export function emitPartials(emitter: NestEmitter, unit: Unit, partials: Partials, name: string): readonly Dim[] {
  const { env } = emitter;
  const { f } = env;
  const { i32 } = f.module;
  const { prefix, reduce, axis } = partials;
  const rows = dimProduct(prefix.map((loop) => loop.axis.extent));
  const blocks = ceilDivDims(axis.extent, reductionBlock);
  const tilesOfRow = ceilDivDims(blocks, blocksOfTile);
  const first = mulDims(rows, tilesOfRow);
  const begin = (flushes: boolean): AccumulatorCode[] => {
    const sweep: Sweep = { across: true, copies: 1, flushes };
    return reduce.accumulators.map((accumulator) => beginAccumulator(emitter, accumulator, reduce.order, sweep));
  };
  const shared = `${name}partials`;
  let vectors = 0;
  const row = f.newLocal('i32', 'row');
  /** The address of the state of a block of the row. */
  const stateOf = (block: Expression): Expression => {
    const at = i32.add(i32.mul(f.get(row), f.size(blocks)), block);
    return i32.add(f.base(shared), i32.mul(at, f.i32(16 * vectors)));
  };
  const inRow = (body: () => void): void => {
    if (prefix.length === 0) body();
    else emitRows(emitter, { tiles: rows, prefix, rows: 1 }, () => f.get(row), body);
  };
  emitter.emit(unit.lets);
  const tile = f.newLocal('i32', 'tile');
  const firstEnd = f.let(
    'i32',
    f.least(
      () => f.get(2),
      () => f.size(first),
    ),
  );
  f.loop({ counter: tile, start: f.get(1), step: 1, limit: () => f.get(firstEnd) }, () => {
    f.set(row, i32.div_u(f.get(tile), f.size(tilesOfRow)));
    const block = f.let('i32', i32.mul(i32.rem_u(f.get(tile), f.size(tilesOfRow)), f.i32(blocksOfTile)), 'block');
    const later = f.let('i32', i32.add(f.get(block), f.i32(blocksOfTile)));
    const end = f.let(
      'i32',
      f.least(
        () => f.get(later),
        () => f.size(blocks),
      ),
    );
    inRow(() => {
      emitter.emit(partials.lets);
      f.loop({ counter: block, step: 1, limit: () => f.get(end), nonEmpty: true }, () => {
        const codes = begin(false);
        sweepBlock(new Round(emitter, reduce, axis, { across: true, copies: 1, flushes: false }, codes), block);
        const states = codes.flatMap((code) => code.state?.inner ?? []);
        vectors = states.length;
        const address = f.let('i32', stateOf(f.get(block)));
        states.forEach(([local], at) => {
          f.statement(f.module.v128.store(16 * at, 4, f.get(address), f.get(local)));
        });
      });
    });
  });
  f.layout.addShared(shared, 'float32', dimProduct([rows, blocks, 4 * vectors]));
  const last = f.let(
    'i32',
    f.greatest(
      () => f.get(1),
      () => f.size(first),
    ),
  );
  f.loop({ counter: last, step: 1, limit: () => f.get(2) }, () => {
    f.set(row, i32.sub(f.get(last), f.size(first)));
    inRow(() => {
      emitter.emit(partials.lets);
      const codes = begin(true);
      const address = f.let('i32', stateOf(f.i32(0)));
      const block = f.newLocal('i32', 'block');
      f.loop({ counter: block, start: f.i32(0), step: 1, limit: () => f.size(blocks), nonEmpty: true }, () => {
        let at = 0;
        for (const code of codes) {
          const state = (code.state?.inner ?? []).map(() =>
            f.let('v128', f.module.v128.load(16 * at++, 4, f.get(address))),
          );
          code.absorb?.(state);
        }
        f.set(address, i32.add(f.get(address), f.i32(16 * vectors)));
      });
      for (const code of codes) code.finish();
      emitter.emit(partials.after);
    });
  });
  return [first, rows];
}

/** The elements of one block, across two vectors a round; the last block may end in the middle of one. */
function sweepBlock(round: Round, block: number): void {
  const { f, axis } = round;
  const { i32 } = f.module;
  const counter = f.let('i32', i32.mul(f.get(block), f.i32(reductionBlock)), axis.name);
  const later = f.let('i32', i32.add(f.get(counter), f.i32(reductionBlock)));
  const end = f.let(
    'i32',
    f.least(
      () => f.get(later),
      () => round.extent(),
    ),
  );
  const whole = isStatic(axis.extent) && axis.extent % reductionLanes === 0;
  const full = whole ? end : f.let('i32', i32.and(f.get(end), f.i32(-reductionLanes)));
  f.loop({ counter, step: reductionLanes, limit: () => f.get(full), nonEmpty: whole }, () => round.across(counter));
  if (whole) return;
  for (const slot of [0, 1]) {
    f.when(i32.lt_s(f.get(counter), f.get(end)), () => {
      const remaining = f.let('i32', i32.sub(f.get(end), f.get(counter)));
      round.across(counter, { slot, remaining });
      f.set(counter, i32.add(f.get(counter), f.i32(4)));
    });
  }
}
