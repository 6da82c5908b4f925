/**
 * The order in which a chain of matrix products is computed, by dynamic programming over the whole chain (Cormen et
 * al., Introduction to Algorithms, 15.2). The axes of every factor are labelled: batch axes, which all or some factors
 * have, links, which two neighbours are contracted over, and the free axes of both ends.
 *
 *     dot(dot(a[256,256], b[256,256]), v[256,1])      = dot(a, dot(b, v))
 *
 * Chains go through transposes and scalar factors, which are multiplied onto the smallest factor or the result, and
 * only through products that nobody else uses.
 */
import type { Dim } from '../../base/dim.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { estimate } from '../fuse/graph-uses.ts';
import type { Pass } from '../manager.ts';
import { type RewriteRule, type Rewriter, rule } from '../rewrite.ts';
import { broadcastTo, otherAxes, range, reshape, transpose } from '../rewrite-emit.ts';
import { rewritePass } from '../rewrite-pass.ts';
import { costOf, type ProductWork } from './product-cost.ts';
import { scalarFactorOf, scaleBy } from './scalar-factor.ts';

/** Factors of a chain, at most: its order takes time proportional to the cube. */
const mostFactors = 16;
/** A new order must save this part of the cost at least. */
const leastGain = 0.1;

/** A value with a label for each axis. */
interface Factor {
  readonly value: Value;
  readonly labels: readonly number[];
}

/** A chain as it is taken apart. */
class Chain {
  readonly scalars: Value[] = [];
  readonly sizes: Dim[] = [];
  /** Labels of batch axes, in the order of the result. */
  readonly batch: number[];
  readonly work = { flops: 0, elements: 0 };
  factors: Factor[] = [];
  readonly #rewriter: Rewriter;
  #count = 1;

  constructor(root: OpOf<'dot_general'>, rewriter: Rewriter) {
    this.#rewriter = rewriter;
    const labels = root.results[0].type.shape.map((size) => this.#label(size));
    this.batch = labels.slice(0, root.attributes.batch[0].length);
    this.factors = this.#split(root, labels);
  }

  #label(size: Dim): number {
    return this.sizes.push(size) - 1;
  }

  /** The factors of a product whose result has the given labels. */
  #split(dot: OpOf<'dot_general'>, labels: readonly number[]): Factor[] {
    const { contract, batch } = dot.attributes;
    const [lhs, rhs] = dot.operands;
    const links = contract[0].map((axis) => this.#label(lhs.type.shape[axis]));
    const free = ([0, 1] as const).map((side) =>
      otherAxes(dot.operands[side].type.shape.length, contract[side], batch[side]),
    );
    const [own, batchCount] = [[lhs, rhs], batch[0].length];
    const sides = own.map((operand, side): Factor => {
      const of: number[] = new Array(operand.type.shape.length);
      batch[side].forEach((axis, i) => {
        of[axis] = labels[i];
      });
      contract[side].forEach((axis, i) => {
        of[axis] = links[i];
      });
      const first = side === 0 ? batchCount : labels.length - free[1].length;
      free[side].forEach((axis, i) => {
        of[axis] = labels[first + i];
      });
      return { value: operand, labels: of };
    });
    const work = this.workOf(sides[0].labels, sides[1].labels, labels);
    this.work.flops += work.flops;
    this.work.elements += work.elements;
    this.#count++;
    const left = this.#chainTo(sides[0], links);
    const right = this.#chainTo(sides[1], links).reverse();
    return [...left, ...right];
  }

