/**
 * Rewriting by small named rules. A rule looks at one op and what stands above it, and may answer with a value that
 * takes its place, built from new ops:
 *
 *     rule({
 *       name: 'double_negate', opcodes: ['negate'], floatClass: 'exact',
 *       apply: (op, rewriter) => rewriter.definedBy(op.operands[0], 'negate')?.operands[0],
 *     })
 *
 * The driver walks a graph once from front to back. What stands above an op is in normal form when its turn comes, and
 * the new ops of a rule take their turn before anything else, so one walk reaches the fixpoint of all rules that look
 * upwards only. (Rules that ask how often a value is used may need another; the pipeline repeats.) Every rewrite costs
 * time proportional to the ops it makes, and there is a bound on their number.
 */
import { equalShapes } from '../base/dim.ts';
import { internalError, KilnError } from '../base/error.ts';
import type { SourceLocation } from '../base/location.ts';
import type { OpAttributes, Opcode, PlainOpcode } from '../ir/opcodes.ts';
import type { Graph, Op, OpOf, TensorType, Value } from '../ir/types.ts';
import { asOp, createOp, type OpSink, withOperands } from './rewrite-emit.ts';

/**
 * What a rule may change in floats. `exact`: nothing, NaN, infinities and -0 included. `reassociating`: how a result is
 * rounded, not which special values appear. `regrouping`, of products of matrices: also whether an intermediate
 * overflows, and which of NaN and the infinities a result is that depends on one of them; it is one of them still.
 * `finite-only`: wrong for NaN, infinities or -0; never run, for both precisions preserve them.
 */
export type FloatClass = 'exact' | 'reassociating' | 'regrouping' | 'finite-only';

/** A rule for ops with opcode `K`. */
export interface RewriteRule<K extends Opcode = Opcode> {
  /** snake_case; names its golden test. */
  readonly name: string;
  readonly opcodes: readonly K[];
  readonly floatClass: FloatClass;
  /** The value that takes the place of the op's result, or the values of all its results; `undefined`: no match. */
  apply(op: OpOf<K>, rewriter: Rewriter): Value | readonly Value[] | undefined;
}

/** Forgets which opcodes a rule takes; the driver only offers it those. */
export const rule = <K extends Opcode>(definition: RewriteRule<K>): RewriteRule => definition as unknown as RewriteRule;

/** What a rule sees of the graph, and how it makes ops. Ops it makes and then does not use are forgotten. */
export interface Rewriter extends OpSink {
  /** The op that makes a value; `undefined` for a parameter. */
  definition(value: Value): Op | undefined;
  /** The op that makes a value, if it has that opcode. */
  definedBy<K extends Opcode>(value: Value, opcode: K): OpOf<K> | undefined;
  /** How often a value is used, as operand or result. Never too small. */
  useCount(value: Value): number;
}

export interface RewriteOptions {
  /** Throw when the bound on rewrites is reached (a fault in the rules), instead of stopping quietly. */
  readonly verify: boolean;
  /** Told about every rewrite. */
  watch?(rule: string, op: Op): void;
}

/** Rules by opcode, in the order given: the first that matches is taken. */
export type RuleTable = ReadonlyMap<Opcode, readonly RewriteRule[]>;

/** The rules that a precision may run, ready for the driver. */
export function ruleTable(rules: readonly RewriteRule[], precision: 'fast' | 'strict'): RuleTable {
  const table = new Map<Opcode, RewriteRule[]>();
  for (const entry of rules) {
    if (entry.floatClass === 'finite-only') continue;
    if (entry.floatClass !== 'exact' && precision === 'strict') continue;
    for (const opcode of entry.opcodes) {
      const list = table.get(opcode);
      if (list) list.push(entry);
      else table.set(opcode, [entry]);
    }
  }
  return table;
}

/** Applies rules to a graph until none matches. Dead ops stay; the same graph comes back when no rule matched. */
export function rewriteGraph(graph: Graph, rules: RuleTable, options: RewriteOptions): Graph {
  const driver = new RewriteDriver(graph, rules, options);
  return driver.run();
}

/** Rewrites of one walk, at most: this many for each op of the graph, and a few for small graphs. */
const rewritesPerOp = 32;
const rewritesAtLeast = 1000;

type FreshValue = { type: TensorType; name?: string };

class RewriteDriver implements Rewriter {
  readonly #graph: Graph;
  readonly #rules: RuleTable;
  readonly #options: RewriteOptions;
  readonly #definitions = new Map<Value, Op>();
  readonly #uses: Map<Value, number>;
  readonly #replacements = new Map<Value, Value>();
  readonly #ops: Op[] = [];
  #rewritesLeft: number;
  /** Ops that the rule that runs now has made, and where they are said to come from. */
  #fresh: Op[] = [];
  #location: SourceLocation | undefined;

  constructor(graph: Graph, rules: RuleTable, options: RewriteOptions) {
    this.#graph = graph;
    this.#rules = rules;
    this.#options = options;
    this.#uses = countUses(graph);
    this.#rewritesLeft = rewritesAtLeast + rewritesPerOp * graph.ops.length;
  }

