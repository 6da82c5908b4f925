/**
 * Which symbolic sizes a graph is written over: those of its types and those of its attributes, such as the `B` of
 * `dimension_size {size=B, dtype=f32}`.
 */
import { SymbolicDim, type SymbolRange, symbolsOf } from '../base/dim.ts';
import { attributeEntries } from './attributes.ts';
import type { Graph, TensorType } from './types.ts';

/** Every symbolic size that occurs in graphs and their regions, each object once. */
export function symbolicSizesOf(graphs: readonly Graph[]): Set<SymbolicDim> {
  const sizes = new Set<SymbolicDim>();
  const types = new Set<TensorType>();
  const visit = (value: unknown): void => {
    if (value instanceof SymbolicDim) sizes.add(value);
    else if (Array.isArray(value)) value.forEach(visit);
  };
  const visitType = (type: TensorType): void => {
    if (types.has(type)) return;
    types.add(type);
    visit(type.shape);
  };
  const pending = [...graphs];
  for (let graph = pending.pop(); graph; graph = pending.pop()) {
    for (const { type } of graph.parameters) visitType(type);
    for (const op of graph.ops) {
      for (const { type } of op.results) visitType(type);
      const attributes = op.attributes as Readonly<Record<string, unknown>>;
      for (const { name, kind } of attributeEntries(op.opcode)) {
        if (kind === 'dim' || kind === 'dims' || kind === 'dim_pairs') visit(attributes[name]);
      }
      pending.push(...op.regions);
    }
  }
  return sizes;
}

/** The symbols of all sizes in graphs, each once, by name. */
export function symbolsOfGraphs(graphs: readonly Graph[]): SymbolRange[] {
  const found = new Map<string, SymbolRange>();
  for (const size of symbolicSizesOf(graphs)) for (const symbol of symbolsOf(size)) found.set(symbol.name, symbol);
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
