/**
 * Derivatives of `gather` and `scatter`, which are each other's transposes: what was read from several places is added
 * up there.
 *
 *     y = gather x, i          x̄ = scatter(add) zeros, i', ȳ        (i' is i, clamped where the gather clamps)
 *     y = scatter(add) x, i, u     x̄ = ȳ,  ū = gather ȳ, i          (0 for updates that were dropped)
 */
import { type Dim, dimProduct, equalDims, subDims } from '../../base/dim.ts';
import type { OpAttributes, Opcode } from '../../ir/opcodes.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { broadcastTo, full, reshape, sizeOf } from '../rewrite-emit.ts';
import type { Emitter, VjpFunction, VjpRules } from './rule.ts';

/** The indices that a gather really reads at: in `clamp` mode moved so that each slice lies inside. */
function effectiveIndices(emit: Emitter, op: OpOf<'gather'>): Value {
  const [operand, indices] = op.operands;
  const { mode, start_index_map, slice_sizes, index_vector_axis } = op.attributes;
  if (mode === 'fill' || start_index_map.length === 0) return indices;
  const { dtype, shape } = indices.type;
  const greatest: Dim[] = start_index_map.map((axis) => subDims(operand.type.shape[axis], slice_sizes[axis]));
  const isUniform = greatest.every((bound) => equalDims(bound, greatest[0]));
  const bounds = isUniform
    ? broadcastTo(emit, sizeOf(emit, greatest[0], dtype), shape, [])
    : broadcastTo(
        emit,
        emit.op(
          'concatenate',
          greatest.map((bound) => reshape(emit, sizeOf(emit, bound, dtype), [1])),
          { axis: 0 },
        ),
        shape,
        [index_vector_axis],
      );
  const notNegative = emit.op('maximum', [indices, emit.like(indices, 0)]);
  return emit.op('minimum', [notNegative, bounds]);
}

/** Index vectors that are `positions` along one axis and the place itself along the others: `[...shape, rank]`. */
export function indexVectors(emit: Emitter, positions: Value, axis: number): Value {
  const { dtype, shape } = positions.type;
  const components = shape.map((_, i) => {
    const component = i === axis ? positions : emit.op('iota', [], { dtype, shape, axis: i });
    return reshape(emit, component, [...shape, 1]);
  });
  return components.length === 1 ? components[0] : emit.op('concatenate', components, { axis: shape.length });
}

const gather: VjpFunction<'gather'> = ({ emit, op, cotangent }) => [
  () => {
    const { offset_axes, collapsed_axes, start_index_map, index_vector_axis } = op.attributes;
    return emit.op('scatter', [emit.like(op.operands[0], 0), effectiveIndices(emit, op), cotangent], {
      update_window_axes: offset_axes,
      inserted_window_axes: collapsed_axes,
      scatter_axes_to_operand_axes: start_index_map,
      index_vector_axis,
      kind: 'add',
    });
  },
  undefined,
];

/** The gather that reads where a scatter writes; elements that the scatter drops are 0. */
function mirrorOf(op: OpOf<'scatter'>): OpAttributes['gather'] {
  const [operand, , updates] = op.operands;
  const { update_window_axes, inserted_window_axes, scatter_axes_to_operand_axes, index_vector_axis } = op.attributes;
  let window = 0;
  const slice_sizes = operand.type.shape.map((_, axis) =>
    inserted_window_axes.includes(axis) ? 1 : updates.type.shape[update_window_axes[window++]],
  );
  return {
    offset_axes: update_window_axes,
    collapsed_axes: inserted_window_axes,
    start_index_map: scatter_axes_to_operand_axes,
    index_vector_axis,
    slice_sizes,
    mode: 'fill',
  };
}

const addScatter: VjpFunction<'scatter'> = ({ emit, op, cotangent }) => [
  () => cotangent,
  undefined,
  () => emit.op('gather', [cotangent, op.operands[1]], mirrorOf(op)),
];

/**
 * What was overwritten gets nothing. Of updates that met in one place the last one stayed: each update is numbered, the
 * numbers are scattered likewise, and only an update that finds its own number again gets a cotangent.
 */
const assignScatter: VjpFunction<'scatter'> = ({ emit, op, cotangent }) => {
  const [operand, indices, updates] = op.operands;
  return [
    () => emit.op('scatter', [cotangent, indices, emit.like(updates, 0)], op.attributes),
    undefined,
    () => {
      const count = dimProduct(updates.type.shape);
      const line = emit.op('iota', [], { dtype: 'int32', shape: [count], axis: 0 });
      const numbers = reshape(emit, line, updates.type.shape);
      const nobody = full(emit, { dtype: 'int32', shape: operand.type.shape }, -1);
      const winners = emit.op('scatter', [nobody, indices, numbers], op.attributes);
      const stayed = emit.compare('EQ', emit.op('gather', [winners, indices], mirrorOf(op)), numbers);
      const gathered = emit.op('gather', [cotangent, indices], mirrorOf(op));
      return emit.select(stayed, gathered, emit.like(gathered, 0));
    },
  ];
};

const scatter: VjpFunction<'scatter'> = (context) => {
  const { kind } = context.op.attributes;
  if (kind === 'add') return addScatter(context);
  if (kind === 'assign') return assignScatter(context);
  return context.refuse(
    `a scatter of kind ${kind} has no gradient rule`,
    'scatter with kind add or assign, or stop the gradient before it',
  );
};

export const indexingVjps = { gather, scatter } satisfies Partial<VjpRules<Opcode>>;
