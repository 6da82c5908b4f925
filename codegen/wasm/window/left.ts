/**
 * The left factor of a contraction over windows: rows of weights. Plain ones are read where they are, if the steps of
 * the sum lie at equal distances; others are packed, four rows at a time, into memory that the launch shares.
 */
import { isStatic } from '../../../base/dim.ts';
import { byteSize } from '../../../base/dtype.ts';
import type { IndexExpression } from '../../../ir/kernel.ts';
import { coefficientOf } from '../../common/linear-index.ts';
import type { RecordLayout } from '../record.ts';
import type { WindowContraction } from './match.ts';

/** A left factor in memory. */
export interface LeftFactor {
  readonly memory: string;
  /** Where it is read in place: the index of its load. */
  readonly index: IndexExpression | undefined;
  /** Elements from row to row and from step to step. */
  readonly row: number;
  readonly step: number;
}

/** The load that the left factor is, if a tile can read it where it is. */
export function leftFactor(layout: RecordLayout, window: WindowContraction, packed: string): LeftFactor {
  const { sum, row, reduced } = window;
  const panel: LeftFactor = { memory: packed, index: undefined, row: 1, step: 4 };
  const [only] = sum.left.lets;
  if (sum.left.lets.length !== 1 || only.expression.kind !== 'load' || only.expression.when !== undefined) return panel;
  const { memory, index } = only.expression;
  if (layout.dtypeOf(memory) !== sum.dtype) return panel;
  if (!index.terms.every(({ factor }) => factor.kind === 'axis')) return panel;
  const own = coefficientOf(index, row.name);
  if (own === undefined || !isStatic(own) || own < 0 || own * byteSize(sum.dtype) * 4 >= 2 ** 31) return panel;
  const steps = reduced.map(({ name }) => coefficientOf(index, name));
  const step = steps[steps.length - 1];
  if (step === undefined || !isStatic(step) || step < 0) return panel;
  let expected = step;
  for (let i = reduced.length - 1; i >= 0; i--) {
    if (steps[i] !== expected) return panel;
    expected *= reduced[i].extent;
  }
  // Far apart, each step would be on a cache line of its own.
  return step > 4 && countSteps(window) > 64 ? panel : { memory, index, row: own, step };
}

export const countSteps = ({ reduced }: WindowContraction): number =>
  reduced.reduce((count, { extent }) => count * extent, 1);
