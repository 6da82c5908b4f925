/**
 * Windows at places that an index array holds: `gather` reads them, `scatter` writes them. Dimension numbers are those
 * of StableHLO without batching axes. Taking rows 4, 0, 4 of a table:
 *
 *     %rows: f32[3,8] = gather %table, %i {offset_axes=[1], collapsed_axes=[0], start_index_map=[0],
 *                                          index_vector_axis=1, slice_sizes=[1,8], mode=clamp}
 *
 * Both ops walk the same way: an index of the batch axes picks an index vector, the vector names where the window
 * starts in the operand, and the window axes walk inside it.
 */
import type { Dim } from '../../base/dim.ts';
import { integerRange, isSigned } from '../../base/dtype.ts';
import { elementAt, elementCount, forEachIndex, generate, positionOf, rowMajorStrides } from '../literal.ts';
import type { Literal, TensorType } from '../types.ts';
import { scatterFunction } from './combine.ts';
import { define, type OpSample } from './definition.ts';
import type { Random } from './random.ts';
import {
  formatType,
  formatTypes,
  otherAxes,
  requireArgument,
  requireAtMost,
  requireAxes,
  requireClass,
  requireEqualDims,
  requireEqualDTypes,
  requireRank,
  requireSizes,
  requireSortedAxes,
} from './rules.ts';

const gatherModes = ['clamp', 'fill'] as const;
const scatterKinds = ['assign', 'add', 'multiply', 'max', 'min'] as const;

/** The index array without the axis that holds the components of an index vector. */
const batchShape = <S>(shape: readonly S[], vectorAxis: number): S[] => shape.filter((_, axis) => axis !== vectorAxis);

/** Components of an index vector: the size of its axis, or 1 where the axis is implied after the last. */
const vectorSize = (shape: readonly Dim[], vectorAxis: number): Dim =>
  vectorAxis === shape.length ? 1 : shape[vectorAxis];

/** Checks the index array and the axes that its vectors name. */
function requireIndices(
  [c1, c2, c3]: readonly [string, string, string],
  indices: TensorType,
  vectorAxis: number,
  map: readonly number[],
  operandRank: number,
): void {
  const given = () => `${formatType(indices)} with index_vector_axis ${vectorAxis} for operand axes [${map}]`;
  requireClass(c1, indices, 'integer');
  requireAxes(c2, [vectorAxis], indices.shape.length + 1);
  requireEqualDims(c3, vectorSize(indices.shape, vectorAxis), map.length, given);
  requireAxes(c3, map, operandRank);
}

/** Where windows start: for a batch index, the (not yet clamped) start along each operand axis. */
function startReader(indices: Literal, vectorAxis: number, map: readonly number[], operandRank: number) {
  const strides = rowMajorStrides(indices.shape);
  const batchStrides = batchShape(strides, vectorAxis);
  const step = vectorAxis === indices.shape.length ? 0 : strides[vectorAxis];
  return (batchIndex: readonly number[]): number[] => {
    const start = new Array<number>(operandRank).fill(0);
    const base = positionOf(batchIndex, batchStrides);
    map.forEach((axis, component) => {
      start[axis] = elementAt(indices, base + component * step);
    });
    return start;
  };
}

const pickAxes = (index: readonly number[], axes: readonly number[]): number[] => axes.map((axis) => index[axis]);

