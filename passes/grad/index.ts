/** Reverse-mode differentiation of graphs. */

export { vjpRules } from './rules.ts';
export { type VjpOptions, vjpGraph } from './vjp-graph.ts';
