/**
 * Runs programs to see how long they take: on made-up inputs, out of turn, and without a trace of them afterwards.
 *
 *     const trial = device.trial([program, sameInAnotherWay], new Map([['B', 64]]));
 *     trial.run(1, 10);
 *     trial.dispose();
 */
import { byteSize, type DType } from '../base/dtype.ts';

/** Some programs with the same inputs. */
export interface Trial {
  /** Runs one of them so many times. @throws KilnError `out_of_memory`, `launch_failed` */
  run(program: number, times: number): void;
  /** Releases everything. */
  dispose(): void;
}

/** Elements that no kernel takes another way for: small numbers, neither all zero nor all equal. */
export function madeUpBytes(dtype: DType, elements: number): Uint8Array {
  if (dtype === 'float32') {
    const values = Float32Array.from({ length: elements }, (_, i) => ((i * 37) % 101) / 101 - 0.5);
    return new Uint8Array(values.buffer);
  }
  const bytes = new Uint8Array(elements * byteSize(dtype));
  const step = byteSize(dtype);
  // The lowest byte of each element: a small integer, or next to nothing for the floats.
  for (let i = 0; i < elements; i++) bytes[i * step] = dtype === 'bool' || step === 1 ? i & 1 : i % 7;
  return bytes;
}