const gatherDefinition = define({
  opcode: 'gather',
  summary: 'Reads windows of the operand at places that an index array holds.',
  source: 'StableHLO gather without batching axes; mode after JAX GatherScatterMode',
  operands: ['operand', 'indices'],
  attributes: {
    offset_axes: 'integers',
    collapsed_axes: 'integers',
    start_index_map: 'integers',
    index_vector_axis: 'integer',
    slice_sizes: 'dims',
    mode: gatherModes,
  },
  traits: { movesData: true, exact: true, flops: 0 },
  constraints: {
    gather_c1: 'indices have an integer dtype',
    gather_c2: 'index_vector_axis is an axis of indices or their rank',
    gather_c3: 'start_index_map names a distinct operand axis for each component of an index vector',
    gather_c4: 'slice_sizes has one entry for each operand axis, each at least 0 and at most the size of the axis',
    gather_c5: 'collapsed_axes are distinct operand axes in ascending order whose slice size is 1',
    gather_c6: 'offset_axes are distinct result axes in ascending order, one for each axis that is not collapsed',
  },
  notes:
    'A start index that is out of range, so that its window does not fit, is moved inside (clamp), or the whole window ' +
    'becomes 0, for bool false (fill).',
  infer: ([operand, indices], attributes) => {
    const { offset_axes, collapsed_axes, start_index_map, index_vector_axis, slice_sizes } = attributes;
    const rank = operand.shape.length;
    const given = () => `slice_sizes [${slice_sizes}], collapsed [${collapsed_axes}] of ${formatType(operand)}`;
    requireIndices(['gather_c1', 'gather_c2', 'gather_c3'], indices, index_vector_axis, start_index_map, rank);
    requireArgument('gather_c4', slice_sizes.length === rank, given);
    requireSizes('gather_c4', slice_sizes);
    slice_sizes.forEach((size, axis) => {
      requireAtMost('gather_c4', size, operand.shape[axis], given);
    });
    requireSortedAxes('gather_c5', collapsed_axes, rank);
    for (const axis of collapsed_axes) requireEqualDims('gather_c5', slice_sizes[axis], 1, given);
    const batch = batchShape(indices.shape, index_vector_axis);
    const resultRank = batch.length + rank - collapsed_axes.length;
    requireArgument(
      'gather_c6',
      offset_axes.length === rank - collapsed_axes.length,
      () => `offset_axes [${offset_axes}] for ${rank - collapsed_axes.length} axes`,
    );
    requireSortedAxes('gather_c6', offset_axes, resultRank);
    const windowSizes = slice_sizes.filter((_, axis) => !collapsed_axes.includes(axis));
    const [nextBatch, nextWindow] = [batch.values(), windowSizes.values()];
    const shape: Dim[] = [];
    for (let axis = 0; axis < resultRank; axis++) {
      const { value } = offset_axes.includes(axis) ? nextWindow.next() : nextBatch.next();
      shape.push(value ?? 0);
    }
    return [{ dtype: operand.dtype, shape }];
  },
  evaluate: ([operand, indices], attributes, { results: [{ dtype, shape }], size }) => {
    const { offset_axes, collapsed_axes, start_index_map, index_vector_axis, mode } = attributes;
    const sizes = attributes.slice_sizes.map(size);
    const rank = operand.shape.length;
    const strides = rowMajorStrides(operand.shape);
    const windowAxes = otherAxes(rank, collapsed_axes);
    const batchAxes = otherAxes(shape.length, offset_axes);
    const startAt = startReader(indices, index_vector_axis, start_index_map, rank);
    const element = (index: readonly number[]): number => {
      const start = startAt(pickAxes(index, batchAxes));
      let position = 0;
      for (let axis = 0; axis < rank; axis++) {
        const last = operand.shape[axis] - sizes[axis];
        if (mode === 'fill' && (start[axis] < 0 || start[axis] > last)) return 0;
        position += Math.min(Math.max(start[axis], 0), last) * strides[axis];
      }
      windowAxes.forEach((axis, i) => {
        position += index[offset_axes[i]] * strides[axis];
      });
      return elementAt(operand, position);
    };
    return [generate(dtype, shape, element)];
  },
  sample: sampleGather,
});

