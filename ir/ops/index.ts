/**
 * All op definitions by opcode, and the questions that everybody asks of them.
 *
 *     definitions.add.traits.commutative            // true
 *     inferTypes('tanh', [type], {}, context)       // types of the results, or a labelled KilnError
 *     flopsOf(op)                                   // 2*M*N*K for a dot_general
 */
import { type Dim, dimProduct, mulDims } from '../../base/dim.ts';
import { isInteger } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import type { OpAttributes, Opcode } from '../opcodes.ts';
import type { Op, TensorType } from '../types.ts';
import { barrierDefinition } from './barrier.ts';
import { callDefinition } from './call.ts';
import { contractionDefinitions } from './contraction.ts';
import { conversionDefinitions } from './conversion.ts';
import { creationDefinitions } from './creation.ts';
import { cumulativeDefinition } from './cumulative.ts';
import type { InferContext, OpDefinition, Traits } from './definition.ts';
import { dynamicDefinitions } from './dynamic.ts';
import { binaryDefinitions, selectDefinition, unaryDefinitions } from './elementwise.ts';
import { gatherDefinitions } from './gather.ts';
import { reductionDefinitions } from './reduction.ts';
import { formatTypes } from './rules.ts';
import { shapeDefinitions } from './shape.ts';
import { sortDefinition } from './sort.ts';

export const definitions: { readonly [K in Opcode]: OpDefinition<K> } = {
  ...unaryDefinitions,
  ...binaryDefinitions,
  ...conversionDefinitions,
  select: selectDefinition,
  ...creationDefinitions,
  ...shapeDefinitions,
  ...dynamicDefinitions,
  ...gatherDefinitions,
  ...contractionDefinitions,
  ...reductionDefinitions,
  cumulative: cumulativeDefinition,
  sort: sortDefinition,
  optimization_barrier: barrierDefinition,
  call: callDefinition,
};

/** Every opcode, in the order of the reference page. */
export const opcodes = Object.keys(definitions) as readonly Opcode[];

export const isOpcode = (name: string): name is Opcode => Object.hasOwn(definitions, name);

export const traitsOf = (opcode: Opcode): Traits => definitions[opcode].traits;

/** How many operands an op takes: at least and at most. */
export function operandCounts(opcode: Opcode): readonly [number, number] {
  const { operands } = definitions[opcode];
  const variadic = operands.at(-1)?.startsWith('...') ?? false;
  return variadic ? [operands.length - 1, Infinity] : [operands.length, operands.length];
}

const countsByOpcode = new Map(opcodes.map((opcode) => [opcode, operandCounts(opcode)] as const));

/**
 * Types of an op's results.
 * @throws KilnError `shape_mismatch`, `dtype_mismatch`, `invalid_argument`, `invalid_size` or `unknown_size` that names
 *   the op and the constraint that does not hold
 */
export function inferTypes<K extends Opcode>(
  opcode: K,
  operands: readonly TensorType[],
  attributes: OpAttributes[K],
  context: InferContext,
): readonly TensorType[] {
  const [least, most] = countsByOpcode.get(opcode) ?? [0, 0];
  if (operands.length < least || operands.length > most) {
    throw new KilnError('invalid_argument', `${opcode}: number of operands`, {
      given: `${operands.length} (${formatTypes(operands)})`,
      expected: definitions[opcode].operands.join(', ') || 'none',
    });
  }
  return definitions[opcode].infer(operands, attributes, context);
}

/** Floating point operations of one op, roughly, as a size. */
export function flopsOf(op: Op): Dim {
  const { traits, work } = definitions[op.opcode] as OpDefinition<Opcode>;
  if (work) {
    const operands = op.operands.map((operand) => operand.type);
    const results = op.results.map((result) => result.type);
    return work(operands, op.attributes, results);
  }
  if (!traits.flops) return 0;
  return op.results.reduce<Dim>((_, result) => mulDims(dimProduct(result.type.shape), traits.flops ?? 0), 0);
}

/** Whether an op may be regrouped, `f(f(a, b), c)` as `f(a, f(b, c))`, without a change of bits. */
export function isAssociative(opcode: Opcode, { dtype }: TensorType): boolean {
  const { associative } = traitsOf(opcode);
  return associative === 'always' || (associative === 'integers' && (isInteger(dtype) || dtype === 'bool'));
}