  run(): Graph {
    const { parameters, ops, results } = this.#graph;
    const waiting: Op[] = [];
    for (const original of ops) {
      waiting.push(original);
      for (let op = waiting.pop(); op !== undefined; op = waiting.pop()) {
        const current = this.#resolveOperands(op);
        if (this.#rewrite(current)) {
          for (const fresh of this.#fresh.reverse()) waiting.push(fresh);
        } else {
          this.#keep(current);
        }
      }
    }
    if (this.#replacements.size === 0) return this.#graph;
    return { parameters, ops: this.#ops, results: results.map((result) => this.#resolve(result)) };
  }

  definition(value: Value): Op | undefined {
    return this.#definitions.get(value);
  }

  definedBy<K extends Opcode>(value: Value, opcode: K): OpOf<K> | undefined {
    const op = this.#definitions.get(value);
    return op?.opcode === opcode ? (op as unknown as OpOf<K>) : undefined;
  }

  useCount(value: Value): number {
    return this.#uses.get(value) ?? 0;
  }

  op<K extends PlainOpcode>(opcode: K, operands: readonly Value[]): Value;
  op<K extends Opcode>(opcode: K, operands: readonly Value[], attributes: OpAttributes[K]): Value;
  op(opcode: Opcode, operands: readonly Value[], attributes: OpAttributes[Opcode] = {}): Value {
    const op = createOp(opcode, operands, attributes, this.#location);
    const [result] = op.results;
    if (op.results.length !== 1) throw internalError(`a rewrite rule made ${opcode}, which has no single result`);
    this.#fresh.push(asOp(op));
    this.#definitions.set(result, asOp(op));
    return result;
  }

  /** Tries the rules on an op. Afterwards `#fresh` holds the ops that replace it. */
  #rewrite(op: Op): boolean {
    const candidates = this.#rules.get(op.opcode);
    if (!candidates || this.#rewritesLeft <= 0) return false;
    for (const candidate of candidates) {
      this.#fresh = [];
      this.#location = op.location;
      const answer = this.#apply(candidate, op);
      if (answer === undefined) continue;
      this.#replace(op, Array.isArray(answer) ? (answer as readonly Value[]) : [answer as Value], candidate);
      return true;
    }
    return false;
  }

  /** A rule that asks about symbolic sizes what their bounds do not answer does not match. */
  #apply(candidate: RewriteRule, op: Op): Value | readonly Value[] | undefined {
    try {
      return candidate.apply(op, this);
    } catch (error) {
      if (error instanceof KilnError && error.code === 'unknown_size') return undefined;
      throw error;
    }
  }

  #replace(op: Op, values: readonly Value[], by: RewriteRule): void {
    op.results.forEach((old, i) => {
      const value = values[i];
      if (value === undefined || !equalTypes(old.type, value.type) || value === old) {
        throw internalError(`rewrite rule ${by.name} replaces a result of ${op.opcode} by a value of another type`);
      }
      const made = this.#fresh.some((fresh) => fresh.results.includes(value));
      if (made && old.name !== undefined) (value as FreshValue).name ??= old.name;
      this.#replacements.set(old, value);
      this.#uses.set(value, this.useCount(value) + this.useCount(old));
    });
    for (const operand of op.operands) this.#uses.set(operand, this.useCount(operand) - 1);
    for (const fresh of this.#fresh) {
      for (const operand of fresh.operands) this.#uses.set(operand, this.useCount(operand) + 1);
    }
    this.#options.watch?.(by.name, op);
    if (--this.#rewritesLeft === 0 && this.#options.verify) {
      throw internalError(`the rewrite rules do not come to an end; the last one was ${by.name} on ${op.opcode}`);
    }
  }

  #keep(op: Op): void {
    this.#ops.push(op);
    for (const result of op.results) this.#definitions.set(result, op);
  }

  #resolveOperands(op: Op): Op {
    if (!op.operands.some((operand) => this.#replacements.has(operand))) return op;
    return withOperands(
      op,
      op.operands.map((operand) => this.#resolve(operand)),
    );
  }

  /** What a value has become; long chains are shortened on the way. */
  #resolve(value: Value): Value {
    const path: Value[] = [];
    let end = value;
    for (let next = this.#replacements.get(end); next !== undefined; next = this.#replacements.get(end)) {
      path.push(end);
      end = next;
    }
    for (const step of path) this.#replacements.set(step, end);
    return end;
  }
}

const equalTypes = (a: TensorType, b: TensorType): boolean => a.dtype === b.dtype && equalShapes(a.shape, b.shape);

/** How often each value is an operand or a result. */
function countUses(graph: Graph): Map<Value, number> {
  const uses = new Map<Value, number>();
  const count = (value: Value): void => {
    uses.set(value, (uses.get(value) ?? 0) + 1);
  };
  for (const op of graph.ops) op.operands.forEach(count);
  graph.results.forEach(count);
  return uses;
}
