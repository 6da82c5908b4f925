/**
 * Transposes: nests that go through one array along an axis `down` and through another along an axis `across`. Tiles of
 * four by four elements are turned in registers; `across` runs over the lanes and `down` over the copies of a vector,
 * so that the body is computed as in any vector loop.
 *
 *     parallel i < 1024 { parallel j < 4096 { %0 = load x[1024*j + i]; store y[4096*i + j] = %0 } }
 *
 *     for blocks of 256 i and 256 j                  what threads share; a page or less of each row
 *       for 8 i                                      8 lines of y grow side by side, 4 lines of x are read at a time
 *         for 4 j: load 8 vectors of x, turn them, store 8 vectors of y
 *
 * Rows of a power of two of bytes lie in the same few places of a cache: no more than a dozen lines are in use at a
 * time. The last tile of an axis that is no multiple of four begins early and computes some elements again.
 */
import { ceilDivDims, type Dim, dimBounds, dimProduct, isStatic } from '../../base/dim.ts';
import type { IndexExpression, Kernel, KernelNode, Loop } from '../../ir/kernel.ts';
import { coefficientOf } from '../common/linear-index.ts';
import type { Unit } from '../common/units.ts';
import { walk } from '../common/walk.ts';
import type { Expression } from './math/emitter.ts';
import type { NestEmitter } from './nest.ts';
import { emitRows, type Tiling } from './tiles.ts';
import { type ByteMove, byteSide, emitByteTile, matchByteMove } from './transpose-bytes.ts';
import { emitStaged, type Range, type Ranges, stage } from './transpose-staged.ts';

/** Elements of a block along either axis, of a strip of it, and of a register tile. */
const block = 256;
const strip = 8;
const side = 4;
/** Elements a call should handle, about. */
const tileElements = 16384;

export interface Transpose {
  /** All loops of the nest but the two, outermost first. */
  readonly others: readonly Loop[];
  readonly down: Loop;
  readonly across: Loop;
  readonly body: readonly KernelNode[];
  /** Whether elements may be computed again: nothing that is read is overwritten. */
  readonly mayRepeat: boolean;
}

/** A nest of parallel loops around plain values and stores that reads along another axis than it writes. */
export function matchTranspose({ nodes }: Unit, { buffers }: Kernel): Transpose | undefined {
  const loops: Loop[] = [];
  let body = nodes;
  for (let [at] = body; body.length === 1 && at.kind === 'loop' && at.mode === 'parallel'; [at] = body) {
    loops.push(at);
    body = at.body;
  }
  if (loops.length < 2 || !body.every((node) => node.kind === 'let' || node.kind === 'store')) return undefined;
  const { loads, stores } = accessesOf(body);
  const fits = (loop: Loop): boolean => dimBounds(loop.axis.extent)[0] >= side;
  const alongside = (index: IndexExpression): Loop | undefined =>
    loops.find((loop) => fits(loop) && coefficientOf(index, loop.axis.name) === 1);
  const across = mostFrequent(stores.map((store) => alongside(store.index)));
  if (!across || stores.some((store) => store.when !== undefined || store.combine !== 'assign')) return undefined;
  const turned = loads.filter((index) => coefficientOf(index, across.axis.name) !== 1);
  const down = mostFrequent(turned.map(alongside).filter((loop) => loop !== across));
  if (!down) return undefined;
  // Each store has to write another element for each pair of positions.
  const pair = [down, across];
  const moves = (index: IndexExpression): boolean =>
    pair.every(({ axis }) => {
      const stride = coefficientOf(index, axis.name);
      return stride !== undefined && stride !== 0;
    });
  if (!stores.every(({ index }) => moves(index))) return undefined;
  // What a tile computes again must not have overwritten what it reads.
  const shared = buffers.some(({ access, inPlaceOf }) => access === 'read_write' || inPlaceOf !== undefined);
  const isWhole = isMultiple(across.axis.extent, side) && isMultiple(down.axis.extent, strip);
  if (shared && !isWhole) return undefined;
  return { others: loops.filter((loop) => !pair.includes(loop)), down, across, body, mayRepeat: !shared };
}

function accessesOf(body: readonly KernelNode[]) {
  const loads: IndexExpression[] = [];
  const stores = [...walk(body)].filter((node) => node.kind === 'store');
  for (const node of walk(body)) {
    if (node.kind === 'let' && node.expression.kind === 'load') loads.push(node.expression.index);
  }
  return { loads, stores };
}