/** Index array for a random window: its shape, the place of the vector axis, and values around the valid range. */
function sampleIndices(random: Random, operandShape: readonly number[], map: readonly number[]) {
  const batch = random.shape({ maxRank: 2 });
  const implied = map.length === 1 && random.boolean();
  const vectorAxis = implied ? batch.length : random.integer(0, batch.length);
  const shape = implied ? batch : batch.toSpliced(vectorAxis, 0, map.length);
  const dtype = random.boolean(0.8) ? 'int32' : random.dtype('integer');
  const values = Float64Array.from({ length: elementCount(shape) }, () => {
    const reach = operandShape.length === 0 ? 0 : random.pick(operandShape);
    const value = random.integer(-1, reach);
    return value < 0 && !isSigned(dtype) ? integerRange(dtype)[1] : value;
  });
  const indices: Literal = { dtype, shape, data: values };
  return { batch, vectorAxis, indices };
}

function sampleGather(random: Random): OpSample<'gather'> {
  const operand = random.literal(random.dtype(), random.shape({ maxRank: 3 }));
  const rank = operand.shape.length;
  const map = random.permutation(rank).slice(0, random.integer(0, rank));
  const sizes = operand.shape.map((size) => (random.boolean() ? Math.min(1, size) : random.integer(0, size)));
  const collapsed = random.subset(rank).filter((axis) => sizes[axis] === 1);
  const { batch, vectorAxis, indices } = sampleIndices(random, operand.shape, map);
  const windowRank = rank - collapsed.length;
  const resultAxes = random.permutation(batch.length + windowRank).slice(0, windowRank);
  return {
    operands: [operand, indices],
    attributes: {
      offset_axes: resultAxes.sort((a, b) => a - b),
      collapsed_axes: collapsed,
      start_index_map: map,
      index_vector_axis: vectorAxis,
      slice_sizes: sizes,
      mode: random.pick(gatherModes),
    },
  };
}

