/** A progress bar on the error stream; silent where that is no terminal. */
import { Presets, SingleBar } from 'cli-progress';

export interface ProgressBar {
  update(done: number, note?: string): void;
  stop(): void;
}

/** @param total the count that is 100 % */
export function progressBar(title: string, total: number): ProgressBar {
  const bar = new SingleBar(
    {
      format: `  ${title} {bar} {percentage}% {note}`,
      hideCursor: true,
      clearOnComplete: true,
      stopOnComplete: false,
      barsize: 28,
    },
    Presets.shades_classic,
  );
  bar.start(total, 0, { note: '' });
  return {
    update: (done, note = '') => bar.update(done, { note }),
    stop: () => bar.stop(),
  };
}
