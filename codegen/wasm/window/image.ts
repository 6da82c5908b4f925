/**
 * The image of a contraction over windows, in memory that all calls of a launch share: planes, one for each element of
 * the image's outer axes, of the depth and of the phases, each rows of neighbours.
 *
 *     x[64, 56, 56], 3×3, padding 1, stride 1      [64][1][58][58], the border zeros
 *     x[3, 224, 224], 7×7, padding 3, stride 2     [3][2 * 2][115][115]
 *
 * What the factor computes is computed here, as vector code along a row. The predicate of padding is decided for the
 * middle of a row at once.
 */
import { addDims, isStatic } from '../../../base/dim.ts';
import { byteSize } from '../../../base/dtype.ts';
import type { IndexExpression, IndexTerm, Let, ScalarId } from '../../../ir/kernel.ts';
import { normalizeIndex } from '../../common/linear-index.ts';
import type { KernelFacts } from '../../common/walk.ts';
import { Environment } from '../environment.ts';
import { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';
import { NestEmitter } from '../nest.ts';
import { planNodes } from '../plan.ts';
import { atPlaces, type CountedAxis, type Direction, type WindowContraction } from './match.ts';

/** Elements behind the last plane that loads of a tile may touch: those of two vectors. */
const slack = 16;

/** The axes of a plane, and the one that stands for its first element. */
const [rowAxis, columnAxis, placeAxis] = ['$u', '$v', '$place'];

const axisTerm = (axis: string, coefficient = 1): IndexTerm => ({ coefficient, factor: { kind: 'axis', axis } });
const countOf = (axes: readonly CountedAxis[]): number => axes.reduce((count, { extent }) => count * extent, 1);
const longest = ({ phases }: Direction): number => Math.max(...phases.map(({ extent }) => extent));

export class Image {
  readonly window: WindowContraction;
  readonly memory: string;
  readonly rows: number;
  /** Elements from row to row. */
  readonly pitch: number;
  /** Planes of one element of the outer axes and of the depth: its phases. */
  readonly phases: number;

  constructor(window: WindowContraction, memory: string) {
    this.window = window;
    this.memory = memory;
    this.rows = longest(window.lines);
    this.pitch = longest(window.columns);
    this.phases = window.lines.phases.length * window.columns.phases.length;
  }

  get plane(): number {
    return this.rows * this.pitch;
  }

  /** Elements of one element of the outer axes. */
  get stride(): number {
    return countOf(this.window.depth) * this.phases * this.plane;
  }

  /** How many parts the image is computed in. */
  get parts(): number {
    return countOf(this.window.imageAxes) * countOf(this.window.depth);
  }

  get elements(): number {
    return this.parts * this.phases * this.plane + slack;
  }

  /** Elements from a position's own to the one a step of the depth and of the taps needs, by the reduce axes' locals. */
  offset(f: FunctionBuilder, local: (axis: CountedAxis) => Expression): Expression {
    const { i32 } = f.module;
    const { depth, lines, columns } = this.window;
    const channel = depth.reduce<Expression | undefined>(
      (at, axis) => (at === undefined ? local(axis) : i32.add(i32.mul(at, f.i32(axis.extent)), local(axis))),
      undefined,
    );
    const along = ({ tap, stride, dilation, phases }: Direction): readonly [Expression, Expression] => {
      if (!tap) return [f.i32(0), f.i32(0)];
      const place = f.let('i32', i32.mul(local(tap), f.i32(dilation)));
      const phase = i32.rem_u(f.get(place), f.i32(stride));
      // Phases that no tap looks at are not kept: the number of a phase is how many before it are.
      const number = phases
        .slice(1)
        .reduce(
          (count, each) => i32.add(count, i32.ge_u(i32.rem_u(f.get(place), f.i32(stride)), f.i32(each.phase))),
          f.i32(0),
        );
      return [phases.length === stride ? phase : number, i32.div_u(f.get(place), f.i32(stride))];
    };
    const [linePhase, row] = along(lines);
    const [columnPhase, column] = along(columns);
    const phase = i32.add(i32.mul(linePhase, f.i32(columns.phases.length)), columnPhase);
    const plane = channel === undefined ? phase : i32.add(i32.mul(channel, f.i32(this.phases)), phase);
    const inPlane = i32.add(i32.mul(row, f.i32(this.pitch)), column);
    return i32.add(i32.mul(plane, f.i32(this.plane)), inPlane);
  }
}

/** Builds `stage(record, ...imageAxes, ...depth, place)`: computes the planes at element `place` of the image. */
export function buildStage(outer: FunctionBuilder, facts: KernelFacts, image: Image): FunctionBuilder {
  const { window, memory, plane } = image;
  const { lines, columns } = window;
  const axes = [...window.imageAxes, ...window.depth];
  const names = ['record', ...axes.map(({ name }) => name), 'place'];
  const f = new FunctionBuilder(outer.binaryen, outer.module, outer.layout, names);
  const env = new Environment(f, facts);
  const plan = planNodes([], new Set());
  axes.forEach(({ name }, i) => {
    env.axes.set(name, { local: 1 + i, delta: 0, scope: f.root });
  });
  env.axes.set(placeAxis, { local: names.length - 1, delta: 0, scope: f.root });
  lines.phases.forEach((line, i) => {
    columns.phases.forEach((column, j) => {
      const at = (axis: string, { stride }: Direction, phase: number): IndexExpression => ({
        offset: phase,
        terms: [axisTerm(axis, stride)],
      });
      const lets = atPlaces(window.sum.right.lets, [
        { direction: lines, at: at(rowAxis, lines, line.phase) },
        { direction: columns, at: at(columnAxis, columns, column.phase) },
      ]);
      const index: IndexExpression = {
        offset: (i * columns.phases.length + j) * plane,
        terms: [axisTerm(placeAxis), axisTerm(rowAxis, image.pitch), axisTerm(columnAxis)],
      };
      new NestEmitter(env, plan).scalarLoop(rowAxis, line.extent, () => {
        for (const part of partsOfRow(lets, column.extent)) {
          // Parts give the same values other definitions.
          const emitter = new NestEmitter(env, plan);
          const before = new Map(env.values);
          const span = { start: () => f.i32(part.from), limit: () => f.i32(part.to), count: part.to - part.from };
          emitter.vectorLoop(columnAxis, { ...span, multiple: span.count }, part.copies, () => {
            emitter.emit(part.lets);
            const { value } = window.sum.right;
            emitter.emit([{ kind: 'store', memory, index, value, combine: 'assign' }]);
          });
          env.values.clear();
          for (const [id, known] of before) env.values.set(id, known);
        }
      });
    });
  });
  return f;
}

interface RowPart {
  readonly from: number;
  readonly to: number;
  readonly lets: readonly Let[];
  readonly copies: number;
}

/** A row cut where comparisons of the column with numbers change: in the middle part all of them hold. */
function partsOfRow(lets: readonly Let[], extent: number): readonly RowPart[] {
  const definitions = new Map(lets.map((node) => [node.id, node]));
  let [from, to] = [0, extent];
  const held = new Set<ScalarId>();
  for (const node of lets) {
    const range = rangeOf(node, definitions);
    if (!range) continue;
    [from, to] = [Math.max(from, range[0]), Math.min(to, range[1])];
    held.add(node.id);
  }
  if (held.size === 0 || from >= to) return [{ from: 0, to: extent, lets, copies: 2 }];
  const middle = lets.map(
    (node): Let => (held.has(node.id) ? { ...node, expression: { kind: 'constant', value: 1 } } : node),
  );
  const parts: RowPart[] = [
    { from: 0, to: from, lets, copies: 1 },
    { from, to, lets: middle, copies: 2 },
    { from: to, to: extent, lets, copies: 1 },
  ];
  return parts.filter((part) => part.from < part.to);
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
  const bytes = byteSize(image.window.sum.dtype);
  const { i32, memory } = f.module;
  const at = i32.add(f.base(image.memory), f.i32((image.elements - slack) * bytes));
  f.statement(memory.fill(at, f.i32(0), f.i32(slack * bytes)));
}
