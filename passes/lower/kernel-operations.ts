/**
 * How many operations a kernel does, as `flopsOf` counts those of ops: so that what fusing computes again, or moves out
 * of a loop, shows. Arithmetic on indices alone counts for nothing, as it does there.
 *
 *     parallel i < N { %0 = load x[i]; %1 = tanh %0; %2 = multiply %1, %1; store y[i] = %2 }      N * (14 + 1)
 *
 * What a contraction does to an operand counts once for each element of the operand: code packs operands and computes
 * them on the way, rather than for every product.
 */
import { addDims, type Dim, dimProduct, mulDims } from '../../base/dim.ts';
import type {
  Axis,
  HalfRounding,
  IndexExpression,
  Kernel,
  KernelNode,
  Let,
  Reduce,
  ScalarId,
  ScalarOpcode,
} from '../../ir/kernel.ts';
import { traitsOf } from '../../ir/ops/index.ts';
import { sortWork } from '../../ir/ops/sort.ts';

export function operationsOf({ body, scratch }: Kernel): Dim {
  const count = new OperationCount(new Set(scratch.map(({ name }) => name)));
  count.nodes(body, [], false);
  return count.total();
}

type Axes = readonly Axis[];

class OperationCount {
  readonly #scratch: ReadonlySet<string>;
  readonly #axisNumbers = new Map<Axis, number>();
  /** Operations by the axes that repeat them. */
  readonly #counts = new Map<string, { readonly axes: Axes; operations: number }>();
  /** Values that follow from positions and sizes alone. */
  readonly #fromIndices = new Set<ScalarId>();
  /** The axes that a value differs along. */
  readonly #variesAlong = new Map<ScalarId, ReadonlySet<string>>();

  constructor(scratch: ReadonlySet<string>) {
    this.#scratch = scratch;
  }

  total(): Dim {
    let total: Dim = 0;
    for (const { axes, operations } of this.#counts.values()) {
      total = addDims(total, mulDims(dimProduct(axes.map(({ extent }) => extent)), operations));
    }
    return total;
  }

  /** @param isPacked whether values are computed once for each position on the axes that they vary along */
  nodes(nodes: readonly KernelNode[], around: Axes, isPacked: boolean): void {
    for (const node of nodes) {
      if (node.kind === 'let') this.#let(node, around, isPacked);
      else if (node.kind === 'store') this.#add(node.combine === 'assign' ? 0 : 1, around);
      else if (node.kind === 'loop') this.nodes(node.body, [...around, node.axis], isPacked);
      else if (node.kind === 'reduce') this.#reduce(node, around);
      else this.#add(sortWork, [...around, { name: `sort of ${node.keys}`, extent: node.length }]);
    }
  }

  #reduce({ axes, order, body, accumulators }: Reduce, around: Axes): void {
    const inside = [...around, ...axes];
    this.nodes(body, inside, order === 'blocks');
    for (const accumulator of accumulators) {
      if (accumulator.kind === 'tuple') this.nodes(accumulator.body, inside, false);
      else this.#add(1, inside);
    }
  }

  #let(node: Let, around: Axes, isPacked: boolean): void {
    const varies = this.#axesOf(node, around);
    this.#variesAlong.set(node.id, varies);
    this.#add(this.#operationsOf(node), isPacked ? around.filter(({ name }) => varies.has(name)) : around);
  }

  #add(operations: number, axes: Axes): void {
    if (operations === 0) return;
    const key = axes.map((axis) => this.#numberOf(axis)).join();
    const known = this.#counts.get(key);
    if (known) known.operations += operations;
    else this.#counts.set(key, { axes, operations });
  }

  #numberOf(axis: Axis): number {
    const number = this.#axisNumbers.get(axis) ?? this.#axisNumbers.size;
    this.#axisNumbers.set(axis, number);
    return number;
  }

  #operationsOf({ id, expression }: Let): number {
    if (expression.kind === 'load') return 0;
    if (expression.kind !== 'apply') {
      this.#fromIndices.add(id);
      return 0;
    }
    const [first] = expression.operands;
    const isIndex = expression.operands.every((operand) => this.#fromIndices.has(operand));
    if (isIndex) this.#fromIndices.add(id);
    // A choice by position is how padding and concatenation look in a kernel.
    const byPosition = expression.opcode === 'select' && this.#fromIndices.has(first);
    return isIndex || byPosition ? 0 : isRounding(expression.opcode) ? 0 : (traitsOf(expression.opcode).flops ?? 0);
  }

  #axesOf({ expression }: Let, around: Axes): ReadonlySet<string> {
    if (expression.kind === 'load' && this.#scratch.has(expression.memory)) {
      return new Set(around.map(({ name }) => name)); // It is written anew by the loops around.
    }
    const found = new Set<string>();
    const fromValue = (id: ScalarId): void => {
      // Results of loops and reductions have no `let`: they may differ wherever this stands.
      const axes = this.#variesAlong.get(id) ?? around.map(({ name }) => name);
      for (const axis of axes) found.add(axis);
    };
    const fromIndex = ({ terms }: IndexExpression): void => {
      for (const { factor } of terms) {
        if (factor.kind === 'axis') found.add(factor.axis);
        else if (factor.kind === 'value') fromValue(factor.id);
        else fromIndex(factor.dividend);
      }
    };
    if (expression.kind === 'apply') expression.operands.forEach(fromValue);
    if (expression.kind === 'index' || expression.kind === 'load') fromIndex(expression.index);
    if (expression.kind === 'load' && expression.when !== undefined) fromValue(expression.when);
    return found;
  }
}

const isRounding = (opcode: ScalarOpcode): opcode is HalfRounding =>
  opcode === 'round_float16' || opcode === 'round_bfloat16';
