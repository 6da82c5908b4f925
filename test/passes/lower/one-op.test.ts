/**
 * The lowering of every op alone, against the op's reference evaluation on the operands that its sampler makes: empty
 * and one-element shapes, NaN, infinities and -0 among them.
 */
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../../ir/builder.ts';
import { evaluateModule } from '../../../ir/evaluate.ts';
import { elementAt } from '../../../ir/literal.ts';
import type { OpAttributes, Opcode } from '../../../ir/opcodes.ts';
import type { OpDefinition } from '../../../ir/ops/definition.ts';
import { definitions, opcodes } from '../../../ir/ops/index.ts';
import { Random } from '../../../ir/ops/random.ts';
import type { Literal } from '../../../ir/types.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import { moduleOf } from '../../support/models.ts';
import { runLowered } from '../../support/run-lowered.ts';
import { isFullRun } from '../../support/runs.ts';

const samples = isFullRun ? 1000 : 40;

/** Ops that add many numbers: the reference adds in double precision, kernels in the order of `SumOrder`. */
const adds = new Set<Opcode>(['dot_general', 'convolution', 'reduce', 'reduce_window', 'cumulative', 'scatter']);

function expectEqual(got: Literal, wanted: Literal, bound: number, context: string): void {
  expect(got.shape, context).toEqual(wanted.shape);
  for (let at = 0; at < got.data.length; at++) {
    const [a, b] = [got.data[at], elementAt(wanted, at)];
    const close = Object.is(a, b) || Math.abs(a - b) <= bound * Math.max(1, Math.abs(b));
    if (!close) expect.fail(`${context}: element ${at} is ${a}, not ${b}`);
  }
}

describe.each(['none', 'full'] as const)('fusion %s', (fusion) => {
  test.each(opcodes.filter((opcode) => opcode !== 'call'))('%s', (opcode) => {
    const definition = definitions[opcode] as OpDefinition<Opcode>;
    for (let seed = 0; seed < samples; seed++) {
      const special = !adds.has(opcode) || seed % 2 === 0;
      const sample = definition.sample?.(new Random(seed, { special: special && !adds.has(opcode) }));
      if (!sample) throw new Error(`${opcode} has no sampler`);
      const b = new GraphBuilder();
      const parameters = sample.operands.map(({ dtype, shape }) => b.parameter({ dtype, shape }));
      const results = b.results(opcode, parameters, sample.attributes as OpAttributes[Opcode]);
      const module = moduleOf(b.build(results));
      const [wanted] = evaluateModule(module, sample.operands, { mode: 'rounded' });
      const lowered = lowerModule(module, { name: opcode, donated: [], precision: 'strict', fusion });
      const [got] = runLowered(lowered, sample.operands);
      expectEqual(got, wanted, adds.has(opcode) ? 1e-4 : 0, `${opcode}, seed ${seed}`);
    }
  });
});
