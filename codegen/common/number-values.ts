/**
 * Numbers the values of a kernel anew, from 0 in the order in which they appear. Code names values by their numbers,
 * and a kernel's hash does not see them: so that equal hashes mean equal code, code is made of kernels numbered so.
 *
 *     %7 = load x[i]; %9 = add %7, %7     →     %0 = load x[i]; %1 = add %0, %0
 */
import type {
  Accumulator,
  IndexExpression,
  IndexFactor,
  Kernel,
  KernelNode,
  Let,
  ScalarExpression,
  ScalarId,
} from '../../ir/kernel.ts';

/** The same kernel, with values numbered by their place alone. */
export function numberValues(kernel: Kernel): Kernel {
  const numbering = new Numbering();
  return { ...kernel, body: kernel.body.map(numbering.node) };
}

class Numbering {
  readonly #numbers = new Map<ScalarId, ScalarId>();

  readonly #id = (id: ScalarId): ScalarId => {
    const known = this.#numbers.get(id) ?? this.#numbers.size;
    this.#numbers.set(id, known);
    return known;
  };

  readonly node = (node: KernelNode): KernelNode => {
    switch (node.kind) {
      case 'let':
        return this.#let(node);
      case 'store': {
        const { index, value, when } = node;
        return { ...node, index: this.#index(index), value: this.#id(value), ...this.#when(when) };
      }
      case 'loop': {
        const { carried } = node;
        const named = carried?.map((each) => ({ ...each, id: this.#id(each.id), initial: this.#id(each.initial) }));
        const body = node.body.map(this.node);
        if (!named) return { ...node, body };
        return { ...node, body, carried: named.map((each) => ({ ...each, next: this.#id(each.next) })) };
      }
      case 'reduce':
        return { ...node, body: node.body.map(this.node), accumulators: node.accumulators.map(this.#accumulator) };
      case 'sort':
        return node;
    }
  };

  readonly #let = (node: Let): Let => ({
    ...node,
    expression: this.#expression(node.expression),
    id: this.#id(node.id),
  });

  #expression(expression: ScalarExpression): ScalarExpression {
    switch (expression.kind) {
      case 'constant':
      case 'size':
        return expression;
      case 'index':
        return { ...expression, index: this.#index(expression.index) };
      case 'load':
        return { ...expression, index: this.#index(expression.index), ...this.#when(expression.when) };
      case 'apply':
        return { ...expression, operands: expression.operands.map(this.#id) };
    }
  }

  #when(when: ScalarId | undefined): { readonly when?: ScalarId } {
    return when === undefined ? {} : { when: this.#id(when) };
  }

  #index({ offset, terms }: IndexExpression): IndexExpression {
    return { offset, terms: terms.map((term) => ({ ...term, factor: this.#factor(term.factor) })) };
  }

  #factor(factor: IndexFactor): IndexFactor {
    if (factor.kind === 'axis') return factor;
    if (factor.kind === 'value') return { ...factor, id: this.#id(factor.id) };
    return { ...factor, dividend: this.#index(factor.dividend) };
  }

  readonly #accumulator = (accumulator: Accumulator): Accumulator => {
    if (accumulator.kind !== 'tuple') {
      return { ...accumulator, value: this.#id(accumulator.value), result: this.#id(accumulator.result) };
    }
    const { results, values, left, right, body, combined } = accumulator;
    return {
      ...accumulator,
      values: values.map(this.#id),
      left: left.map(this.#id),
      right: right.map(this.#id),
      body: body.map(this.#let),
      combined: combined.map(this.#id),
      results: results.map(this.#id),
    };
  };
}