  /** The factors of an operand, the one that has the links at the end; the operand itself if that can not be. */
  #chainTo(factor: Factor, links: readonly number[]): Factor[] {
    const scalars = this.scalars.length;
    const inner = this.#skip(factor);
    const dot = this.#rewriter.definedBy(inner.value, 'dot_general');
    if (!dot || !this.#isOwn(inner.value) || this.#count >= mostFactors || !this.#fits(dot, inner.labels, links)) {
      return [inner];
    }
    const before = { ...this.work };
    const factors = this.#split(dot, inner.labels);
    const has = ({ labels }: Factor): boolean => links.every((link) => labels.includes(link));
    if (has(factors[factors.length - 1])) return factors;
    if (has(factors[0])) return factors.reverse();
    Object.assign(this.work, before);
    this.scalars.length = scalars;
    return [factor];
  }

  /** Whether a product is a link of the chain: contracted, its batch axes those of the chain. */
  #fits({ attributes: { contract, batch } }: OpOf<'dot_general'>, labels: readonly number[], links: readonly number[]) {
    const own = labels.slice(0, batch[0].length);
    const isBatch = own.every((label) => this.batch.includes(label));
    const rest = labels.slice(batch[0].length);
    return isBatch && contract[0].length > 0 && links.length > 0 && !rest.some((label) => this.batch.includes(label));
  }

  #isOwn = (value: Value): boolean => this.#rewriter.useCount(value) === 1;

  /** What is below transposes and scalar factors that nobody else uses. */
  #skip({ value, labels }: Factor): Factor {
    const moved = this.#rewriter.definedBy(value, 'transpose');
    if (moved && this.#isOwn(value)) {
      const inner: number[] = [];
      moved.attributes.permutation.forEach((axis, i) => {
        inner[axis] = labels[i];
      });
      return this.#skip({ value: moved.operands[0], labels: inner });
    }
    const product = this.#rewriter.definedBy(value, 'multiply');
    const factor = product && this.#isOwn(value) ? scalarFactorOf(this.#rewriter, product) : undefined;
    if (!factor) return { value, labels };
    this.scalars.push(factor.scalar);
    return this.#skip({ value: factor.array, labels });
  }

  elements = (labels: readonly number[]): number =>
    labels.reduce((count, label) => count * estimate(this.sizes[label]), 1);

  workOf(a: readonly number[], b: readonly number[], result: readonly number[]): ProductWork {
    return {
      flops: 2 * this.elements([...new Set([...a, ...b])]),
      elements: this.elements(a) + this.elements(b) + this.elements(result),
    };
  }
}

/** Factors without batch axes along which they only repeat, as long as another has them. */
function withoutRepeatedBatches(rewriter: Rewriter, chain: Chain): Factor[] {
  const owners = new Map<number, number>();
  const repeats = chain.factors.map(({ value, labels }) => {
    const repeated = rewriter.definedBy(value, 'broadcast_in_dim');
    const found = new Set<number>();
    labels.forEach((label, axis) => {
      if (!chain.batch.includes(label)) return;
      const from = repeated?.attributes.axes.indexOf(axis) ?? axis;
      const isRepeat = repeated && (from < 0 || repeated.operands[0].type.shape[from] === 1);
      if (isRepeat) found.add(label);
      else owners.set(label, (owners.get(label) ?? 0) + 1);
    });
    return found;
  });
  return chain.factors.map((factor, i) => {
    const dropped = [...repeats[i]].filter((label) => owners.has(label));
    const repeated = rewriter.definedBy(factor.value, 'broadcast_in_dim');
    if (!repeated || dropped.length === 0) return factor;
    const [source] = repeated.operands;
    const { axes, shape } = repeated.attributes;
    const kept = range(factor.labels.length).filter((axis) => !dropped.includes(factor.labels[axis]));
    const keptOfSource = range(axes.length).filter((at) => kept.includes(axes[at]));
    const squeezed = reshape(
      rewriter,
      source,
      keptOfSource.map((at) => source.type.shape[at]),
    );
    const value = broadcastTo(
      rewriter,
      squeezed,
      kept.map((axis) => shape[axis]),
      keptOfSource.map((at) => kept.indexOf(axes[at])),
    );
    return { value, labels: kept.map((axis) => factor.labels[axis]) };
  });
}

interface Plan {
  readonly work: ProductWork;
  /** Where the product of a run of factors is cut, by first and last. */
  readonly cuts: readonly (readonly number[])[];
}

/** Labels of the product of factors: all but those that vanish between two of them. */
function outerLabels(chain: Chain, left: readonly number[], right: readonly number[]): number[] {
  const links = left.filter((label) => right.includes(label) && !chain.batch.includes(label));
  return [...new Set([...left, ...right])].filter((label) => !links.includes(label));
}

