/**
 * The main job, `npm start`: a linear regression, a language model, the journey of its training step from source line
 * to kernel, a table eager against compiled, one artefact on every device there is, and what the step takes to start,
 * cold, warm and baked. `npm start -- FILE.ts` does the third and the fourth for a user's own functions.
 */
import { parseArgs } from 'node:util';
import { benchmark } from '../bench/index.ts';
import { formatMs } from '../bench/table.ts';
import { explainFile } from '../cli/explain.ts';
import { journey } from '../cli/journey.ts';
import { progressBar } from '../cli/progress.ts';
import { accent, bold, faint } from '../cli/style.ts';
import { compile } from '../index.ts';
import { CharacterText, type initialState, sample, train, trainingStep } from './language-model.ts';
import { linearRegression } from './linear-regression.ts';
import { documentation, textOf } from './text.ts';

const steps = 12_000;
const trainingMilliseconds = 15_000;
/** How far final losses may be apart, relative to the least: rounding, grown over thirty steps. */
const agreement = 1e-3;

const heading = (number: number, title: string): void => console.log(`\n${bold(`${number}. ${title}`)}\n`);

async function partOne(): Promise<void> {
  heading(1, 'Linear regression: x = [[1,2],[3,4],[5,6]], y = [[2],[4],[6]], 1000 steps of SGD');
  const { weights } = await linearRegression((step, loss) =>
    console.log(`  step ${String(step).padStart(4)}   loss ${loss.toExponential(3)}`),
  );
  console.log(`\n  weights [${weights.map((w) => w.toFixed(4)).join(', ')}]   ${faint('the answer is [0, 1]')}`);
}

async function partTwo(text: CharacterText): Promise<ReturnType<typeof initialState>> {
  heading(
    2,
    `A character-level language model on ${text.tokens.length} characters, ${text.characters.length} distinct`,
  );
  const bar = progressBar('training', steps);
  const lines: string[] = [];
  let last = { step: 0, loss: Number.NaN, stepsPerSecond: 0 };
  const begin = performance.now();
  let firstMilliseconds = Number.NaN;
  const state = await train(text, {
    steps,
    milliseconds: trainingMilliseconds,
    onProgress: (progress) => {
      if (last.step === 0) firstMilliseconds = performance.now() - begin;
      last = progress;
      bar.update(progress.step, `loss ${progress.loss.toFixed(3)}  ${progress.stepsPerSecond.toFixed(0)} steps/s`);
      if (progress.step % 2000 === 0 || progress.step === 50) {
        lines.push(`  step ${String(progress.step).padStart(5)}   loss ${progress.loss.toFixed(3)} nats`);
      }
    },
  });
  bar.stop();
  for (const line of lines) console.log(line);
  console.log(
    `\n  ${last.step} steps at ${last.stepsPerSecond.toFixed(0)} steps/s, the first 50 within ${formatMs(firstMilliseconds)}, compiling included; ` +
      `last loss ${last.loss.toFixed(3)}. A sample:\n`,
  );
  const written = await sample(text, state.parameters, 'Kiln ', 240);
  console.log(
    written
      .split('\n')
      .map((line) => `  ${faint('|')} ${line}`)
      .join('\n'),
  );
  return state;
}

/** Steps of the spirals on each device. */
const spiralSteps = 10;

async function partFive(): Promise<void> {
  // What drives a browser is loaded when it is needed, so that the first lines are there at once.
  const { trainEverywhere } = await import('../scripts/train-everywhere.ts');
  console.log(
    faint(`  examples/spirals.ts, baked: ${spiralSteps} steps of Adam on three spirals, from the same state\n`),
  );
  console.log(
    faint(
      `  ${'where'.padEnd(20)}${'final loss'.padStart(12)}${'accuracy'.padStart(11)}${'first step'.padStart(12)}${'each other'.padStart(12)}`,
    ),
  );
  const losses: number[] = [];
  for await (const { host, device, adapter, result } of trainEverywhere(spiralSteps)) {
    const where = `  ${`${host}, ${device}`.padEnd(20)}`;
    if (typeof result === 'string') {
      console.log(`${where}${accent(`  could not run: ${result}`)}`);
      continue;
    }
    const { loss, accuracy, target, startMilliseconds, milliseconds } = result;
    losses.push(loss);
    const cells = [
      loss.toFixed(6).padStart(12),
      `${(100 * accuracy).toFixed(1)} %`.padStart(11),
      formatMs(startMilliseconds).padStart(12),
      formatMs(milliseconds / (spiralSteps - 1)).padStart(12),
    ];
    console.log(`${where}${cells.join('')}   ${faint([target, adapter].filter(Boolean).join(', '))}`);
  }
  const spread = (Math.max(...losses) - Math.min(...losses)) / Math.min(...losses);
  const verdict = spread < agreement ? 'they agree' : `they do not agree: more than ${agreement} apart`;
  console.log(
    `\n  ${losses.length} of 4 ran; their losses are at most ${spread.toExponential(1)} apart: ${bold(verdict)}`,
  );
}

async function partSix(): Promise<void> {
  const { startTimes } = await import('../scripts/start-times.ts');
  console.log(
    faint(`  ${'start'.padEnd(8)}${'imports'.padStart(12)}${'first loss'.padStart(14)}${'whole process'.padStart(16)}`),
  );
  const notes = { cold: 'traced, fused, compiled', warm: 'traced; the program was in the cache', baked: 'loaded' };
  for await (const { start, imports, result, total } of startTimes()) {
    const cells = [formatMs(imports).padStart(12), formatMs(result).padStart(14), formatMs(total).padStart(16)];
    console.log(`  ${start.padEnd(8)}${cells.join('')}   ${faint(notes[start])}`);
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { text: { type: 'string' } }, allowPositionals: true });
  if (positionals.length > 0) {
    for (const file of positionals) await explainFile(file, { iterations: 50 });
    return;
  }
  const start = performance.now();
  console.log('Kiln: tensor functions, traced, fused, compiled to WASM SIMD.');
  await partOne();
  const text = new CharacterText(values.text === undefined ? documentation() : textOf(values.text), 1);
  const state = await partTwo(text);
  const [tokens, targets] = text.nextBatch();

  heading(3, 'The journey of the training step');
  console.log(journey(compile(trainingStep), [state, tokens, targets]));

  heading(4, 'The training step, eager against compiled');
  const total = 2 * (10 + 100);
  const bar = progressBar('measuring', total);
  const report = await benchmark(trainingStep, [state, tokens, targets] as const, {
    warmup: 10,
    iterations: 100,
    onProgress: (done) => bar.update(done),
  });
  bar.stop();
  console.log(
    String(report)
      .split('\n')
      .map((line) => `  ${line}`)
      .join('\n'),
  );

  heading(5, 'One artefact on every device, in Node and in a browser');
  await partFive();

  heading(6, 'The training step in fresh processes: from after the imports to the first loss');
  await partSix();
  console.log(
    faint(`\nDone in ${((performance.now() - start) / 1000).toFixed(1)} s. Try your own: npm start -- FILE.ts`),
  );
}

await main();
