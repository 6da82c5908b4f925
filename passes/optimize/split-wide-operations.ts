/**
 * Operations that read more buffers than a kernel may bind become several. A kernel of one op is always possible then,
 * so that what fusion can not do within the bound it can do without:
 *
 *     concatenate %0, ..., %39               three buffers a kernel     %a = concatenate %0, %1;  %b = concatenate %2, %3; ...
 *                                                                       %y = concatenate of those, and so on
 *     dynamic_slice %x, %i, %j, %k                                      %a = dynamic_slice %x, %i, 0, 0
 *                                                                       %b = dynamic_slice %a, 0, %j, 0, and so on
 *
 * Rewrite rules would undo both, so it comes after them. Constants of a single element stand in the code and count for
 * nothing.
 */
import type { Graph, Op, OpOf, Value } from '../../ir/types.ts';
import { wasmTarget } from '../fuse/target.ts';
import { isInlineConstant } from '../lower/emitter.ts';
import { mapGraphs, type Pass } from '../manager.ts';
import { asOp, createOp, withOperands } from '../rewrite-emit.ts';

export const splitWideOperations: Pass = {
  name: 'splitWideOperations',
  run: (module, { target = wasmTarget }) => mapGraphs(module, (graph) => withoutWideOps(graph, target.mostBuffers)),
};

function withoutWideOps(graph: Graph, mostBuffers: number): Graph {
  const inCode = new Set<Value>();
  const isRead = (value: Value): boolean => !inCode.has(value);
  let changed = false;
  const ops = graph.ops.flatMap((op): readonly Op[] => {
    if (isInlineConstant(op)) inCode.add(op.results[0]);
    if (new Set(op.operands.filter(isRead)).size < mostBuffers) return [op];
    const parts = split(op, inCode, mostBuffers);
    changed ||= parts.length > 1;
    return parts;
  });
  return changed ? { ...graph, ops } : graph;
}

function split(op: Op, inCode: Set<Value>, mostBuffers: number): readonly Op[] {
  switch (op.opcode) {
    case 'concatenate':
      return concatenateInParts(op, mostBuffers - 1);
    case 'dynamic_slice':
      return sliceInSteps(op, inCode, mostBuffers - 2);
    case 'dynamic_update_slice':
      return updateInSteps(op, inCode, mostBuffers - 3);
    default:
      return [op];
  }
}

/** A tree of concatenations of at most so many operands each. */
function concatenateInParts(op: OpOf<'concatenate'>, most: number): readonly Op[] {
  const parts: Op[] = [];
  let operands = op.operands;
  while (operands.length > most) {
    // As few parts as possible, of nearly the same number of operands.
    const count = Math.ceil(operands.length / most);
    operands = Array.from({ length: count }, (_, at): Value => {
      const [begin, end] = [at, at + 1].map((part) => Math.round((part * operands.length) / count));
      const together = operands.slice(begin, end);
      if (together.length === 1) return together[0];
      const part = createOp('concatenate', together, op.attributes, op.location);
      parts.push(asOp(part));
      return part.results[0];
    });
  }
  return [...parts, withOperands(op, operands)];
}

/** A slice that is cut out of as many axes at once as starts can be read. */
function sliceInSteps(op: OpOf<'dynamic_slice'>, inCode: Set<Value>, most: number): readonly Op[] {
  const [operand, ...starts] = op.operands;
  const steps = axesInSteps(starts, inCode, most);
  const zero = zeroFor(op, inCode);
  const ops: Op[] = [asOp(zero)];
  let from = operand;
  steps.forEach((axes, at) => {
    const sizes = from.type.shape.map((size, axis) => (axes.includes(axis) ? op.attributes.sizes[axis] : size));
    const operands = [from, ...startsOf(axes, starts, zero.results[0])];
    const isLast = at === steps.length - 1;
    const step = isLast
      ? withOperands(op, operands)
      : asOp(createOp('dynamic_slice', operands, { sizes }, op.location));
    ops.push(step);
    [from] = step.results;
  });
  return ops;
}

/** An update of the part that the first axes cut out, written back as an update along those. */
function updateInSteps(op: OpOf<'dynamic_update_slice'>, inCode: Set<Value>, most: number): readonly Op[] {
  const [operand, update, ...starts] = op.operands;
  const [first, ...others] = axesInSteps(starts, inCode, most);
  const later = others.flat();
  const zero = zeroFor(op, inCode);
  const along = startsOf(first, starts, zero.results[0]);
  const sizes = operand.type.shape.map((size, axis) => (first.includes(axis) ? update.type.shape[axis] : size));
  const part = createOp('dynamic_slice', [operand, ...along], { sizes }, op.location);
  const inner = [part.results[0], update, ...startsOf(later, starts, zero.results[0])];
  const updated = createOp('dynamic_update_slice', inner, {}, op.location);
  const rest = others.length > 1 ? updateInSteps(updated, inCode, most) : [asOp(updated)];
  return [asOp(zero), asOp(part), ...rest, withOperands(op, [operand, updated.results[0], ...along])];
}

const zeroStart = { dtype: 'int32', shape: [], data: [0] } as const;

function zeroFor({ location }: Op, inCode: Set<Value>): OpOf<'constant'> {
  const zero = createOp('constant', [], { value: zeroStart }, location);
  inCode.add(zero.results[0]);
  return zero;
}

/** Starts that are the given ones along some axes and zero along the others. */
const startsOf = (axes: readonly number[], starts: readonly Value[], zero: Value): readonly Value[] =>
  starts.map((start, axis) => (axes.includes(axis) ? start : zero));

/** All axes, in lists of which each reads at most so many starts. */
function axesInSteps(
  starts: readonly Value[],
  inCode: ReadonlySet<Value>,
  most: number,
): readonly (readonly number[])[] {
  const steps: number[][] = [[]];
  const read = new Set<Value>();
  starts.forEach((start, axis) => {
    if (!inCode.has(start)) read.add(start);
    if (read.size > most) {
      steps.push([]);
      read.clear();
      read.add(start);
    }
    steps[steps.length - 1].push(axis);
  });
  return steps;
}
