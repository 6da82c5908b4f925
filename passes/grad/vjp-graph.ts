/**
 * Reverse-mode differentiation as a function from graph to graph. What comes back runs the whole graph, then goes
 * through its ops from last to first and collects cotangents:
 *
 *     (%x) { %y = sine %x;  return %y }
 *       becomes, for wrt [0] and outputs [0],
 *     (%x, %c) { %y = sine %x;  %0 = cosine %x;  %1 = multiply %c, %0;  return %y, %1 }
 *
 * Zero cotangents are never made, they are absent: only ops that lie between a wanted parameter and a wanted result
 * are visited. Cotangents of a value are added up in the reverse order of its uses, so equal graphs have equal
 * gradients, bit for bit. The result is an ordinary graph and can be differentiated again.
 */
import { internalError, KilnError } from '../../base/error.ts';
import type { Opcode } from '../../ir/opcodes.ts';
import { formatType } from '../../ir/ops/rules.ts';
import type { Func, Graph, Op, OpOf, Value } from '../../ir/types.ts';
import { full } from '../rewrite-emit.ts';
import { inlineCallsOf } from '../rewrite-inline.ts';
import { carriesGradient, Emitter, type VjpContext, type VjpRule } from './rule.ts';
import { vjpRules } from './rules.ts';

export interface VjpOptions {
  /** Parameters that get a gradient, by position. */
  readonly wrt: readonly number[];
  /** Results that get a cotangent, by position. */
  readonly outputs: readonly number[];
  /** Functions that the graph calls; those on the way are written out, since a gradient needs what is inside. */
  readonly functions?: ReadonlyMap<string, Func>;
}

/**
 * The vector-Jacobian product of a graph.
 * @returns a graph with the parameters of `graph`, then a cotangent for each of `outputs`, of its type; and with the
 *   results of `graph`, then a gradient for each of `wrt`, of its type, zero where nothing depends on it. The ops of
 *   `graph` come first, as the very same objects (but for calls that were written out).
 * @throws KilnError `not_differentiable`, at the line of the op or for a parameter or result that is not a float
 */
export function vjpGraph(graph: Graph, options: VjpOptions): Graph {
  const { wrt, outputs, functions } = options;
  requireFloats('differentiate with respect to parameter', wrt, graph.parameters);
  requireFloats('differentiate result', outputs, graph.results);
  const { primal, active } = prepare(graph, wrt, functions ?? new Map());

  const emit = new Emitter();
  const cotangents = new Map<Value, Value>();
  const accumulate = (value: Value, cotangent: Value): void => {
    const before = cotangents.get(value);
    cotangents.set(value, before ? emit.add(before, cotangent) : cotangent);
  };
  const seeds = outputs.map((position): Value => ({ type: primal.results[position].type }));
  outputs.forEach((position, i) => {
    if (active.has(primal.results[position])) accumulate(primal.results[position], seeds[i]);
  });
  for (let i = primal.ops.length - 1; i >= 0; i--) {
    const op = primal.ops[i];
    const reached = op.results.find((result) => cotangents.has(result));
    const cotangent = reached && cotangents.get(reached);
    if (cotangent) pullBack(emit, op, cotangent, active, accumulate);
  }
  emit.location = undefined;
  const gradients = wrt.map((position) => {
    const parameter = primal.parameters[position];
    return cotangents.get(parameter) ?? full(emit, parameter.type, 0);
  });
  return {
    parameters: [...primal.parameters, ...seeds],
    ops: [...primal.ops, ...emit.ops],
    results: [...primal.results, ...gradients],
  };
}

/** The graph with all calls written out that lie behind a wanted parameter, and the values that depend on one. */
function prepare(
  graph: Graph,
  wrt: readonly number[],
  functions: ReadonlyMap<string, Func>,
): { readonly primal: Graph; readonly active: ReadonlySet<Value> } {
  const active = new Set(wrt.map((position) => graph.parameters[position]));
  const dependsOn = (op: Op): boolean => op.operands.some((operand) => active.has(operand));
  const primal = inlineCallsOf(graph, functions, dependsOn, (op) => {
    if (vjpRules[op.opcode] === 'zero' || !dependsOn(op)) return;
    for (const result of op.results) {
      if (carriesGradient(result)) active.add(result);
    }
  });
  return { primal, active };
}

/** Hands the cotangent of an op's result on to those of its operands that depend on a wanted parameter. */
function pullBack<K extends Opcode>(
  emit: Emitter,
  op: OpOf<K>,
  cotangent: Value,
  active: ReadonlySet<Value>,
  accumulate: (value: Value, cotangent: Value) => void,
): void {
  const refuse: VjpContext<K>['refuse'] = (reason, hint) => {
    throw new KilnError('not_differentiable', `${op.opcode}: ${reason}`, {
      given: `${op.opcode} of ${op.operands.map(({ type }) => formatType(type)).join(', ')}`,
      ...(hint !== undefined && { hint }),
      ...(op.location && { location: op.location }),
    });
  };
  if (op.results.length !== 1) throw internalError(`no gradient rule for ${op.opcode} with several results`);
  const rule: VjpRule<K> = vjpRules[op.opcode];
  if (rule === 'zero') throw internalError(`a cotangent reached ${op.opcode}, whose derivative is zero`);
  if (typeof rule === 'object') refuse(rule.refuse, rule.hint);
  emit.location = op.location;
  const context: VjpContext<K> = { emit, op, result: op.results[0], cotangent, refuse };
  try {
    rule(context).forEach((make, i) => {
      const operand = op.operands[i];
      if (make && active.has(operand)) accumulate(operand, make());
    });
  } catch (error) {
    // Such as a symbolic size whose bounds do not tell what the gradient needs to know.
    throw error instanceof KilnError ? error.at(op.location) : error;
  }
}

function requireFloats(what: string, positions: readonly number[], values: readonly Value[]): void {
  for (const position of positions) {
    const value = values[position];
    if (!value) throw internalError(`vjpGraph: no value at position ${position}`);
    if (carriesGradient(value)) continue;
    throw new KilnError('not_differentiable', `can not ${what} ${position}${value.name ? ` (${value.name})` : ''}`, {
      given: formatType(value.type),
      expected: 'a float dtype',
      hint: 'convert it to float32 first, or leave it out of the gradient',
    });
  }
}
