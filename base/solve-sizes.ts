/**
 * Values of symbolic sizes from the shapes of actual arguments, whatever form the declared sizes have. With parameters of
 * shapes `[B, 4]` and `[2*T+1]` and arguments of shapes `[8, 4]` and `[7]`:
 *
 *     solveSizes([['B', 8], [4, 4], ['2*T+1', 7]], form)       // B -> 8, T -> 3
 */
import type { DimBindings, SymbolRange } from './dim.ts';
import { KilnError } from './error.ts';

/** How declared sizes are read. They print as their formulas. */
export interface SizeForm<Declared> {
  symbolsOf(size: Declared): readonly SymbolRange[];
  evaluate(size: Declared, bindings: DimBindings): number;
}

/**
 * Solves for the symbols and checks every size.
 * @param sizes pairs of a declared size and the actual one
 * @throws KilnError `shape_mismatch` when a size does not fit, `invalid_size` when a symbol leaves its bounds,
 *   `unknown_size` when the sizes do not determine a symbol
 */
export function solveSizes<Declared>(
  sizes: readonly (readonly [Declared, number])[],
  { symbolsOf, evaluate }: SizeForm<Declared>,
): Map<string, number> {
  const bindings = new Map<string, number>();
  let open = sizes;
  for (let before = -1; open.length !== before; ) {
    before = open.length;
    open = open.filter(([declared, actual]) => !solve(declared, actual));
  }
  if (open.length > 0) {
    throw new KilnError('unknown_size', 'the shapes of the arguments do not determine every symbolic size', {
      given: open.map(([declared, actual]) => `${declared} = ${actual}`).join(', '),
      hint: 'let each symbol be the size of some axis by itself',
    });
  }
  for (const [declared, actual] of sizes) {
    const expected = evaluate(declared, bindings);
    if (expected === actual) continue;
    const values = [...bindings].map(([name, value]) => `${name} = ${value}`).join(', ');
    throw new KilnError('shape_mismatch', 'a size of an argument does not fit', {
      given: String(actual),
      expected: typeof declared === 'number' ? String(declared) : `${declared} = ${expected} with ${values}`,
    });
  }
  return bindings;

  /** Binds the one unknown symbol of a declared size that is linear in it; whether all its symbols are known then. */
  function solve(declared: Declared, actual: number): boolean {
    const unknown = symbolsOf(declared).filter(({ name }) => !bindings.has(name));
    if (unknown.length === 0) return true;
    if (unknown.length > 1) return false;
    const [{ name, min, max }] = unknown;
    const at = (value: number): number => evaluate(declared, new Map([...bindings, [name, value]]));
    const slope = at(1) - at(0);
    if (slope === 0 || at(2) - at(1) !== slope || at(7) - at(0) !== 7 * slope) return false;
    const value = (actual - at(0)) / slope;
    if (!Number.isInteger(value)) {
      throw new KilnError('shape_mismatch', `a size of ${actual} does not fit ${declared}`, {
        given: String(actual),
        expected: `${declared} for a whole number ${name}`,
      });
    }
    if (value < min || value > max) {
      throw new KilnError('invalid_size', `the symbolic size ${name} is out of its bounds`, {
        given: `${name} = ${value}`,
        expected: `${min} <= ${name} <= ${max}`,
      });
    }
    bindings.set(name, value);
    return true;
  }
}
