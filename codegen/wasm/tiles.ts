/**
 * The split of a unit into tiles. The outermost parallel loops (the prefix) become one range of rows; where even one
 * row is long and its next loop runs across the lanes, that loop is split into columns too:
 *
 *     parallel b < 8 { parallel j < 100000 (vector) {...} }     tile t: row t / 25, columns 4096 * (t % 25) ...
 *     parallel j < 1000 (vector) {...}                          one tile
 *     parallel i < 5000 { parallel j < 64 (vector) {...} }      tile t: rows 256*t ...
 *
 * A tile takes some tens of microseconds, so that a driver can call for a few at a time and threads can share them.
 */
import { ceilDivDims, type Dim, dimProduct, isStatic } from '../../base/dim.ts';
import type { KernelNode, Loop } from '../../ir/kernel.ts';
import { likelyExtent } from '../common/cost.ts';
import type { Unit } from '../common/units.ts';
import type { Expression } from './math/emitter.ts';
import type { NestEmitter, Span } from './nest.ts';
import { wholeSpan } from './nest.ts';
import type { Plan } from './plan.ts';

/** Instructions a tile should take, about. */
const usualCost = 65536;

export interface Tiling {
  readonly tiles: Dim;
  /** Loops that became rows. */
  readonly prefix: readonly Loop[];
  /** Rows of a tile. */
  readonly rows: number;
  /** Elements of a column block of the loop after the prefix, when that is split. */
  readonly columns?: number;
}

/** The perfectly nested parallel loops a node starts with, down to the vector loop. */
export function outerLoops(node: KernelNode, plan: Plan): readonly Loop[] {
  const chain: Loop[] = [];
  for (let at: KernelNode | undefined = node; at?.kind === 'loop' && at.mode === 'parallel'; ) {
    chain.push(at);
    if (plan.isVector(at)) break;
    at = at.body.length === 1 ? at.body[0] : undefined;
  }
  return chain;
}

export function tileUnit({ nodes }: Unit, plan: Plan): Tiling {
  const [node] = nodes;
  if (nodes.length !== 1 || node.kind !== 'loop' || node.mode !== 'parallel') return { tiles: 1, prefix: [], rows: 1 };
  const tileCost = plan.schedule?.tileCost ?? usualCost;
  const chain = outerLoops(node, plan);
  const vector = chain.findIndex((loop) => plan.isVector(loop));
  const longest = vector >= 0 ? vector : chain.length;
  const rowCost = (length: number): number => {
    if (length < chain.length) return plan.cost(chain[length]);
    return chain[length - 1].body.reduce((sum, inner) => sum + plan.cost(inner), 0);
  };
  let length = 0;
  while (length < longest && (rowCost(length) > tileCost || (length === 0 && !isStatic(chain[0].axis.extent))))
    length++;
  const prefix = chain.slice(0, length);
  const rowCount = dimProduct(prefix.map((loop) => loop.axis.extent));
  const cost = Math.max(rowCost(length), 1);
  const split = vector >= 0 && length === vector ? chain[vector] : undefined;
  if (split && (cost > 2 * tileCost || !isStatic(split.axis.extent))) {
    const elements = (tileCost * likelyExtent(split.axis.extent)) / cost;
    const columns = 2 ** Math.min(Math.max(Math.round(Math.log2(elements)), 4), 16);
    const blocks = ceilDivDims(split.axis.extent, columns);
    return { tiles: dimProduct([rowCount, blocks]), prefix, rows: 1, columns };
  }
  const rows = length === 0 ? 1 : Math.max(1, Math.floor(tileCost / cost));
  return { tiles: ceilDivDims(rowCount, rows), prefix, rows };
}

/**
 * Builds the loop over tiles `begin` to `end` (parameters 1 and 2 of the function) and what is inside.
 * @param emitColumns what is done with the columns of a tile, instead of a vector loop
 */
