/**
 * Images that windows look at, in scratch memory: planes, one for each element of the axes that are no positions and
 * for each phase, each rows of neighbours.
 *
 *     x[64, 56, 56], 3×3, padding 1, stride 1      [64][1][58][58], the border zeros
 *     x[3, 224, 224], 7×7, padding 3, stride 2     [3][2 * 2][115][115]
 *
 * What the factor computes is computed here, as vector code along a row. The predicate of padding is decided for the
 * middle of a row at once.
 */
import { addDims, isStatic } from '../../../base/dim.ts';
import { byteSize, type DType } from '../../../base/dtype.ts';
import type { IndexExpression, IndexTerm, Let, ScalarId } from '../../../ir/kernel.ts';
import { coefficientOf, normalizeIndex } from '../../common/linear-index.ts';
import type { KernelFacts } from '../../common/walk.ts';
import { Environment } from '../environment.ts';
import { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';
import { NestEmitter } from '../nest.ts';
import { planNodes } from '../plan.ts';
import { atPlaces, type CountedAxis, countOf, type Direction, phaseCount } from './directions.ts';

/** Elements behind the last plane that loads may touch: those of a round of vectors. */
export const slack = 16;

/** The axes of a plane, and the one that stands for its first element. */
const [rowAxis, columnAxis, placeAxis] = ['$u', '$v', '$place'];

const axisTerm = (axis: string, coefficient = 1): IndexTerm => ({ coefficient, factor: { kind: 'axis', axis } });
const longest = ({ phases }: Direction): number => Math.max(...phases.map(({ extent }) => extent));

/** What an image is made of. */
export interface ImageSource {
  readonly value: ScalarId;
  readonly dtype: DType;
  /** The definitions of the value, over positions and taps. */
  readonly lets: readonly Let[];
  readonly lines: Direction;
  readonly columns: Direction;
  /** Other axes that the value depends on: each of their elements has planes of its own. */
  readonly axes: readonly CountedAxis[];
}

export class Image {
  readonly source: ImageSource;
  readonly memory: string;
  /** Lines of positions whose windows it holds. */
  readonly lines: number;
  readonly rows: number;
  /** Elements from row to row. */
  readonly pitch: number;
  /** Planes of one element of the axes: its phases. */
  readonly phases: number;

  /** Whether planes are larger than what is computed; the rest is zero. */
  readonly isWider: boolean;

  /**
   * @param lines lines of positions to hold at a time: all unless given
   * @param size of a plane, where it is larger than what windows look at
   */
  constructor(
    source: ImageSource,
    memory: string,
    lines = source.lines.position?.extent ?? 1,
    size?: { readonly rows: number; readonly pitch: number },
  ) {
    this.source = source;
    this.memory = memory;
    this.lines = lines;
    const rows = longest(source.lines) - (source.lines.position?.extent ?? 1) + lines;
    const pitch = longest(source.columns);
    this.rows = size?.rows ?? rows;
    this.pitch = size?.pitch ?? pitch;
    this.isWider = this.rows > rows || this.pitch > pitch;
    this.phases = phaseCount(source.lines) * phaseCount(source.columns);
  }

  get plane(): number {
    return this.rows * this.pitch;
  }

  /** Elements of one element of the axes, and of the vector that the last row may run into. */
  get part(): number {
    return this.phases * this.plane + 4;
  }

  /** How many parts the image is computed in. */
  get parts(): number {
    return countOf(this.source.axes);
  }

  /** How far the element at some taps is from that at a position's own place. */
  tapOffset(taps: ReadonlyMap<string, number>): number {
    const { lines, columns } = this.source;
    const along = ({ tap, stride, dilation }: Direction, phase: number, step: number): number => {
      const place = tap ? dilation * (taps.get(tap.name) ?? 0) : 0;
      return phase * (place % stride) + step * Math.floor(place / stride);
    };
    return along(lines, phaseCount(columns) * this.plane, this.pitch) + along(columns, this.plane, 1);
  }

  /** The same as an index over the axes of the taps. */
  tapIndex(): IndexExpression {
    const { lines, columns } = this.source;
    const along = ({ tap, stride, dilation }: Direction, phase: number, step: number): readonly IndexTerm[] => {
      if (!tap) return [];
      const dividend = { offset: 0, terms: [axisTerm(tap.name, dilation)] };
      if (stride === 1) return [axisTerm(tap.name, step * dilation)];
      return [
        { coefficient: phase, factor: { kind: 'mod', dividend, divisor: stride } },
        { coefficient: step, factor: { kind: 'floordiv', dividend, divisor: stride } },
      ];
    };
    const ofLines = along(lines, phaseCount(columns) * this.plane, this.pitch);
    return { offset: 0, terms: [...ofLines, ...along(columns, this.plane, 1)] };
  }
}

/** Elements of an image kept whole. */
export const imageElements = (image: Image): number => image.parts * image.part + slack;

/** The axis that stands for the first line of positions. */
const firstAxis = '$first';

/**
 * Builds `stage(record, ...axes, place, first)`: computes the planes at element `place` of the image, for windows from
 * line `first` of the positions on.
 */
export function buildStage(outer: FunctionBuilder, facts: KernelFacts, image: Image): FunctionBuilder {
  const { source, memory, plane } = image;
  const { lines, columns, axes } = source;
  const names = ['record', ...axes.map(({ name }) => name), 'place', 'first'];
  const f = new FunctionBuilder(outer.binaryen, outer.module, outer.layout, names);
  const env = new Environment(f, facts);
  const plan = planNodes([], new Set());
  [...axes.map(({ name }) => name), placeAxis, firstAxis].forEach((name, i) => {
    env.axes.set(name, { local: 1 + i, delta: 0, scope: f.root });
  });
  const first = names.length - 1;
  if (image.isWider) {
    const { i32, memory: whole } = f.module;
    const bytes = byteSize(source.dtype);
    const at = i32.add(f.base(memory), i32.mul(f.get(first - 1), f.i32(bytes)));
    f.statement(whole.fill(at, f.i32(0), f.i32(image.part * bytes)));
  }
  for (const line of lines.phases) {
    for (const column of columns.phases) {
      const lets = atPlaces(source.lets, [
        {
          direction: lines,
          at: {
            offset: line.phase,
            terms: [axisTerm(rowAxis, lines.stride), axisTerm(firstAxis, lines.stride)],
          },
        },
        { direction: columns, at: { offset: column.phase, terms: [axisTerm(columnAxis, columns.stride)] } },
      ]);
      const index: IndexExpression = {
        offset: (line.phase * phaseCount(columns) + column.phase) * plane,
        terms: [axisTerm(placeAxis), axisTerm(rowAxis, image.pitch), axisTerm(columnAxis)],
      };
      const reach = line.extent - (lines.position?.extent ?? 1);
      const rows = rowsFrom(f, first, image.lines + reach, line.extent);
      const row = f.newLocal('i32', 'u');
      f.loop({ counter: row, start: f.i32(0), step: 1, limit: rows }, () => {
        env.withAxis(rowAxis, { local: row, delta: 0, scope: f.scope, step: 1, fromZero: true }, () => {
          for (const part of partsOfRow(lets, column.extent)) {
            // Parts give the same values other definitions.
            const emitter = new NestEmitter(env, plan);
            const before = new Map(env.values);
            const count =
              part.isWhole && !image.isWider ? 4 * Math.ceil((part.to - part.from) / 4) : part.to - part.from;
            const span = {
              start: () => f.i32(part.from),
              limit: () => f.i32(part.from + count),
              count,
              multiple: count,
            };
            emitter.vectorLoop(columnAxis, span, part.copies, () => {
              emitter.emit(part.lets);
              emitter.emit([{ kind: 'store', memory, index, value: source.value, combine: 'assign' }]);
            });
            env.values.clear();
            for (const [id, known] of before) env.values.set(id, known);
          }
        });
      });
    }
  }
  return f;
}

/** The smaller of the rows that are held and of those that there are from the first line on. */
function rowsFrom(f: FunctionBuilder, first: number, held: number, all: number): () => Expression {
  if (held >= all) return () => f.i32(all);
  const { i32 } = f.module;
  const rest = f.let('i32', i32.sub(f.i32(all), f.get(first)));
  const rows = f.let(
    'i32',
    f.least(
      () => f.get(rest),
      () => f.i32(held),
    ),
  );
  return () => f.get(rows);
}

interface RowPart {
  readonly from: number;
  readonly to: number;
  readonly lets: readonly Let[];
  readonly copies: number;
  /** Whether whole vectors may be computed and stored, the last beyond the end. */
  readonly isWhole: boolean;
}

/**
 * A row cut where comparisons of the column with numbers change: in the middle part all of them hold. What a part
 * computes beyond its end, the next part or row overwrites.
 */
function partsOfRow(lets: readonly Let[], extent: number): readonly RowPart[] {
  const definitions = new Map(lets.map((node) => [node.id, node]));
  const ranges = new Map<ScalarId, readonly [number, number]>();
  for (const node of lets) {
    const range = rangeOf(node, definitions);
    if (range) ranges.set(node.id, range);
  }
  const cuts = new Set<number>([0, extent]);
  for (const range of ranges.values()) for (const cut of range) if (cut > 0 && cut < extent) cuts.add(cut);
  const ends = [...cuts].sort((a, b) => a - b);
  return ends.slice(1).map((to, i): RowPart => {
    const from = ends[i];
    const known = lets.map((node): Let => {
      const range = ranges.get(node.id);
      const value = range && Number(range[0] <= from && to <= range[1]);
      return value === undefined ? node : { ...node, expression: { kind: 'constant', value } };
    });
    const isWhole = known.every(({ expression }) => {
      if (expression.kind !== 'load') return true;
      const step = coefficientOf(expression.index, columnAxis);
      return step === 0 || step === 1;
    });
    return { from, to, lets: known, copies: to - from > 4 ? 2 : 1, isWhole };
  });
}

/** The columns `[from, to)` where a comparison of the column with a number holds. */
function rangeOf(node: Let, definitions: ReadonlyMap<ScalarId, Let>): readonly [number, number] | undefined {
  const { expression } = node;
  if (expression.kind !== 'apply' || expression.opcode !== 'compare') return undefined;
  const [a, b] = expression.operands.map((id) => definitions.get(id)?.expression);
  if (a?.kind !== 'index' || b?.kind !== 'constant') return undefined;
  const { offset, terms } = normalizeIndex(a.index);
  const [term] = terms;
  if (terms.length !== 1 || term.factor.kind !== 'axis' || term.factor.axis !== columnAxis) return undefined;
  const { coefficient } = term;
  if (!isStatic(coefficient) || !isStatic(offset) || coefficient <= 0) return undefined;
  // coefficient * v + offset against b
  const bound = (b.value - Number(addDims(offset, 0))) / coefficient;
  if (expression.direction === 'GE') return [Math.ceil(bound), Number.POSITIVE_INFINITY];
  if (expression.direction === 'LT') return [Number.NEGATIVE_INFINITY, Math.ceil(bound)];
  return undefined;
}

/** Zeroes what loads may touch behind the last plane. */
export function clearSlack(f: FunctionBuilder, image: Image): void {
  const bytes = byteSize(image.source.dtype);
  const { i32, memory } = f.module;
  const at = i32.add(f.base(image.memory), f.i32(image.parts * image.part * bytes));
  f.statement(memory.fill(at, f.i32(0), f.i32(slack * bytes)));
}
