/**
 * Values of symbolic sizes from the shapes of actual arguments. With parameters of shapes `[B, 4]` and `[2*T+1]` and
 * arguments of shapes `[8, 4]` and `[7]`:
 *
 *     bindDims([[B, 8], [4, 4], [addDims(mulDims(T, 2), 1), 7]])       // B -> 8, T -> 3
 */
import { type Dim, evaluateDim, formatDim, type SymbolicDim, symbolsOf } from './dim.ts';
import { KilnError } from './error.ts';

/**
 * Solves for the symbols and checks every size.
 * @param sizes pairs of a declared size and the actual one
 * @throws KilnError `shape_mismatch` when a size does not fit, `invalid_size` when a symbol leaves its bounds,
 *   `unknown_size` when the sizes do not determine a symbol
 */
export function bindDims(sizes: Iterable<readonly [Dim, number]>): Map<string, number> {
  const bindings = new Map<string, number>();
  const pairs = [...sizes];
  let open = pairs.filter((pair): pair is [SymbolicDim, number] => typeof pair[0] !== 'number');
  for (let before = -1; open.length !== before; ) {
    before = open.length;
    open = open.filter(([declared, actual]) => !solve(declared, actual, bindings));
  }
  if (open.length > 0) {
    throw new KilnError('unknown_size', 'the shapes of the arguments do not determine every symbolic size', {
      given: open.map(([declared, actual]) => `${declared} = ${actual}`).join(', '),
      hint: 'let each symbol be the size of some axis by itself',
    });
  }
  for (const [declared, actual] of pairs) checkSize(declared, actual, bindings);
  return bindings;
}

/** Binds the one unknown symbol of a declared size that is linear in it; whether all its symbols are known then. */
function solve(declared: SymbolicDim, actual: number, bindings: Map<string, number>): boolean {
  const unknown = symbolsOf(declared).filter(({ name }) => !bindings.has(name));
  if (unknown.length === 0) return true;
  if (unknown.length > 1) return false;
  const [{ name, min, max }] = unknown;
  const at = (value: number): number => evaluateDim(declared, new Map([...bindings, [name, value]]));
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

function checkSize(declared: Dim, actual: number, bindings: ReadonlyMap<string, number>): void {
  const expected = evaluateDim(declared, bindings);
  if (expected === actual) return;
  const values = [...bindings].map(([name, value]) => `${name} = ${value}`).join(', ');
  throw new KilnError('shape_mismatch', 'a size of an argument does not fit', {
    given: String(actual),
    expected: typeof declared === 'number' ? String(declared) : `${formatDim(declared)} = ${expected} with ${values}`,
  });
}
