/**
 * Golden tests of rewrite rules. A file in golden/optimize holds cases: `// rule: name`, a note, a module, and after
 * `// becomes` (or `// stays`) what the rule, run alone, makes of it. `UPDATE=1` writes the files anew. Each case is
 * also run: input and output must agree on random values, bit for bit unless the rule reassociates.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { evaluateDim } from '../../base/dim.ts';
import { KilnError } from '../../base/error.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { elementAt, elementCount } from '../../ir/literal.ts';
import { Random } from '../../ir/ops/random.ts';
import { parseModule } from '../../ir/parser.ts';
import { printModule } from '../../ir/printer.ts';
import { type Literal, type Module, mainOf } from '../../ir/types.ts';
import { verifyModule } from '../../ir/verifier.ts';
import { mapGraphs } from '../../passes/manager.ts';
import { withoutDeadOps } from '../../passes/optimize/dead-code.ts';
import {
  batchSharedMatmuls,
  canonicalRules,
  chainRules,
  factorRules,
  ruleFamilies,
} from '../../passes/optimize/index.ts';
import { type RewriteRule, rewriteGraph, ruleTable } from '../../passes/rewrite.ts';
import { expectSame } from './optimize-compare.ts';

const folder = new URL('./golden/optimize/', import.meta.url);

interface Case {
  readonly rule: string;
  readonly note: string;
  readonly input: string;
  readonly expected: string;
}

function readCases(text: string): { head: string; cases: Case[] } {
  const [head, ...parts] = text.split(/^\/\/ rule: /m);
  const cases = parts.map((part): Case => {
    const [first, ...lines] = part.split('\n');
    const note = lines[0]?.startsWith('// ') ? (lines.shift() ?? '') : '';
    const [input, , expected = ''] = lines.join('\n').split(/^\/\/ (becomes|stays)\n/m);
    return { rule: first.trim(), note, input: `${input.trim()}\n`, expected: expected.trim() };
  });
  return { head, cases };
}

const printCase = ({ rule, note, input }: Case, output: string): string => {
  const lines = [`// rule: ${rule}`, ...(note ? [note] : []), input.trim()];
  lines.push(...(output === input ? ['// stays'] : ['// becomes', output.trim()]));
  return `${lines.join('\n')}\n`;
};

function applyAlone(rule: RewriteRule, module: Module): Module {
  const table = ruleTable([rule], rule.floatClass === 'exact' ? 'strict' : 'fast');
  return mapGraphs(module, (graph) => withoutDeadOps(rewriteGraph(graph, table, { verify: true })));
}

/** Values for the parameters, with NaN and its like; symbolic sizes are 5. */
function randomInputs(module: Module, random: Random): Literal[] {
  const sizes = new Map([['T', 5]]);
  return mainOf(module).graph.parameters.map(({ type: { dtype, shape } }) =>
    random.literal(
      dtype,
      shape.map((size) => evaluateDim(size, sizes)),
    ),
  );
}

/** What is tested: a rule run alone, or a pass. */
interface Rewrite extends Pick<RewriteRule, 'name' | 'floatClass'> {
  run(module: Module): Module;
}

const strict = { precision: 'strict', verify: true, constantBudget: 0 } as const;

/** A few NaN and infinities among numbers that do not overflow. */
function withInfinities(input: Literal, random: Random): Literal {
  if (input.dtype !== 'float32' || random.boolean()) return input;
  const data = Array.from({ length: elementCount(input.shape) }, (_, i) => elementAt(input, i));
  data[random.integer(0, data.length - 1)] = random.pick([Number.NaN, Infinity, -Infinity]);
  return { ...input, data };
}

/** NaN and infinities may stand for each other; all else is close. */
function expectRegrouped(actual: readonly Literal[], expected: readonly Literal[]): void {
  const finite = (array: Literal): Literal => {
    const data = Array.from({ length: elementCount(array.shape) }, (_, i) => elementAt(array, i));
    return { ...array, data: data.map((element) => (Number.isFinite(element) ? element : Number.NaN)) };
  };
  expectSame(actual.map(finite), expected.map(finite), 1e-5);
}

