/**
 * What can be left out of a compile: each pass, each family of rewrite rules, each feature of fusion and lowering, and
 * all features of fusion at once.
 */
import { features } from '../../passes/features.ts';
import type { Step } from '../../passes/manager.ts';
import { optimizePipeline, ruleFamilies } from '../../passes/optimize/index.ts';

export interface Variant {
  readonly name: string;
  readonly without: ReadonlySet<string>;
}

const passesOf = (steps: readonly Step[]): string[] =>
  steps.flatMap((step) => ('repeat' in step ? passesOf(step.repeat) : [step.name]));

export function variants(): readonly Variant[] {
  const passes = [...new Set(passesOf(optimizePipeline))];
  const families = Object.keys(ruleFamilies).map((family) => `canonicalize/${family}`);
  const kinds = Object.keys(features);
  const single = [...passes, ...families, ...kinds].map((name) => ({ name, without: new Set([name]) }));
  const together = (name: string, names: readonly string[]): Variant => ({ name, without: new Set(names) });
  return [
    ...single,
    together(
      'all of fuse',
      kinds.filter((name) => name.startsWith('fuse/')),
    ),
    together('every feature and rule', [...families, ...kinds]),
  ];
}
