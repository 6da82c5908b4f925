/**
 * How many operations a kernel does, as `flopsOf` counts those of ops: so that what fusing computes again, or moves out
 * of a loop, shows. Arithmetic on indices alone counts for nothing, as it does there.
 *
 *     parallel i < N { %0 = load x[i]; %1 = tanh %0; %2 = multiply %1, %1; store y[i] = %2 }      N * (14 + 1)
 */
import { addDims, type Dim, dimProduct, mulDims } from '../../base/dim.ts';
import type { Kernel, KernelNode, Let, ScalarId } from '../../ir/kernel.ts';
import { traitsOf } from '../../ir/ops/index.ts';

export const operationsOf = ({ body }: Kernel): Dim => operationsIn(body, new Set());

/** @param fromIndices values that follow from positions and sizes alone, which is added to */
function operationsIn(nodes: readonly KernelNode[], fromIndices: Set<ScalarId>): Dim {
  let fixed = 0;
  let total: Dim = 0;
  for (const node of nodes) {
    if (node.kind === 'let') fixed += operationsOfLet(node, fromIndices);
    else if (node.kind === 'store') fixed += node.combine === 'assign' ? 0 : 1;
    else if (node.kind === 'loop') {
      total = addDims(total, mulDims(node.axis.extent, operationsIn(node.body, fromIndices)));
    } else {
      let once = operationsIn(node.body, fromIndices);
      for (const accumulator of node.accumulators) {
        const each = accumulator.kind === 'tuple' ? operationsIn(accumulator.body, new Set(fromIndices)) : 1;
        once = addDims(once, each);
      }
      total = addDims(total, mulDims(dimProduct(node.axes.map(({ extent }) => extent)), once));
    }
  }
  return addDims(total, fixed);
}

function operationsOfLet({ id, expression }: Let, fromIndices: Set<ScalarId>): number {
  if (expression.kind === 'load') return 0;
  if (expression.kind !== 'apply') {
    fromIndices.add(id);
    return 0;
  }
  const [first] = expression.operands;
  const isIndex = expression.operands.every((operand) => fromIndices.has(operand));
  if (isIndex) fromIndices.add(id);
  // A choice by position is how padding and concatenation look in a kernel.
  const byPosition = expression.opcode === 'select' && fromIndices.has(first);
  return isIndex || byPosition ? 0 : (traitsOf(expression.opcode).flops ?? 0);
}
