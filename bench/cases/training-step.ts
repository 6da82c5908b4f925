/** The language model's training step: compiled against eager, kernels against traced ops. */
import { CharacterText, initialState, trainingStep } from '../../examples/language-model.ts';
import { compile } from '../../index.ts';
import { benchmark } from '../index.ts';
import { type BenchResult, ratioRow } from '../result.ts';
import { formatMs } from '../table.ts';

export async function trainingStepCase(): Promise<BenchResult> {
  const text = new CharacterText(
    'The quick brown fox jumps over the lazy dog. 0123456789 (){}[]<>+-*/=;:,!?'.repeat(40),
    1,
  );
  const state = initialState(text.characters.length, 1);
  const [tokens, targets] = text.nextBatch();
  const report = await benchmark(trainingStep, [state, tokens, targets] as const, { warmup: 20, iterations: 100 });
  const [eager, compiled] = report.rows;
  const { ops, kernels } = compile(trainingStep).explain(state, tokens, targets);
  return {
    title: 'Training step of the language model (context 16, hidden 2 × 256, batch 16, Adam)',
    mode: 'fast',
    rows: [
      ratioRow(
        'compiled against eager, p50',
        `${formatMs(compiled.p50)} against ${formatMs(eager.p50)}`,
        eager.p50 / compiled.p50,
        2,
      ),
      ratioRow('traced ops against kernels', `${ops} ops, ${kernels} kernels`, ops / kernels, 3),
    ],
  };
}
