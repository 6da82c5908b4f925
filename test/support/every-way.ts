/**
 * One module run in every way that must give the same, and what is different in words.
 *
 *     await faultInAnyWay(module, inputs)       // undefined, or 'fusion full against op by op: result 0, element 3 is …'
 */
import { type DimBindings, evaluateDim, SymbolicDim } from '../../base/dim.ts';
import { isFloat } from '../../base/dtype.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { elementAt, elementCount } from '../../ir/literal.ts';
import { type Graph, type Literal, type Module, mainOf, type Op, type Value } from '../../ir/types.ts';
import { bitDifference, runEager, runModule } from './device-run.ts';
import { bindSymbols } from './run-lowered.ts';
import { isOnWebgpu } from './target.ts';

const moduleOf = (graph: Graph): Module => ({ functions: [{ name: 'main', graph }], main: 'main' });

/**
 * How far results may be from the reference: what rounding every op to float32 changes, 64 times over (sums in other
 * orders, functions of a few ULP), and 2^-20 of the
 * greatest element of any value of the graph (of which sums may cancel).
 */
export const distantFrom = (
  given: readonly Literal[],
  module: Module,
  inputs: readonly Literal[],
): string | undefined => distance(given, evaluateModule(module, inputs, { mode: 'double' }), module, inputs);

function distance(
  given: readonly Literal[],
  expected: readonly Literal[],
  module: Module,
  inputs: readonly Literal[],
): string | undefined {
  const double = evaluateModule(module, inputs, { mode: 'double' });
  const rounded = evaluateModule(module, inputs, { mode: 'rounded' });
  const scale = greatestElement(module, inputs);
  for (let r = 0; r < double.length; r++) {
    if (!isFloat(double[r].dtype)) {
      const fault = bitDifference([given[r]], [isOnWebgpu ? expected[r] : rounded[r]]);
      if (fault) return `result ${r}: ${fault}`;
      continue;
    }
    const count = elementCount(double[r].shape);
    let noise = 0;
    for (let i = 0; i < count; i++) {
      noise = Math.max(noise, Math.abs(elementAt(double[r], i) - elementAt(rounded[r], i)));
    }
    const bound = 64 * noise + 2 ** -20 * scale;
    if (!Number.isFinite(bound)) continue;
    for (let i = 0; i < count; i++) {
      const [a, b] = [elementAt(given[r], i), elementAt(expected[r], i)];
      if (!(Math.abs(a - b) <= bound)) return `result ${r}, element ${i} is ${a} instead of ${b}, bound ${bound}`;
    }
  }
  return undefined;
}

/** The greatest finite element, but at least 1, of all float values of a module. */
function greatestElement(module: Module, inputs: readonly Literal[]): number {
  const { parameters, ops } = mainOf(module).graph;
  const results = [...parameters, ...ops.flatMap((op) => op.results)];
  let greatest = 1;
  for (const { dtype, data } of evaluateModule(moduleOf({ parameters, ops, results }), inputs, { mode: 'double' })) {
    if (!isFloat(dtype)) continue;
    for (let i = 0; i < data.length; i++)
      if (Number.isFinite(data[i])) greatest = Math.max(greatest, Math.abs(data[i]));
  }
  return greatest;
}

/**
 * What differs between two ways of running a module in strict mode: in any bit, on WASM. WebGPU promises no bits: there
 * it is what the roundings do not explain.
 */
export const differs = (
  given: readonly Literal[],
  expected: readonly Literal[],
  module: Module,
  inputs: readonly Literal[],
): string | undefined => (isOnWebgpu ? distance(given, expected, module, inputs) : bitDifference(given, expected));

/** Every way of running a module of fixed sizes in strict mode, against op by op. */
export async function differentWays(module: Module, inputs: readonly Literal[]): Promise<string | undefined> {
  const eager = await runEager(module, inputs, 'strict');
  for (const fusion of ['full', 'none'] as const) {
    const given = await runModule(module, inputs, { precision: 'strict', fusion });
    const fault = differs(given, eager, module, inputs);
    if (fault) return `fusion ${fusion} against op by op: ${fault}`;
  }
  const donated = inputs.map(() => true);
  const fault = differs(await runModule(module, inputs, { precision: 'strict', donated }), eager, module, inputs);
  return fault && `with inputs given up: ${fault}`;
}

/** The module with numbers in the place of symbolic sizes. */
export function atSize({ parameters, ops, results }: Graph, bindings: DimBindings): Module {
  const fixed = new Map<Value, Value>();
  const fix = (value: Value): Value => {
    const known = fixed.get(value);
    if (known) return known;
    const shape = value.type.shape.map((size) => evaluateDim(size, bindings));
    const made: Value = { ...value, type: { dtype: value.type.dtype, shape } };
    fixed.set(value, made);
    return made;
  };
  const concrete = (part: unknown): unknown => {
    if (part instanceof SymbolicDim) return evaluateDim(part, bindings);
    if (Array.isArray(part)) return part.map(concrete);
    if (typeof part !== 'object' || part === null || ArrayBuffer.isView(part)) return part;
    return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, concrete(value)]));
  };
  return moduleOf({
    parameters: parameters.map(fix),
    ops: ops.map(
      (op) =>
        ({
          ...op,
          operands: op.operands.map(fix),
          attributes: concrete(op.attributes),
          results: op.results.map(fix),
        }) as Op,
    ),
    results: results.map(fix),
  });
}

/** All comparisons together, in both precisions; symbolic sizes are fixed where programs of fixed sizes are meant. */
export async function faultInAnyWay(module: Module, inputs: readonly Literal[]): Promise<string | undefined> {
  const { graph } = mainOf(module);
  const types = graph.parameters.map(({ type }) => type);
  const fixed = atSize(graph, bindSymbols(types, inputs));
  for (const precision of ['fast', 'strict'] as const) {
    const fault = distantFrom(await runModule(module, inputs, { precision }), module, inputs);
    if (fault) return `${precision} against the reference: ${fault}`;
  }
  return differentWays(fixed, inputs);
}
