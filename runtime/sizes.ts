/**
 * Sizes of a Program made concrete: the values of its symbols are read off the shapes of its inputs (`bind-symbols.ts`), and
 * every other size is evaluated with them. Sizes are the text that `base/dim.ts` writes, evaluated as it is read: a device
 * compares no formulas, so it does without their algebra.
 *
 *     evaluateSize('2*B+1', bindings)         // 15
 */
import type { DimBindings } from '../base/dim.ts';
import { KilnError } from '../base/error.ts';
import type { Size } from './program.ts';

/** The number a size stands for. @throws KilnError `invalid_program`, `invalid_size` for a negative or unsafe result */
export const evaluateSize = (size: Size, bindings: DimBindings): number => evaluateInteger(size, bindings, 0);

/**
 * The number an expression stands for, such as the distance between elements that a reversed axis walks backwards.
 * @param least what it may not be below
 * @throws KilnError `invalid_program`, `invalid_size`
 */
export function evaluateInteger(size: Size, bindings: DimBindings, least: number): number {
  if (typeof size === 'number') return size;
  const value = evaluateFormula(size, bindings);
  if (Number.isSafeInteger(value) && value >= least) return value;
  const where = [...bindings].map(([name, bound]) => `${name}=${bound}`).join(', ');
  throw new KilnError('invalid_size', `the size ${size} is ${value} for ${where}`, {
    expected: least === 0 ? 'a size that is not negative' : `an integer of at least ${least}`,
  });
}

/**
 * Evaluates `sum = [-] product (± product)*`, `product = atom (* atom)*`, where an atom is a number, a symbol, a sum in
 * parentheses, `floordiv(sum,sum)` or `mod(sum,sum)`; NaN for a divisor that is not positive.
 * @throws KilnError `invalid_program` for text that is no size over the symbols
 */
export function evaluateFormula(text: string, bindings: DimBindings): number {
  const tokens = text.match(/[A-Za-z_]\w*|\d+|[-+*(),]/g) ?? [];
  let at = 0;
  const fail = (): never => {
    throw new KilnError('invalid_program', `'${text}' is no size over the program's symbols`, {
      given: `symbols ${[...bindings.keys()].join(', ') || '(none)'}`,
    });
  };
  const skip = (token: string): void => {
    if (tokens[at++] !== token) fail();
  };
  const isNext = (token: string): boolean => tokens[at] === token && ++at > 0;
  const atom = (): number => {
    const token = tokens[at++] ?? fail();
    if (token >= '0' && token <= ':') return Number(token);
    const isFloor = token === 'floordiv';
    if (isFloor || token === 'mod') {
      skip('(');
      const dividend = sum();
      skip(',');
      const divisor = sum();
      skip(')');
      if (divisor < 1) return Number.NaN;
      const quotient = Math.floor(dividend / divisor);
      return isFloor ? quotient : dividend - divisor * quotient;
    }
    if (token !== '(') return bindings.get(token) ?? fail();
    const inner = sum();
    skip(')');
    return inner;
  };
  const product = (): number => {
    let value = atom();
    while (isNext('*')) value *= atom();
    return value;
  };
  const sum = (): number => {
    let value = isNext('-') ? 0 - product() : product();
    for (;;) {
      if (isNext('+')) value += product();
      else if (isNext('-')) value -= product();
      else return value;
    }
  };
  const value = sum();
  return at === tokens.length && tokens.join('') === text.replace(/\s/g, '') ? value : fail();
}
