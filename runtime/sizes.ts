/**
 * Sizes of a Program made concrete: the values of its symbols are read off the shapes of its inputs, and every other
 * size is evaluated with them.
 *
 *     bindSymbols(program, [[7, 784]])        // Map { 'B' → 7 }  where the input is f32[B,784]
 *     evaluateSize('2*B+1', symbols, bindings) // 15
 */
import { bindDims } from '../base/bind-dims.ts';
import { type Dim, type DimBindings, evaluateDim, parseDim, type SymbolRange } from '../base/dim.ts';
import { KilnError } from '../base/error.ts';
import type { Program, Size } from './program.ts';

export const symbolTable = (symbols: readonly SymbolRange[]): ReadonlyMap<string, SymbolRange> =>
  new Map(symbols.map((symbol) => [symbol.name, symbol]));

/** A Program's size as a dim. @throws KilnError `invalid_program` for text that is no size over the symbols */
export function parseSize(size: Size, symbols: ReadonlyMap<string, SymbolRange>): Dim {
  if (typeof size === 'number') return size;
  try {
    return parseDim(size, symbols);
  } catch (cause) {
    throw new KilnError('invalid_program', `'${size}' is no size over the program's symbols`, {
      given: `symbols ${[...symbols.keys()].join(', ') || '(none)'}`,
      cause,
    });
  }
}

/** The number a size stands for. @throws KilnError `invalid_program`, `invalid_size` for a negative or unsafe result */
export const evaluateSize = (size: Size, symbols: ReadonlyMap<string, SymbolRange>, bindings: DimBindings): number =>
  evaluateInteger(size, symbols, bindings, 0);

/**
 * The number an expression stands for, such as the distance between elements that a reversed axis walks backwards.
 * @param least what it may not be below
 * @throws KilnError `invalid_program`, `invalid_size`
 */
export function evaluateInteger(
  size: Size,
  symbols: ReadonlyMap<string, SymbolRange>,
  bindings: DimBindings,
  least: number,
): number {
  if (typeof size === 'number') return size;
  const value = evaluateDim(parseSize(size, symbols), bindings);
  if (Number.isSafeInteger(value) && value >= least) return value;
  const where = [...bindings].map(([name, bound]) => `${name}=${bound}`).join(', ');
  throw new KilnError('invalid_size', `the size ${size} is ${value} for ${where}`, {
    expected: least === 0 ? 'a size that is not negative' : `an integer of at least ${least}`,
  });
}

/**
 * The values of a program's symbols, given its inputs' shapes.
 * @throws KilnError `shape_mismatch` for shapes that do not fit the program, `invalid_size` for a symbol out of its
 * bounds, `invalid_program` for a symbol that no input's shape tells
 */
export function bindSymbols(program: Program, inputShapes: readonly (readonly number[])[]): Map<string, number> {
  const symbols = symbolTable(program.symbols);
  const pairs: [Dim, number][] = [];
  program.inputs.forEach((input, index) => {
    const shape = inputShapes[index];
    if (shape?.length !== input.shape.length) {
      throw new KilnError('shape_mismatch', `${program.name}: input ${index} does not fit the program`, {
        given: shape ? `[${shape.join(',')}]` : 'nothing',
        expected: `[${input.shape.join(',')}]`,
      });
    }
    input.shape.forEach((size, axis) => {
      pairs.push([parseSize(size, symbols), shape[axis]]);
    });
  });
  const bindings = bindDims(pairs);
  for (const { name } of program.symbols) {
    if (!bindings.has(name)) {
      throw new KilnError('invalid_program', `no input of ${program.name} tells the size ${name}`);
    }
  }
  return bindings;
}