const scatterDefinition = define({
  opcode: 'scatter',
  summary: 'The operand with windows combined with updates at places that an index array holds.',
  source: 'StableHLO scatter without batching axes, with a closed kind for its region',
  operands: ['operand', 'indices', 'updates'],
  attributes: {
    update_window_axes: 'integers',
    inserted_window_axes: 'integers',
    scatter_axes_to_operand_axes: 'integers',
    index_vector_axis: 'integer',
    kind: scatterKinds,
  },
  traits: { flops: 1 },
  constraints: {
    scatter_c1: 'indices have an integer dtype',
    scatter_c2: 'index_vector_axis is an axis of indices or their rank',
    scatter_c3: 'scatter_axes_to_operand_axes names a distinct operand axis for each component of an index vector',
    scatter_c4: 'operand and updates have the same dtype; bool only with kind assign',
    scatter_c5: 'inserted_window_axes are distinct operand axes in ascending order',
    scatter_c6: 'update_window_axes are distinct axes of updates in ascending order, one for each operand axis left',
    scatter_c7: 'updates have the batch axes of indices, in order, as their other axes',
    scatter_c8: 'a window of updates is at most as large as the operand; an inserted axis has at least size 1',
  },
  notes:
    'A window that does not fit where its index vector says is dropped whole. Windows apply in row-major order of the ' +
    'index vectors, so with assign the last one wins.',
  infer: ([operand, indices, updates], attributes) => {
    const { update_window_axes, inserted_window_axes, scatter_axes_to_operand_axes, index_vector_axis } = attributes;
    const rank = operand.shape.length;
    const given = () => `${formatTypes([operand, indices, updates])}, update_window_axes [${update_window_axes}]`;
    requireIndices(
      ['scatter_c1', 'scatter_c2', 'scatter_c3'],
      indices,
      index_vector_axis,
      scatter_axes_to_operand_axes,
      rank,
    );
    requireEqualDTypes('scatter_c4', [operand, updates]);
    if (attributes.kind !== 'assign') requireClass('scatter_c4', operand, 'number');
    requireSortedAxes('scatter_c5', inserted_window_axes, rank);
    const windowAxes = otherAxes(rank, inserted_window_axes);
    requireArgument('scatter_c6', update_window_axes.length === windowAxes.length, given);
    requireSortedAxes('scatter_c6', update_window_axes, updates.shape.length);
    const batch = batchShape(indices.shape, index_vector_axis);
    const updateBatch = otherAxes(updates.shape.length, update_window_axes);
    requireRank('scatter_c7', updateBatch.length === batch.length, given);
    updateBatch.forEach((axis, i) => {
      requireEqualDims('scatter_c7', updates.shape[axis], batch[i], given);
    });
    windowAxes.forEach((axis, i) => {
      requireAtMost('scatter_c8', updates.shape[update_window_axes[i]], operand.shape[axis], given);
    });
    for (const axis of inserted_window_axes) requireAtMost('scatter_c8', 1, operand.shape[axis], given);
    return [operand];
  },
  evaluate: ([operand, indices, updates], attributes, { results: [{ dtype, shape }] }) => {
    const { update_window_axes, inserted_window_axes, scatter_axes_to_operand_axes, index_vector_axis } = attributes;
    const strides = rowMajorStrides(shape);
    const windowAxes = otherAxes(shape.length, inserted_window_axes);
    const batchAxes = otherAxes(updates.shape.length, update_window_axes);
    const sizes = shape.map(() => 1);
    windowAxes.forEach((axis, i) => {
      sizes[axis] = updates.shape[update_window_axes[i]];
    });
    const startAt = startReader(indices, index_vector_axis, scatter_axes_to_operand_axes, shape.length);
    const combine = scatterFunction(attributes.kind, dtype);
    const data = new Float64Array(elementCount(shape)).map((_, i) => elementAt(operand, i));
    const updateStrides = rowMajorStrides(updates.shape);
    const [batchStrides, windowStrides] = [batchAxes, update_window_axes].map((axes) => pickAxes(updateStrides, axes));
    const targetStrides = pickAxes(strides, windowAxes);
    forEachIndex(pickAxes(updates.shape, batchAxes), (batch) => {
      const start = startAt(batch);
      if (start.some((at, axis) => at < 0 || at + sizes[axis] > shape[axis])) return;
      const [target, source] = [positionOf(start, strides), positionOf(batch, batchStrides)];
      forEachIndex(pickAxes(updates.shape, update_window_axes), (window) => {
        const position = target + positionOf(window, targetStrides);
        data[position] = combine(data[position], elementAt(updates, source + positionOf(window, windowStrides)));
      });
    });
    return [{ dtype, shape, data }];
  },
  sample: sampleScatter,
});

function sampleScatter(random: Random): OpSample<'scatter'> {
  const kind = random.pick(scatterKinds);
  const operand = random.literal(random.dtype(kind === 'assign' ? 'any' : 'number'), random.shape({ maxRank: 3 }));
  const rank = operand.shape.length;
  const map = random.permutation(rank).slice(0, random.integer(0, rank));
  const inserted = random.subset(rank).filter((axis) => operand.shape[axis] > 0);
  const windowSizes = otherAxes(rank, inserted).map((axis) => random.integer(0, operand.shape[axis]));
  const { batch, vectorAxis, indices } = sampleIndices(random, operand.shape, map);
  const updateRank = batch.length + windowSizes.length;
  const windowAxes = random.permutation(updateRank).slice(0, windowSizes.length);
  windowAxes.sort((a, b) => a - b);
  const [nextBatch, nextWindow] = [batch.values(), windowSizes.values()];
  const updateShape = Array.from({ length: updateRank }, (_, axis) => {
    const { value } = windowAxes.includes(axis) ? nextWindow.next() : nextBatch.next();
    return value ?? 0;
  });
  return {
    operands: [operand, indices, random.literal(operand.dtype, updateShape)],
    attributes: {
      update_window_axes: windowAxes,
      inserted_window_axes: inserted,
      scatter_axes_to_operand_axes: map,
      index_vector_axis: vectorAxis,
      kind,
    },
  };
}

export const gatherDefinitions = { gather: gatherDefinition, scatter: scatterDefinition } as const;
