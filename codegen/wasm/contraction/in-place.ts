/**
 * Factors that are read where they are: plain loads whose elements lie as a register tile reads them.
 */
import type { Dim } from '../../../base/dim.ts';
import { byteSize, computeDType, type DType, isHalf } from '../../../base/dtype.ts';
import type { Axis, IndexExpression } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { coefficientOf } from '../../common/linear-index.ts';
import type { Factor, Sum } from '../../common/products.ts';
import type { RecordLayout } from '../record.ts';
import type { Contraction } from './match.ts';

/** Elements of the right factor up to which it is read in place, however many rows use it. */
const inPlaceElements = 1 << 13;
/**
 * Rows up to which the right factor is read in place, however large it is: fewer where each step is on another page.
 */
const inPlaceRows = 24;
const inPlaceRowsOfPages = 8;
/** Rows up to which floats of 16 bits are read in place: every tile of rows widens them again. */
const widenedRows = 8;
/** Rows up to which a few steps at a time are done, and up to which that pays where steps do not lie on pages apart. */
const rowsOfSteps = 32;
const fewRows = 4;
/** Steps at a time: as many places in memory are read side by side. */
const stepsAtOnce = 8;
const pageBytes = 4096;
/** Steps up to which the left factor may lie apart from step to step. */
const inPlaceSteps = 64;

/** A factor that is read where it is. */
export interface InPlace {
  readonly memory: string;
  /** The dtype of its elements there: that of the sum, or a float of 16 bits that is widened as it is read. */
  readonly stored: DType;
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
  const stored = layout.dtypeOf(memory);
  if (when !== undefined || computeDType(stored) !== dtype) return undefined;
  if (!index.terms.every((term) => term.factor.kind === 'axis')) return undefined;
  const [ownStride, step] = [coefficientOf(index, own.name), coefficientOf(index, reduced[0].name)];
  if (ownStride === undefined || step === undefined) return undefined;
  return { memory, stored, index, own: ownStride, step };
}

/** The left factor, unless its steps lie so far apart that packing it is faster. */
export function leftInPlace(layout: RecordLayout, sum: Sum, { row }: Contraction): InPlace | undefined {
  const load = inPlaceLoad(layout, sum.left, row, sum);
  const apart = load?.step !== 1 && likelyExtent(sum.depth) > inPlaceSteps;
  return apart || load?.stored !== sum.dtype ? undefined : load;
}

export interface InPlaceOptions {
  readonly isChecked: boolean;
  readonly mayBeSteps: boolean;
  readonly isKept: boolean;
}

/**
 * The right factor, if it lies along the column and is small or used by few rows.
 * @param isChecked whether the schedule wants to look at the packed factor: then only few rows keep it in place
 * @param mayBeSteps whether the schedule can do a few steps at a time
 * @param isKept whether packing costs nothing
 */
export function rightInPlace(
  layout: RecordLayout,
  sum: Sum,
  { row, column }: Contraction,
  { isChecked, mayBeSteps, isKept }: InPlaceOptions,
): InPlace | undefined {
  const load = inPlaceLoad(layout, sum.right, column, sum);
  if (load?.own !== 1) return undefined;
  if (isHalf(load.stored) && likelyExtent(row.extent) > widenedRows) return undefined;
  if (!isChecked && isSmall(sum, column)) return load;
  if (isKept) return undefined;
  const ofPages = mayBeSteps ? rowsOfSteps : inPlaceRowsOfPages;
  return likelyExtent(row.extent) <= (isOfPages(load) ? ofPages : inPlaceRows) ? load : undefined;
}

const isSmall = (sum: Sum, column: Axis): boolean =>
  likelyExtent(sum.depth) * likelyExtent(column.extent) <= inPlaceElements;

const isOfPages = ({ step, stored }: InPlace): boolean => likelyExtent(step) * byteSize(stored) >= pageBytes;

/**
 * The steps that are done at a time where a large right factor is read in place for few rows; `undefined` where tiles
 * do all their steps. Only along one axis: what is packed of the left factor has no parts.
 */
export function stepsInPlace(right: InPlace, sum: Sum, { row, column }: Contraction): number | undefined {
  if (isSmall(sum, column) || likelyExtent(sum.depth) <= stepsAtOnce) return undefined;
  const pays = likelyExtent(row.extent) <= fewRows || isOfPages(right);
  return pays ? stepsAtOnce : undefined;
}
