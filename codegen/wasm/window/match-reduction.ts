/**
 * Recognises reductions of windows: depthwise convolutions, pools, and what else reduces an image over taps alone.
 *
 *     parallel c { parallel h { parallel w { reduce r < 3, t < 3 { ... x[3136*c + 56*(h + r) + w + t - 57] ... } } } }
 *
 *     planes [c]      lines h with tap r      columns w with tap t      image: the load from x
 */
import type { ClosedAccumulator, KernelNode, Let, Loop, Reduce, ScalarId } from '../../../ir/kernel.ts';
import { axesOfIndex, coefficientOf } from '../../common/linear-index.ts';
import type { Unit } from '../../common/units.ts';
import { operandsOf, walk } from '../../common/walk.ts';
import { type CountedAxis, countOf, directionOf, flatIndices, isCounted, phaseCount, single } from './directions.ts';
import type { ImageSource } from './image.ts';

export interface WindowReduction {
  readonly image: ImageSource;
  /** The parallel axes that are no positions, outermost first. */
  readonly planes: readonly CountedAxis[];
  /** The body of the innermost loop: the reduction, what comes before it and after. */
  readonly body: readonly KernelNode[];
  readonly reduce: Reduce;
  readonly accumulator: ClosedAccumulator;
  /** What each element of the reduction is made of, in order, the image's element left out. */
  readonly lets: readonly Let[];
  /**
   * The definitions of the image's element, where it is read where it is: a plain load that moves by single elements.
   */
  readonly inPlace: readonly Let[] | undefined;
  /** Whether these depend on positions. */
  readonly dependsOnPosition: boolean;
}

/** Taps that are written out one after the other. */
const mostTaps = 64;
const mostPhases = 16;
const leastColumns = 4;
const kinds: readonly string[] = ['sum', 'max', 'min'];

/** The reduction of windows that a unit is, if it is one. */
export function matchWindowReduction(unit: Unit, written: ReadonlySet<string>): WindowReduction | undefined {
  const loops: Loop[] = [];
  let body: readonly KernelNode[] = unit.nodes;
  while (body.length === 1 && body[0].kind === 'loop' && body[0].mode === 'parallel') {
    loops.push(body[0]);
    body = body[0].body;
  }
  const axes = loops.map(({ axis }) => axis);
  const reduces = body.filter((node): node is Reduce => node.kind === 'reduce');
  const [reduce] = reduces;
  if (axes.length === 0 || reduces.length !== 1 || !body.every(isSimple)) return undefined;
  const [accumulator] = reduce.accumulators;
  if (reduce.order !== 'blocks' || reduce.accumulators.length !== 1 || accumulator.kind === 'tuple') return undefined;
  if (accumulator.dtype !== 'float32' || !kinds.includes(accumulator.kind)) return undefined;
  if (!axes.every(isCounted) || !reduce.axes.every(isCounted) || countOf(reduce.axes) > mostTaps) return undefined;
  const column = axes[axes.length - 1];
  if (column.extent < leastColumns) return undefined;
  const definitions = new Map<ScalarId, Let>();
  for (const node of [...unit.lets, ...walk(body)]) if (node.kind === 'let') definitions.set(node.id, node);
  const image = imageOf(reduce, axes, definitions, written);
  if (!image) return undefined;
  const lets = needed(reduce.body, accumulator.value, image.value);
  const positions = [image.lines.position?.name, image.columns.position?.name];
  const planes = axes.filter(({ name }) => !positions.includes(name));
  const dependsOnPosition = [...closure(accumulator.value, definitions, image.value)].some(({ expression }) =>
    indexAxes(expression).some((name) => positions.includes(name)),
  );
  const inPlace = isPlain(image) ? needed(reduce.body, image.value, -1) : undefined;
  return { image, planes, body, reduce, accumulator, lets, inPlace, dependsOnPosition };
}

