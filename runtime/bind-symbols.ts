/**
 * The values of a program's symbols:
 *
 *     bindSymbols(program, [[7, 784]])        // Map { 'B' → 7 }  where the input is f32[B,784]
 */
import { KilnError } from '../base/error.ts';
import { solveSizes } from '../base/solve-sizes.ts';
import type { Program, TensorSpec } from './program.ts';
import { evaluateFormula } from './sizes.ts';

/**
 * The values of a program's symbols, given its inputs' shapes.
 * @throws KilnError `shape_mismatch` for shapes that do not fit the program, `invalid_size` for a symbol out of its
 * bounds, `invalid_program` for a symbol that no input's shape tells
 */
export function bindSymbols(
  { name, symbols, inputs }: Pick<Program, 'name' | 'symbols'> & { readonly inputs: readonly TensorSpec[] },
  inputShapes: readonly (readonly number[])[],
): Map<string, number> {
  const pairs = inputs.flatMap(({ shape: declared }, index) => {
    const shape = inputShapes[index];
    if (shape?.length !== declared.length) {
      throw new KilnError('shape_mismatch', `${name}: input ${index} does not fit the program`, {
        given: shape ? `[${shape}]` : 'nothing',
        expected: `[${declared}]`,
      });
    }
    return declared.map((size, axis) => [size, shape[axis]] as const);
  });
  const bindings = solveSizes(pairs, {
    symbolsOf: (size) => {
      const names: readonly string[] = String(size).match(/[A-Za-z_]\w*/g) ?? [];
      return symbols.filter((symbol) => names.includes(symbol.name));
    },
    evaluate: (size, values) => (typeof size === 'number' ? size : evaluateFormula(size, values)),
  });
  for (const symbol of symbols) {
    if (!bindings.has(symbol.name)) {
      throw new KilnError('invalid_program', `no input of ${name} tells the size ${symbol.name}`);
    }
  }
  return bindings;
}