function mostFrequent(loops: readonly (Loop | undefined)[]): Loop | undefined {
  const counts = new Map<Loop, number>();
  for (const loop of loops) if (loop) counts.set(loop, (counts.get(loop) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0];
}

const isMultiple = (extent: Dim, of: number): boolean => isStatic(extent) && extent % of === 0;

/** A loop over the blocks of an axis, or none where there is one block. */
function blocksOf({ axis }: Loop): readonly Loop[] {
  if (isStatic(axis.extent) && axis.extent <= block + block / 2) return [];
  const extent = ceilDivDims(axis.extent, block);
  return [{ kind: 'loop', mode: 'parallel', axis: { name: `${axis.name}_block`, extent }, body: [] }];
}

export function tileTranspose({ others, down, across }: Transpose): Tiling {
  const blocks = [blocksOf(down), blocksOf(across)];
  const inOne = [down, across].reduce((elements, { axis }, i) => {
    const whole = blocks[i].length === 0 && isStatic(axis.extent);
    return elements * (whole ? (axis.extent as number) : block);
  }, 1);
  const prefix = [...others, ...blocks.flat()];
  const rows = Math.max(1, Math.floor(tileElements / inOne));
  return { tiles: ceilDivDims(dimProduct(prefix.map(({ axis }) => axis.extent)), rows), prefix, rows };
}

/** Builds the loop over tiles `begin` to `end`. */
export function emitTranspose(emitter: NestEmitter, unit: Unit, transpose: Transpose, tiling: Tiling): void {
  const { f } = emitter.env;
  emitter.emit(unit.lets);
  const tile = f.newLocal('i32', 'tile');
  f.loop({ counter: tile, start: f.get(1), step: 1, limit: () => f.get(2) }, () => {
    if (tiling.prefix.length === 0) emitBlock(emitter, transpose);
    else
      emitRows(
        emitter,
        tiling,
        () => f.get(tile),
        () => emitBlock(emitter, transpose),
      );
  });
}

/** The positions of a block on one axis: `[start, end)`. */
function blockRange(emitter: NestEmitter, loop: Loop): Range {
  const { f } = emitter.env;
  const { i32 } = f.module;
  const { name, extent } = loop.axis;
  if (blocksOf(loop).length === 0) return [() => f.i32(0), () => f.size(extent)];
  const { local } = emitter.env.axis(`${name}_block`);
  const start = f.let('i32', i32.mul(f.get(local!), f.i32(block)));
  const later = (): Expression => i32.add(f.get(start), f.i32(block));
  const end = f.let(
    'i32',
    f.least(later, () => f.size(extent)),
  );
  return [() => f.get(start), () => f.get(end)];
}

function emitBlock(emitter: NestEmitter, transpose: Transpose): void {
  const { down, across, body } = transpose;
  const ranges = { down: blockRange(emitter, down), across: blockRange(emitter, across) };
  const { layout } = emitter.env.f;
  const isLarge = [down, across].every(({ axis }) => dimBounds(axis.extent)[0] >= byteSide);
  const bytes = isLarge ? matchByteMove(body, layout) : undefined;
  const staged = bytes && stage(transpose, bytes, layout);
  if (!staged) emitTurns(emitter, transpose, bytes, ranges);
  else emitStaged(emitter, transpose, staged, ranges, (parts) => emitTurns(emitter, transpose, staged.turn, parts));
}

/** Turns all tiles of the given positions. */
function emitTurns(
  emitter: NestEmitter,
  { down, across, body }: Transpose,
  bytes: ByteMove | undefined,
  ranges: Ranges,
): void {
  const { env } = emitter;
  const { f } = env;
  const { i32 } = f.module;
  const size = bytes ? byteSide : side;
  const { isWhole = false } = ranges;
  /** A position that leaves room for a register tile. */
  const fitted = (position: () => Expression, extent: Dim): Expression => {
    const last = (): Expression => i32.sub(f.size(extent), f.i32(size));
    return f.least(position, last);
  };
  const [downStart, downEnd] = ranges.down;
  const [acrossStart, acrossEnd] = ranges.across;
  const counter = f.newLocal('i32', `${down.axis.name}_strip`);
  f.loop({ counter, start: downStart(), step: strip, limit: downEnd, nonEmpty: true }, () => {
    const tiles = isStatic(down.axis.extent) && down.axis.extent <= size ? 1 : strip / size;
    const stripScope = f.scope;
    const starts = Array.from({ length: tiles }, (_, at) => {
      const position = (): Expression => i32.add(f.get(counter), f.i32(size * at));
      const fits = isWhole || (tiles * size === strip && isMultiple(down.axis.extent, strip));
      return f.let('i32', fits ? position() : fitted(position, down.axis.extent));
    });
    const at = f.newLocal('i32', across.axis.name);
    f.loop({ counter: at, start: acrossStart(), step: size, limit: acrossEnd, nonEmpty: true }, () => {
      const even = isWhole || isMultiple(across.axis.extent, size);
      const position = even
        ? at
        : f.let(
            'i32',
            fitted(() => f.get(at), across.axis.extent),
          );
      const binding = { local: position, delta: 0, scope: f.scope, ...(even && { step: size }) };
      env.withAxis(across.axis.name, binding, () => {
        for (const start of starts) {
          env.withAxis(down.axis.name, { local: start, delta: 0, scope: stripScope }, () => {
            if (bytes) emitByteTile(env, bytes, down.axis.name, across.axis.name);
            else {
              const lanes = { axis: across.axis.name, copies: size, copyAxis: down.axis.name };
              env.withLanes(lanes, () => emitter.emit(body));
            }
          });
        }
      });
    });
  });
}
