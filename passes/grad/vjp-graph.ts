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
 *
 * A call of a function marked `checkpoint` stays a call on the way forth; on the way back its body stands there once
 * more, over operands behind an `optimization_barrier`, so that nothing inside is kept in between:
 *
 *     (%x) { %y = call %x {function=@block};  return %y }       func @block(%x) checkpoint { %y = sine %x;  return %y }
 *       becomes
 *     (%x, %c) { %y = call %x {@block};  %0 = optimization_barrier %x, %c;  %1 = cosine %0;  %2 = multiply %c, %1 ... }
 */
import { internalError, KilnError } from '../../base/error.ts';
import type { Opcode } from '../../ir/opcodes.ts';
import { formatType } from '../../ir/ops/rules.ts';
import type { Func, Graph, Op, OpOf, Value } from '../../ir/types.ts';
import { asOp, full } from '../rewrite-emit.ts';
import { inlineCallsOf } from '../rewrite-inline.ts';
import { carriesGradient, Emitter, type VjpContext, type VjpRule } from './rule.ts';
import { vjpRules } from './rules.ts';

export interface VjpOptions {
  /** Parameters that get a gradient, by position. */
  readonly wrt: readonly number[];
  /** Results that get a cotangent, by position. */
  readonly outputs: readonly number[];
  /** Functions that the graph calls; those on the way are written out or, if marked, computed again on the way back. */
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
  const { wrt, outputs, functions = new Map<string, Func>() } = options;
  requireFloats('differentiate with respect to parameter', wrt, graph.parameters);
  requireFloats('differentiate result', outputs, graph.results);
  const sweep = new ReverseSweep(functions);
  for (const position of wrt) sweep.activate(graph.parameters[position]);
  const primal = sweep.prepare(graph);

  const seeds = outputs.map((position): Value => ({ type: primal.results[position].type }));
  outputs.forEach((position, i) => {
    sweep.accumulate(primal.results[position], seeds[i]);
  });
  sweep.run(primal.ops);
  const gradients = wrt.map((position) => sweep.gradientOf(primal.parameters[position]));
  return {
    parameters: [...primal.parameters, ...seeds],
    ops: [...primal.ops, ...sweep.ops],
    results: [...primal.results, ...gradients],
  };
}

/** The way back through the ops of a graph, with what is known on it. */
class ReverseSweep {
  readonly #functions: ReadonlyMap<string, Func>;
  readonly #emit = new Emitter();
  /** Values that depend on a wanted parameter. */
  readonly #active = new Set<Value>();
  readonly #cotangents = new Map<Value, Value>();
  /** For the operands of a computation that is done again, the values that their cotangents belong to. */
  readonly #originals = new Map<Value, Value>();

  constructor(functions: ReadonlyMap<string, Func>) {
    this.#functions = functions;
  }

  get ops(): readonly Op[] {
    return this.#emit.ops;
  }

  activate(value: Value): void {
    this.#active.add(value);
  }

  /**
   * Notes which values depend on a wanted one, and writes out the calls among them whose insides a gradient needs: all
   * but those of checkpointed functions.
   * @param repeated a call of a checkpointed function that is written out too
   */
  prepare(graph: Graph, repeated?: Op): Graph {
    const dependsOn = (op: Op): boolean => op.operands.some((operand) => this.#active.has(operand));
    const isWritten = (call: OpOf<'call'>): boolean =>
      dependsOn(call) && (call === repeated || !this.#functions.get(call.attributes.function)?.checkpoint);
    return inlineCallsOf(graph, this.#functions, isWritten, (op) => {
      if (vjpRules[op.opcode] === 'zero' || !dependsOn(op)) return;
      for (const result of op.results) if (carriesGradient(result)) this.#active.add(result);
    });
  }

  accumulate(value: Value, cotangent: Value): void {
    if (!this.#active.has(value)) return;
    const original = this.#originals.get(value) ?? value;
    const before = this.#cotangents.get(original);
    this.#cotangents.set(original, before ? this.#emit.add(before, cotangent) : cotangent);
  }

  run(ops: readonly Op[]): void {
    for (let i = ops.length - 1; i >= 0; i--) {
      const op = ops[i];
      if (!op.results.some((result) => this.#cotangents.has(result))) continue;
      if (op.opcode === 'call') this.#pullBackCall(op);
      else this.#pullBack(op);
    }
  }

  gradientOf(parameter: Value): Value {
    this.#emit.location = undefined;
    return this.#cotangents.get(parameter) ?? full(this.#emit, parameter.type, 0);
  }

  /**
   * Goes back through a checkpointed function: its body is computed again from what the call was given, as soon as the
   * cotangents are known, and swept in its turn.
   */
  #pullBackCall(call: OpOf<'call'>): void {
    const emit = this.#emit;
    emit.location = call.location;
    const known = call.results.map((result) => this.#cotangents.get(result));
    const after = known.filter((cotangent) => cotangent !== undefined);
    const operands = call.operands.map((operand) => {
      const again = emit.op('optimization_barrier', [operand, ...after]);
      if (this.#active.has(operand)) this.#active.add(again);
      this.#originals.set(again, this.#originals.get(operand) ?? operand);
      return again;
    });
    const results = call.results.map(({ type }): Value => ({ type }));
    const repeated = asOp({ ...call, operands, results });
    const body = this.prepare({ parameters: operands, ops: [repeated], results }, repeated);
    for (const op of body.ops) emit.ops.push(op);
    known.forEach((cotangent, i) => {
      if (cotangent) this.accumulate(body.results[i], cotangent);
    });
    this.run(body.ops);
  }

  /** Hands the cotangent of an op's result on to those of its operands that depend on a wanted parameter. */
  #pullBack<K extends Opcode>(op: OpOf<K>): void {
    const emit = this.#emit;
    const refuse: VjpContext<K>['refuse'] = (reason, hint) => {
      throw new KilnError('not_differentiable', `${op.opcode}: ${reason}`, {
        given: `${op.opcode} of ${op.operands.map(({ type }) => formatType(type)).join(', ')}`,
        ...(hint !== undefined && { hint }),
        ...(op.location && { location: op.location }),
      });
    };
    const [result] = op.results;
    const cotangent = this.#cotangents.get(result);
    if (op.results.length !== 1 || !cotangent)
      throw internalError(`no gradient rule for several results: ${op.opcode}`);
    const rule: VjpRule<K> = vjpRules[op.opcode];
    if (rule === 'zero') throw internalError(`a cotangent reached ${op.opcode}, whose derivative is zero`);
    if (typeof rule === 'object') refuse(rule.refuse, rule.hint);
    emit.location = op.location;
    try {
      rule({ emit, op, result, cotangent, refuse }).forEach((make, i) => {
        const operand = op.operands[i];
        if (make && this.#active.has(operand)) this.accumulate(operand, make());
      });
    } catch (error) {
      // Such as a symbolic size whose bounds do not tell what the gradient needs to know.
      throw error instanceof KilnError ? error.at(op.location) : error;
    }
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
