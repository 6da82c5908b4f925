/**
 * The webgpu device in random use: uploads, launches, donations, aliases, disposals and reads in any order, waited for or
 * not, against the same on plain numbers. What is at stake is order: buffers are used again while commands that use them
 * are still recorded, and uploads must not overtake those.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { BufferHandle } from '../../../runtime/device.ts';
import type { WebgpuProgram } from '../../../runtime/program.ts';
import { float32Input, input, upload } from '../support.ts';
import {
  additionProgram,
  chainProgram,
  doublingInPlace,
  elementwise,
  filled,
  keepingProgram,
  openDevice,
  programOf,
  run,
  valuesOf,
} from './support.ts';

const elements = 96;

/** `10 * x + y`, in the memory of `x`. */
const accumulate = programOf({
  name: 'accumulate',
  inputs: [float32Input([elements], true), float32Input([elements])],
  outputs: [{ dtype: 'float32', shape: [elements], source: { kind: 'donated', input: 0 } }],
  kernels: [elementwise('accumulate', 2, elements, '0.5 * x0 + x1', true)],
  steps: [{ kind: 'launch', kernel: 0, buffers: [input(0), input(1)] }],
});

interface Way {
  readonly program: WebgpuProgram;
  readonly donates: boolean;
  readonly compute: (x: number, y: number) => number;
}

const ways: readonly Way[] = [
  { program: additionProgram(elements), donates: false, compute: (x, y) => x + y },
  { program: keepingProgram(elements), donates: false, compute: (x, y) => x + 2 * y },
  { program: accumulate, donates: true, compute: (x, y) => 0.5 * x + y },
  { program: chainProgram(elements, 4), donates: false, compute: (x) => 16 * x },
  { program: doublingInPlace(elements), donates: true, compute: (x) => 2 * x },
];

const action = fc.tuple(
  fc.constantFrom('upload', 'upload', 'run', 'run', 'alias', 'dispose', 'dispose', 'read', 'read', 'task'),
  fc.nat(),
  fc.nat(),
  fc.nat(),
);

it('gives what plain numbers give', async () => {
  const device = await openDevice();
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 20, maxLength: 120 }), async (actions) => {
      const live: { handle: BufferHandle; value: number }[] = [];
      const reads: Promise<void>[] = [];
      for (const [what, a, b, c] of actions) {
        if (live.length === 0 || what === 'upload') {
          live.push({ handle: upload(device, filled(elements, a % 17)), value: a % 17 });
        }
        const x = live[a % live.length];
        if (what === 'run') {
          const { program, donates, compute } = ways[c % ways.length];
          const y = live[b % live.length];
          // A tensor that is given up may not be given twice.
          if (donates && x === y && program.inputs.length === 2) continue;
          const [handle] = run(device, program, [x.handle, y.handle].slice(0, program.inputs.length), [elements]);
          if (donates) live.splice(live.indexOf(x), 1);
          // Small numbers, so that sums are exact.
          const value = compute(x.value, y.value);
          if (Math.abs(value) < 2 ** 15 && Number.isInteger(value * 256)) live.push({ handle, value });
          else handle.dispose();
        } else if (what === 'alias') live.push({ handle: device.alias(x.handle), value: x.value });
        else if (what === 'dispose') live.splice(live.indexOf(x), 1)[0].handle.dispose();
        else if (what === 'read') {
          const { value } = x;
          reads.push(valuesOf(device, x.handle).then((values) => expect(values).toEqual(filled(elements, value))));
        } else if (what === 'task' && c % 3 === 0) await device.synchronize();
      }
      await Promise.all(reads);
      for (const { handle } of live) handle.dispose();
      expect(device.memory()).toMatchObject({ tensors: 0, bytes: 0 });
    }),
    { seed: 17, numRuns: 40 },
  );
});