export function emitTiles(emitter: NestEmitter, unit: Unit, tiling: Tiling, emitColumns?: (span: Span) => void): void {
  const { f } = emitter.env;
  const { i32 } = f.module;
  const { prefix, columns } = tiling;
  if (prefix.length === 0 && columns === undefined) {
    f.when(i32.lt_s(f.get(1), f.get(2)), () => {
      emitter.emit(unit.lets);
      emitter.emit(unit.nodes);
    });
    return;
  }
  emitter.emit(unit.lets);
  const chain = outerLoops(unit.nodes[0], emitter.plan);
  const inner = chain[prefix.length];
  const tile = f.newLocal('i32', 'tile');
  f.loop({ counter: tile, start: f.get(1), step: 1, limit: () => f.get(2) }, () => {
    let row = (): Expression => f.get(tile);
    let span: Span | undefined;
    if (columns !== undefined) {
      const { extent } = inner.axis;
      span = columnSpan(emitter, extent, columns, tile, prefix.length > 0);
      const blocks = ceilDivDims(extent, columns);
      const rowLocal = prefix.length > 0 ? f.let('i32', i32.div_u(f.get(tile), f.size(blocks))) : tile;
      row = () => f.get(rowLocal);
    }
    const body = (): void => {
      if (span && emitColumns) emitColumns(span);
      else if (span)
        emitter.vectorLoop(inner.axis.name, span, emitter.plan.copies(inner), () => emitter.emit(inner.body));
      else if (inner) emitter.emitLoop(inner);
      else emitter.emit(prefix[prefix.length - 1].body);
    };
    if (prefix.length === 0) body();
    else emitRows(emitter, tiling, row, body);
  });
}

/** The columns of a tile: `[start, min(start + columns, extent))`. */
function columnSpan(emitter: NestEmitter, extent: Dim, columns: number, tile: number, hasRows: boolean): Span {
  const { f } = emitter.env;
  const { i32 } = f.module;
  const blocks = ceilDivDims(extent, columns);
  const block = hasRows ? i32.rem_u(f.get(tile), f.size(blocks)) : f.get(tile);
  const start = f.let('i32', i32.mul(block, f.i32(columns)), 'start');
  const later = f.let('i32', i32.add(f.get(start), f.i32(columns)));
  const { limit } = wholeSpan(emitter.env, extent);
  const end = f.let(
    'i32',
    f.least(() => f.get(later), limit),
    'end',
  );
  const multiple = isStatic(extent) ? ([64, 8, 4].find((m) => extent % m === 0) ?? 1) : 1;
  return { start: () => f.get(start), limit: () => f.get(end), multiple };
}

/** A loop over the rows of a tile, with the axes of the prefix bound. */
export function emitRows(
  emitter: NestEmitter,
  { prefix, rows }: Tiling,
  tileRow: () => Expression,
  body: () => void,
): void {
  const { env } = emitter;
  const { f } = env;
  const { i32 } = f.module;
  const total = dimProduct(prefix.map((loop) => loop.axis.extent));
  const row = f.newLocal('i32', prefix.length === 1 ? prefix[0].axis.name : 'row');
  const first = f.let('i32', rows === 1 ? tileRow() : i32.mul(tileRow(), f.i32(rows)));
  const later = f.let('i32', i32.add(f.get(first), f.i32(rows)));
  const end = f.let(
    'i32',
    f.least(
      () => f.get(later),
      () => f.size(total),
    ),
  );
  const extents = prefix.map((loop) => loop.axis.extent);
  const locals = prefix.length === 1 ? [row] : decode(emitter, extents, first);
  f.loop({ counter: row, start: f.get(first), step: 1, limit: () => f.get(end), nonEmpty: true }, () => {
    const { scope } = f;
    const bind = (level: number): void => {
      if (level === prefix.length) {
        body();
        return;
      }
      const step = prefix.length === 1 ? { step: 1 } : {};
      env.withAxis(prefix[level].axis.name, { local: locals[level], delta: 0, scope, ...step }, () => bind(level + 1));
    };
    bind(0);
    if (prefix.length > 1) scope.steps.push(carry(emitter, extents, locals, prefix.length - 1));
  });
}

/** The axis positions of a row. */
function decode(emitter: NestEmitter, extents: readonly Dim[], row: number): number[] {
  const { f } = emitter.env;
  const { i32 } = f.module;
  const locals = extents.map((_, level) => f.newLocal('i32', `axis${level}`));
  const rest = f.let('i32', f.get(row));
  for (let level = extents.length - 1; level > 0; level--) {
    f.set(locals[level], i32.rem_u(f.get(rest), f.size(extents[level])));
    f.set(rest, i32.div_u(f.get(rest), f.size(extents[level])));
  }
  f.set(locals[0], f.get(rest));
  return locals;
}

/** Adds one to the last position, with carry. */
function carry(emitter: NestEmitter, extents: readonly Dim[], locals: readonly number[], level: number): Expression {
  const { f } = emitter.env;
  const { i32, local } = f.module;
  const add = local.set(locals[level], i32.add(f.get(locals[level]), f.i32(1)));
  if (level === 0) return add;
  const over = i32.eq(f.get(locals[level]), f.size(extents[level]));
  const wrap = f.module.block(null, [local.set(locals[level], f.i32(0)), carry(emitter, extents, locals, level - 1)]);
  return f.module.block(null, [add, f.module.if(over, wrap)]);
}
