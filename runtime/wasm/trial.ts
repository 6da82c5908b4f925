/** Trials of the wasm device (`runtime/trial.ts`). */
import type { DimBindings } from '../../base/dim.ts';
import { byteSize } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { denseBytes } from '../buffer.ts';
import type { ArraySpec } from '../device.ts';
import type { Program, TensorSpec } from '../program.ts';
import { evaluateSize } from '../sizes.ts';
import { madeUpBytes, type Trial } from '../trial.ts';
import type { WasmDevice } from './device.ts';
import type { WasmBuffer } from './executable.ts';

/** Programs with the same inputs, ready to run out of turn. @throws KilnError as `Device.trial` */
export function tryPrograms(device: WasmDevice, programs: readonly Program[], sizes: DimBindings): Trial {
  const [{ inputs, outputs }] = programs;
  const concrete = ({ dtype, shape }: TensorSpec): ArraySpec => ({
    dtype,
    shape: shape.map((size) => evaluateSize(size, sizes)),
  });
  const buffers: WasmBuffer[] = [];
  const results = outputs.map(concrete);
  const dispose = (): void => {
    for (const buffer of buffers) buffer.dispose();
    for (const program of programs) device.unload(program);
  };
  try {
    for (const { dtype, shape } of inputs.map(concrete)) {
      const bytes = madeUpBytes(dtype, denseBytes(dtype, shape) / byteSize(dtype));
      buffers.push(device.upload(dtype, shape, bytes));
    }
    for (const program of programs) device.load(program);
  } catch (error) {
    dispose();
    throw error;
  }
  const run = (number: number, times: number): void => {
    for (let i = 0; i < times; i++) {
      const blocks = device.execute(programs[number], buffers, results);
      if (blocks instanceof KilnError) throw blocks;
      for (const block of blocks) device.releaseStorage(block);
    }
  };
  return { run, dispose };
}
