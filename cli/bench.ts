/** `kiln bench FILE`: each exported function, eager beside compiled. */
import { benchmark } from '../bench/index.ts';
import { startDevice } from './device.ts';
import { argumentsWithData, loadEntries } from './entries.ts';
import { progressBar } from './progress.ts';

export interface BenchFileOptions {
  readonly warmup: number;
  readonly iterations: number;
  readonly json: boolean;
  /** Only this entry. */
  readonly entry?: string;
  /** Name of the device to run on. */
  readonly device?: string;
}

/** @throws KilnError `cli_usage` when the file offers no functions, or not that entry */
export async function benchFile(
  file: string,
  { warmup, iterations, json, entry, device }: BenchFileOptions,
): Promise<void> {
  await startDevice(device);
  const reports = [];
  for (const { name, fn, args } of await loadEntries(file, entry)) {
    const bar = progressBar(name, 2 * (warmup + iterations));
    const onProgress = (done: number): void => bar.update(done);
    const report = await benchmark(fn, argumentsWithData(args), { name, warmup, iterations, onProgress });
    bar.stop();
    if (!json) console.log(`${report}\n`);
    reports.push(report);
  }
  if (json) console.log(JSON.stringify(reports, null, 2));
}
