/**
 * The optimisation of graphs, as data: which passes run, in which order.
 */
import { recomputeScores } from '../attention/recompute-scores.ts';
import { reducePositions } from '../convolution/reduce-positions.ts';
import { splitDilation } from '../convolution/split-dilation.ts';
import type { Step } from '../manager.ts';
import { outlineRepeats } from '../outline/outline-repeats.ts';
import { trimCalls } from '../outline/trim-calls.ts';
import { canonicalize } from './canonicalize.ts';
import { factorProducts } from './common-factors.ts';
import { eliminateCommonSubexpressions } from './common-subexpressions.ts';
import { eliminateDeadCode } from './dead-code.ts';
import { foldConstants } from './fold-constants.ts';
import { inlineCalls } from './inline-calls.ts';
import { orderMatmulChains } from './matmul-chains.ts';
import { batchSharedMatmuls } from './shared-products.ts';
import { splitWideOperations } from './split-wide-operations.ts';

export { canonicalize, canonicalRules, ruleFamilies } from './canonicalize.ts';
export { factorProducts, factorRules } from './common-factors.ts';
export { eliminateCommonSubexpressions } from './common-subexpressions.ts';
export { eliminateDeadCode } from './dead-code.ts';
export { foldConstants } from './fold-constants.ts';
export { inlineCalls } from './inline-calls.ts';
export { chainRules, orderMatmulChains } from './matmul-chains.ts';
export { batchSharedMatmuls } from './shared-products.ts';
export { splitWideOperations } from './split-wide-operations.ts';

/** Rounds of simplification after which the rest is left as it is; two or three are usual. */
const rounds = 8;

/**
 * The steps that bring a module into the form that fusion expects: one function and those that were made of blocks it
 * repeats, no repeated or dead ops, canonical. Running them on a result without calls changes
 * nothing. Which rewrite rules run follows `PassContext.precision`.
 */
export const optimizePipeline: readonly Step[] = [
  inlineCalls,
  eliminateDeadCode,
  eliminateCommonSubexpressions,
  recomputeScores,
  outlineRepeats,
  {
    name: 'simplify',
    repeat: [
      eliminateCommonSubexpressions,
      canonicalize,
      splitDilation,
      reducePositions,
      foldConstants,
      orderMatmulChains,
      factorProducts,
      eliminateDeadCode,
      trimCalls,
      batchSharedMatmuls,
    ],
    rounds,
  },
  splitWideOperations,
];
