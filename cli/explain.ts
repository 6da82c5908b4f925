/** `kiln explain FILE`, the same as `npm start -- FILE`: the journey of each exported function, and its table. */
import { benchmark } from '../bench/index.ts';
import { compile } from '../index.ts';
import { startDevice } from './device.ts';
import { argumentsWithData, loadEntries } from './entries.ts';
import { journey } from './journey.ts';
import { progressBar } from './progress.ts';
import { bold } from './style.ts';

export interface ExplainFileOptions {
  /** Timed calls of each mode. */
  readonly iterations: number;
  /** Only this entry. */
  readonly entry?: string;
  /** Name of the device to run on. */
  readonly device?: string;
}

/** @throws KilnError `cli_usage` when the file offers no functions, or not that entry; `unknown_device`, `no_adapter` */
export async function explainFile(file: string, { iterations, entry, device }: ExplainFileOptions): Promise<void> {
  await startDevice(device);
  for (const { name, fn, args } of await loadEntries(file, entry)) {
    console.log(`\n${bold(`${name}: the journey of one line`)}\n`);
    console.log(journey(compile(fn, { name }), args));
    console.log(`\n${bold(`${name}: eager against compiled`)}\n`);
    const warmup = Math.max(1, Math.ceil(iterations / 5));
    const bar = progressBar(name, 2 * (warmup + iterations));
    const onProgress = (done: number): void => bar.update(done);
    const report = await benchmark(fn, argumentsWithData(args), { name, warmup, iterations, onProgress });
    bar.stop();
    console.log(indent(String(report)));
  }
}

const indent = (text: string): string =>
  text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