function expectPreserved(rule: Rewrite, before: Module, after: Module): void {
  for (let seed = 1; seed <= 10; seed++) {
    const isRegrouping = rule.floatClass === 'regrouping';
    const random = new Random(seed, { special: !isRegrouping });
    const inputs = randomInputs(before, random).map((input) => (isRegrouping ? withInfinities(input, random) : input));
    try {
      const expected = evaluateModule(before, inputs, { mode: 'rounded' });
      const actual = evaluateModule(after, inputs, { mode: 'rounded' });
      if (rule.floatClass === 'exact') expectSame(actual, expected, 0);
      else if (rule.floatClass === 'regrouping') expectRegrouped(actual, expected);
      else expectSame(actual, expected, 1e-6, evaluateModule(before, inputs, { mode: 'double' }));
    } catch (error) {
      // float16 is beyond the evaluator; the text is all there is.
      if (!(error instanceof KilnError && error.code === 'unsupported_dtype')) throw error;
    }
  }
}

/** The case with other dtypes in the place of its own, where that is still a module. */
function variants(text: string): Module[] {
  return ['f32', 'i32', 'u32', 'bool'].flatMap((dtype) => {
    try {
      const module = parseModule(text.replace(/\b(f32|i32|u32)\b/g, dtype));
      verifyModule(module);
      return [module];
    } catch (error) {
      if (error instanceof KilnError) return [];
      throw error;
    }
  });
}

/** Every rule, and the passes that are no rules but are tested as such. */
const everything: readonly Rewrite[] = [
  ...[...canonicalRules, ...chainRules, ...factorRules].map(
    (rule): Rewrite => ({ name: rule.name, floatClass: rule.floatClass, run: (module) => applyAlone(rule, module) }),
  ),
  { name: batchSharedMatmuls.name, floatClass: 'exact', run: (module) => batchSharedMatmuls.run(module, strict) },
];

const covered = new Set<string>();

describe.each(readdirSync(folder).sort())('%s', (file) => {
  const url = new URL(file, folder);
  const { head, cases } = readCases(readFileSync(url, 'utf8'));
  const written: string[] = [];

  it.each(cases)('$rule $note', (entry) => {
    const rule = everything.find(({ name }) => name === entry.rule);
    if (!rule) throw new Error(`no rule ${entry.rule}`);
    const module = parseModule(entry.input);
    const output = rule.run(module);
    verifyModule(output);
    const text = printModule(output);
    if (process.env.UPDATE === '1') written.push(printCase(entry, text));
    else expect(text.trim()).toBe(entry.expected || entry.input.trim());
    const isMeantToStay = entry.note.startsWith('// unchanged');
    expect(text === printModule(module), 'a note that says unchanged').toBe(isMeantToStay);
    if (!isMeantToStay) covered.add(rule.name);
    expectPreserved(rule, module, output);
    for (const variant of variants(entry.input)) expectPreserved(rule, variant, rule.run(variant));
    expect(printModule(rule.run(output)), 'applied twice').toBe(text);
    if (written.length === cases.length) writeFileSync(url, head + written.join('\n'));
  });
});

it('every rule has a case in which it does something', () => {
  expect(everything.map(({ name }) => name).filter((name) => !covered.has(name))).toEqual([]);
});

it('rules have distinct names', () => {
  expect(new Set(everything.map(({ name }) => name)).size).toBe(everything.length);
});

it('docs/rewrites.md names every family and pass', () => {
  const page = readFileSync(new URL('../../docs/rewrites.md', import.meta.url), 'utf8');
  const names = [...Object.keys(ruleFamilies), 'orderMatmulChains', 'factorProducts', 'batchSharedMatmuls'];
  expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});
