/**
 * Computes everything once. Two ops are the same when opcode, operands and all attributes are; of those that commute
 * the operands may be swapped. Source lines and names do not count, the first op stays.
 *
 *     %0 = add %x, %y;  %1 = add %y, %x;  return multiply(%0, %1)      becomes      multiply(%0, %0)
 */
import { attributesKey } from '../../ir/canonical.ts';
import { traitsOf } from '../../ir/ops/index.ts';
import type { Graph, Op, Value } from '../../ir/types.ts';
import { mapGraphs, type Pass } from '../manager.ts';
import { withOperands } from '../rewrite-emit.ts';

/** Arrays beyond this many elements are the same only if they are the same object; comparing them costs too much. */
const mostCompared = 256;

class Numbering {
  readonly #numbers = new Map<object, number>();

  of(thing: object): number {
    let number = this.#numbers.get(thing);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(thing, number);
    }
    return number;
  }
}

/** Text that two ops share exactly when they compute the same. */
function keyOf(op: Op, numbers: Numbering): string {
  const ids = op.operands.map((operand) => numbers.of(operand));
  if (areSwapped(op, ids)) ids.reverse();
  if (op.opcode === 'constant') {
    const { dtype, shape, data } = op.attributes.value;
    if (data.length > mostCompared) return `constant ${dtype} [${shape}] #${numbers.of(data as object)}`;
  }
  return `${op.opcode} ${ids.join(' ')} ${attributesKey(op.opcode, op.attributes)}`;
}

const areSwapped = ({ opcode }: Op, ids: readonly number[]): boolean =>
  ids.length === 2 && ids[0] > ids[1] && (traitsOf(opcode).commutative ?? false);

/**
 * Ops that have come by, for finding one that computes the same. Most ops have an opcode and operands that no op before
 * them had, so text is made only for those whose opcode and operands, as a hash, have been seen.
 */
class SeenOps {
  readonly #numbers = new Numbering();
  readonly #opcodes = new Map<string, number>();
  /** The first op of each hash, until a second one comes. */
  readonly #first = new Map<number, Op | undefined>();
  readonly #byKey = new Map<string, Op>();

  /** The op that was entered before and computes the same; if there is none, the op is entered. */
  find(op: Op): Op | undefined {
    const hash = this.#hashOf(op);
    if (!this.#first.has(hash)) {
      this.#first.set(hash, op);
      return undefined;
    }
    const first = this.#first.get(hash);
    if (first) {
      this.#byKey.set(keyOf(first, this.#numbers), first);
      this.#first.set(hash, undefined);
    }
    const key = keyOf(op, this.#numbers);
    const before = this.#byKey.get(key);
    if (!before) this.#byKey.set(key, op);
    return before;
  }

  /** Equal for ops that compute the same, whichever way round the operands are. */
  #hashOf({ opcode, operands }: Op): number {
    let number = this.#opcodes.get(opcode);
    if (number === undefined) {
      number = this.#opcodes.size;
      this.#opcodes.set(opcode, number);
    }
    let hash = number;
    for (const operand of operands) hash = (hash + Math.imul(this.#numbers.of(operand) + 1, 0x9e3779b1)) | 0;
    return hash & 0x3fffffff; // larger numbers are objects to the engine
  }
}

/** Barriers stand for values of their own, even two of one operand. */
const mayRepeat = ({ opcode, regions }: Op): boolean => opcode !== 'optimization_barrier' && regions.length === 0;

/** The graph without repeated ops; the same graph when there are none. */
function withoutRepeatedOps(graph: Graph): Graph {
  const seen = new SeenOps();
  const replaced = new Map<Value, Value>();
  const resolve = (value: Value): Value => replaced.get(value) ?? value;
  const ops: Op[] = [];
  for (const op of graph.ops) {
    const operands = op.operands.some((operand) => replaced.has(operand)) ? op.operands.map(resolve) : op.operands;
    const kept = operands === op.operands ? op : withOperands(op, operands);
    const before = mayRepeat(op) ? seen.find(kept) : undefined;
    if (before) {
      op.results.forEach((result, i) => {
        replaced.set(result, before.results[i]);
      });
      continue;
    }
    ops.push(kept);
  }
  return replaced.size === 0 ? graph : { ...graph, ops, results: graph.results.map(resolve) };
}

export const eliminateCommonSubexpressions: Pass = {
  name: 'eliminateCommonSubexpressions',
  run: (module) => mapGraphs(module, withoutRepeatedOps),
};
