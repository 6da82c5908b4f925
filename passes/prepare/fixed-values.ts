/**
 * The values of a graph that are the same at every call as long as the tensors are that a compiled function has
 * captured: parameters that are held, constants, and what follows from them alone.
 *
 *     (%w held, %x) { %0 = transpose %w;  %1 = exponential %0;  %2 = multiply %x, %1 }        fixed: %w, %0, %1
 *
 * Sizes are fixed too: what depends on a symbolic one differs from call to call.
 */
import { type Dim, isStatic, isStaticShape } from '../../base/dim.ts';
import { attributeEntries } from '../../ir/attributes.ts';
import type { Graph, Op, Value } from '../../ir/types.ts';

/**
 * The fixed values of a graph.
 * @param held for each parameter, whether it is the same at every call
 * @param hasSymbols whether the module has symbolic sizes, which called functions may depend on
 */
export function fixedValues(graph: Graph, held: readonly boolean[], hasSymbols: boolean): Set<Value> {
  const fixed = new Set<Value>(graph.parameters.filter((parameter, at) => held[at] && isFixedType(parameter)));
  for (const op of graph.ops) {
    const follows = op.operands.every((operand) => fixed.has(operand)) && op.results.every(isFixedType);
    if (follows && hasFixedAttributes(op, hasSymbols)) for (const result of op.results) fixed.add(result);
  }
  return fixed;
}

const isFixedType = ({ type }: Value): boolean => isStaticShape(type.shape);

function hasFixedAttributes(op: Op, hasSymbols: boolean): boolean {
  // A region may use values from around it, which its op does not name.
  if (op.regions.length > 0) return false;
  if (op.opcode === 'call') return !hasSymbols;
  const attributes = op.attributes as Readonly<Record<string, unknown>>;
  return attributeEntries(op.opcode).every(({ name, kind }) => {
    if (kind !== 'dim' && kind !== 'dims' && kind !== 'dim_pairs') return true;
    return [attributes[name] as Dim | readonly (Dim | readonly Dim[])[]].flat(2).every((size) => isStatic(size as Dim));
  });
}
