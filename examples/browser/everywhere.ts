/**
 * The artefact of the page, trained for some steps without a page: the same file in Node, in Chromium, on WASM and on
 * WebGPU.
 *
 *     const { loss, accuracy } = await trainBaked('webgpu', 30);
 */
import { loadTraining } from './baked-training.ts';
import type { DeviceName } from './protocol.ts';

export interface BakedResult {
  /** Of the artefact's targets the one that ran. */
  readonly target: string;
  /** The loss before the last step, in nats. */
  readonly loss: number;
  /** Of the parameters after it. */
  readonly accuracy: number;
  /** From before the artefact was loaded to the first loss. */
  readonly startMilliseconds: number;
  /** Of all steps after the first. */
  readonly milliseconds: number;
}

export async function trainBaked(device: DeviceName, steps: number): Promise<BakedResult> {
  const begin = performance.now();
  const { loop, target } = await loadTraining(device);
  let loss = Number(await loop.advance(1).item());
  const start = performance.now();
  if (steps > 1) loss = Number(await loop.advance(steps - 1).item());
  const milliseconds = performance.now() - start;
  return { target, loss, accuracy: await loop.accuracy(), startMilliseconds: start - begin, milliseconds };
}
