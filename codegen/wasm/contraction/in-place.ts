/**
 * Factors that are read where they are: plain loads whose elements lie as a register tile reads them.
 */
import type { Dim } from '../../../base/dim.ts';
import { byteSize } from '../../../base/dtype.ts';
import type { Axis, IndexExpression } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { coefficientOf } from '../../common/linear-index.ts';
import type { RecordLayout } from '../record.ts';
import type { Contraction, Factor, Sum } from './match.ts';

/** Elements of the right factor up to which it is read in place, however many rows use it. */
const inPlaceElements = 1 << 13;
/** Rows up to which the right factor is read in place, however large it is: fewer where each step is on another page. */
const inPlaceRows = 24;
const inPlaceRowsOfPages = 8;
const pageBytes = 4096;
/** Steps up to which the left factor may lie apart from step to step. */
const inPlaceSteps = 64;

/** A factor that is read where it is. */
export interface InPlace {
  readonly memory: string;
  readonly index: IndexExpression;
  /** Elements from one position on the factor's own axis to the next. */
  readonly own: Dim;
  /** Elements from one step of the depth to the next. */
  readonly step: Dim;
}

/** The plain load that a factor is, if its elements can be read in place. */
function inPlaceLoad(layout: RecordLayout, factor: Factor, own: Axis, { reduced, dtype }: Sum): InPlace | undefined {
  const [only] = factor.lets;
  if (factor.lets.length !== 1 || reduced.length !== 1 || only.expression.kind !== 'load') return undefined;
  const { memory, index, when } = only.expression;
  if (when !== undefined || layout.dtypeOf(memory) !== dtype) return undefined;
  if (!index.terms.every((term) => term.factor.kind === 'axis')) return undefined;
  const [ownStride, step] = [coefficientOf(index, own.name), coefficientOf(index, reduced[0].name)];
  if (ownStride === undefined || step === undefined) return undefined;
  return { memory, index, own: ownStride, step };
}

/** The left factor, unless its steps lie so far apart that packing it is faster. */
export function leftInPlace(layout: RecordLayout, sum: Sum, { row }: Contraction): InPlace | undefined {
  const load = inPlaceLoad(layout, sum.left, row, sum);
  const apart = load?.step !== 1 && likelyExtent(sum.depth) > inPlaceSteps;
  return apart ? undefined : load;
}

/**
 * The right factor, if it lies along the column and is small or used by few rows.
 * @param isChecked whether the schedule wants to look at the packed factor: then only few rows keep it in place
 */
export function rightInPlace(
  layout: RecordLayout,
  sum: Sum,
  { row, column }: Contraction,
  isChecked: boolean,
): InPlace | undefined {
  const load = inPlaceLoad(layout, sum.right, column, sum);
  if (load?.own !== 1) return undefined;
  const small = !isChecked && likelyExtent(sum.depth) * likelyExtent(column.extent) <= inPlaceElements;
  const stepBytes = likelyExtent(load.step) * byteSize(sum.dtype);
  const rows = stepBytes >= pageBytes ? inPlaceRowsOfPages : inPlaceRows;
  return small || likelyExtent(row.extent) <= rows ? load : undefined;
}