const isSimple = (node: KernelNode): boolean =>
  node.kind === 'let' || node.kind === 'store' || (node.kind === 'reduce' && node.body.every((n) => n.kind === 'let'));

/** Whether the image is a plain load along columns that nothing pads. */
function isPlain({ lets, lines, columns }: ImageSource): boolean {
  const [load] = lets;
  if (lets.length !== 1 || load.expression.kind !== 'load' || load.expression.when !== undefined) return false;
  const step = coefficientOf(load.expression.index, columns.position!.name);
  return step === 1 && lines.stride === 1 && columns.stride === 1;
}

const indexAxes = (expression: Let['expression']): string[] =>
  expression.kind === 'load' || expression.kind === 'index' ? [...axesOfIndex(expression.index)] : [];

/**
 * The value that windows look at, as an image: the last one that moves with positions and taps alike. `undefined` for
 * none or several.
 */
function imageOf(
  reduce: Reduce,
  axes: readonly CountedAxis[],
  definitions: ReadonlyMap<ScalarId, Let>,
  written: ReadonlySet<string>,
): ImageSource | undefined {
  const reduced = reduce.axes.filter(isCounted);
  const windowed = reduce.body.filter((node): node is Let => {
    if (node.kind !== 'let' || node.dtype !== 'float32') return false;
    const lets = closure(node.id, definitions);
    const hasLoad = lets.some(({ expression }) => expression.kind === 'load');
    return hasLoad && directionsOf(lets, axes, reduced) !== undefined;
  });
  const inner = new Set(windowed.flatMap(({ expression }) => operandsOf(expression)));
  const [top, ...others] = windowed.filter(({ id }) => !inner.has(id));
  if (!top || others.length > 0) return undefined;
  const lets = closure(top.id, definitions);
  if (lets.some(({ expression }) => expression.kind === 'load' && written.has(expression.memory))) return undefined;
  const { lines, columns } = directionsOf(lets, axes, reduced)!;
  const names = new Set(lets.flatMap(({ expression }) => indexAxes(expression)));
  const planes = axes.filter((axis) => axis !== lines.position && axis !== columns.position && names.has(axis.name));
  return { value: top.id, dtype: top.dtype, lets, lines, columns, axes: planes };
}

/** The directions of windows, if all reduce axes are taps of the innermost parallel axis and of one other. */
function directionsOf(
  lets: readonly Let[],
  axes: readonly CountedAxis[],
  reduced: readonly CountedAxis[],
): Pick<ImageSource, 'lines' | 'columns'> | undefined {
  const flat = flatIndices(lets);
  if (!flat) return undefined;
  const taken = new Set<string>();
  const columns = directionOf(flat, axes[axes.length - 1], reduced, taken);
  if (columns.tap) taken.add(columns.tap.name);
  let lines = single;
  for (const axis of axes.slice(0, -1).reverse()) {
    const direction = directionOf(flat, axis, reduced, taken);
    if (direction.tap && lines === single) lines = direction;
  }
  if (lines.tap) taken.add(lines.tap.name);
  if (taken.size !== reduced.length || phaseCount(lines) * phaseCount(columns) > mostPhases) return undefined;
  return { lines, columns };
}

/** The definitions that a value needs, in order; what `without` needs is left out. */
function closure(value: ScalarId, definitions: ReadonlyMap<ScalarId, Let>, without?: ScalarId): readonly Let[] {
  const found = new Set<ScalarId>();
  const pending = [value];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    const definition = definitions.get(id);
    if (!definition || found.has(id) || id === without) continue;
    found.add(id);
    pending.push(...operandsOf(definition.expression));
  }
  return [...definitions.values()].filter(({ id }) => found.has(id));
}

/** The definitions of a body that a value needs, but for those of the image. */
function needed(body: readonly KernelNode[], value: ScalarId, image: ScalarId): readonly Let[] {
  const own = new Map(body.filter((node): node is Let => node.kind === 'let').map((node) => [node.id, node]));
  return closure(value, own, image);
}
