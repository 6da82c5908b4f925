/**
 * Index expressions as WGSL, in int32. An axis stands for a text: its counter, or what a schedule computes.
 *
 *     { offset: 0, terms: [N*i, 1*j, 1*floordiv(k,2)] }   →   sizes.n0 * i_ + j_ + k_ / 2
 */
import { type Dim, equalDims, isStatic } from '../../base/dim.ts';
import { internalError } from '../../base/error.ts';
import type { IndexExpression, IndexFactor, ScalarId } from '../../ir/kernel.ts';
import { indexBounds } from '../common/linear-index.ts';
import type { Shader } from './shader.ts';

/** What an index may refer to. */
export interface IndexScope {
  /** The text of an axis. */
  axis(name: string): string;
  /** The text of an int32 value. */
  value(id: ScalarId): string;
  readonly extents: ReadonlyMap<string, Dim>;
}

/** Sums and products are unparenthesised; whoever puts one beside an operator does that. */
export function indexText(shader: Shader, index: IndexExpression, scope: IndexScope): string {
  const parts: string[] = [];
  for (const { coefficient, factor } of index.terms) {
    const text = factorText(shader, factor, scope);
    if (equalDims(coefficient, 1)) parts.push(text);
    else if (equalDims(coefficient, -1)) parts.push(`-${text}`);
    else parts.push(`${shader.size(coefficient)} * ${text}`);
  }
  if (!equalDims(index.offset, 0) || parts.length === 0) parts.push(shader.size(index.offset));
  return parts.join(' + ').replaceAll('+ -', '- ');
}

const parenthesized = (text: string): string => (/^[\w.]+$/.test(text) ? text : `(${text})`);

function factorText(shader: Shader, factor: IndexFactor, scope: IndexScope): string {
  if (factor.kind === 'axis') return parenthesized(scope.axis(factor.axis));
  if (factor.kind === 'value') return parenthesized(scope.value(factor.id));
  const dividend = indexText(shader, factor.dividend, scope);
  const divisor = shader.size(factor.divisor);
  if (isStatic(factor.divisor) && factor.divisor <= 0) throw internalError(`an index is divided by ${factor.divisor}`);
  if (indexBounds(factor.dividend, scope.extents)[0] >= 0) {
    return `(${parenthesized(dividend)} ${factor.kind === 'floordiv' ? '/' : '%'} ${divisor})`;
  }
  if (factor.kind === 'floordiv') return `${shader.helper('floor_divide', floorDivide)}(${dividend}, ${divisor})`;
  return `${shader.helper('floor_modulo', floorModulo)}(${dividend}, ${divisor})`;
}

const floorDivide = `
fn floor_divide(a: i32, b: i32) -> i32 {
  let quotient = a / b;
  return select(quotient, quotient - 1, quotient * b > a);
}`;
const floorModulo = `
fn floor_modulo(a: i32, b: i32) -> i32 {
  let remainder = a % b;
  return select(remainder, remainder + b, remainder < 0);
}`;