/** The cheapest order of all. */
function planOf(chain: Chain, factors: readonly Factor[]): Plan {
  const n = factors.length;
  const labels = factors.map((factor) => [[...factor.labels]]);
  const works: ProductWork[][] = factors.map(() => [{ flops: 0, elements: 0 }]);
  const cuts: number[][] = factors.map(() => [0]);
  for (let length = 1; length < n; length++) {
    for (let i = 0; i + length < n; i++) {
      labels[i][length] = outerLabels(chain, labels[i][length - 1], labels[i + length][0]);
      let best: ProductWork | undefined;
      for (let cut = 0; cut < length; cut++) {
        const [left, right] = [labels[i][cut], labels[i + cut + 1][length - cut - 1]];
        const parts = [
          works[i][cut],
          works[i + cut + 1][length - cut - 1],
          chain.workOf(left, right, labels[i][length]),
        ];
        const work = {
          flops: parts.reduce((sum, part) => sum + part.flops, 0),
          elements: parts.reduce((sum, part) => sum + part.elements, 0),
        };
        if (best && costOf(work) >= costOf(best)) continue;
        best = work;
        cuts[i][length] = cut;
      }
      works[i][length] = best ?? works[i][0];
    }
  }
  return { work: works[0][n - 1], cuts };
}

/** A product of two factors by their labels; batch axes in the order of the chain. */
function multiplied(rewriter: Rewriter, chain: Chain, a: Factor, b: Factor): Factor {
  const batch = chain.batch.filter((label) => a.labels.includes(label) && b.labels.includes(label));
  const links = a.labels.filter((label) => b.labels.includes(label) && !batch.includes(label));
  const axesOf = ({ labels }: Factor, wanted: readonly number[]): number[] =>
    wanted.map((label) => labels.indexOf(label));
  const value = rewriter.op('dot_general', [a.value, b.value], {
    contract: [axesOf(a, links), axesOf(b, links)],
    batch: [axesOf(a, batch), axesOf(b, batch)],
  });
  const isFree = (label: number): boolean => !batch.includes(label) && !links.includes(label);
  return { value, labels: [...batch, ...a.labels.filter(isFree), ...b.labels.filter(isFree)] };
}

const scaled = (rewriter: Rewriter, value: Value, scalars: readonly Value[]): Value =>
  scalars.reduce((product, scalar) => scaleBy(rewriter, product, scalar), value);

/** Computes a chain in the planned order. */
function build(
  rewriter: Rewriter,
  chain: Chain,
  factors: readonly Factor[],
  { cuts }: Plan,
  root: OpOf<'dot_general'>,
): Value {
  const smallest = factors.reduce(
    (best, factor, i) => (chain.elements(factor.labels) < chain.elements(factors[best].labels) ? i : best),
    0,
  );
  const result = root.results[0].type.shape.map((_, axis) => axis);
  const scalesResult = chain.elements(result) < chain.elements(factors[smallest].labels);
  const product = (first: number, length: number): Factor => {
    if (length === 0) {
      const { value, labels } = factors[first];
      return { value: first === smallest && !scalesResult ? scaled(rewriter, value, chain.scalars) : value, labels };
    }
    const cut = cuts[first][length];
    const [left, right] = [product(first, cut), product(first + cut + 1, length - cut - 1)];
    const isTop = length === factors.length - 1;
    // The root's labels are the first of the chain, in order: the left operand should have the lower free ones.
    const lowest = ({ labels }: Factor): number =>
      Math.min(...labels.filter((label) => !chain.batch.includes(label) && label < result.length));
    return isTop && lowest(right) < lowest(left)
      ? multiplied(rewriter, chain, right, left)
      : multiplied(rewriter, chain, left, right);
  };
  const { value, labels } = product(0, factors.length - 1);
  const ordered = transpose(
    rewriter,
    value,
    result.map((label) => labels.indexOf(label)),
  );
  return scalesResult ? scaled(rewriter, ordered, chain.scalars) : ordered;
}

const matmulChain = rule({
  name: 'matmul_chain',
  opcodes: ['dot_general'],
  floatClass: 'regrouping',
  apply: (op, rewriter) => {
    if (op.attributes.contract[0].length === 0) return undefined;
    const chain = new Chain(op, rewriter);
    if (chain.factors.length < 3) return undefined;
    const factors = withoutRepeatedBatches(rewriter, chain);
    const plan = planOf(chain, factors);
    const isCheaper = costOf(plan.work) <= (1 - leastGain) * costOf(chain.work);
    return isCheaper && plan.work.flops <= chain.work.flops ? build(rewriter, chain, factors, plan, op) : undefined;
  },
});

export const chainRules: readonly RewriteRule[] = [matmulChain];

/** Computes chains of matrix products in the cheapest order (fast mode). */
export const orderMatmulChains: Pass = rewritePass('orderMatmulChains', chainRules, {
  opcode: 'dot_general',
  atLeast: 2,
});
