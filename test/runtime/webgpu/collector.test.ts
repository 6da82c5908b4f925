/** Programs that nobody has any more. */
import { expect, it } from 'vitest';
import { collectGarbage } from '../../../runtime/collect-garbage.ts';
import { provokeCollection } from '../../../runtime/collector.ts';
import type { WebgpuDevice } from '../../../runtime/webgpu/device.ts';
import { upload } from '../support.ts';
import { additionProgram, openDevice, run, valuesOf } from './support.ts';

/** In a function of its own, so that nothing of the program stays on the stack. */
async function runOnce(device: WebgpuDevice): Promise<void> {
  const x = upload(device, [1, 2, 3]);
  const [sum] = run(device, additionProgram(3), [x, x], [3]);
  expect(await valuesOf(device, sum)).toEqual([2, 4, 6]);
  for (const handle of [x, sum]) handle.dispose();
}

it('programs that are collected give back what they held, the sizes of their bindings among it', async () => {
  const device = await openDevice();
  await runOnce(device);
  expect(device.memory().programBytes).toBeGreaterThan(0);
  for (let round = 0; round < 5 && device.memory().programBytes > 0; round++) await collectGarbage(provokeCollection);
  expect(device.memory().programBytes).toBe(0);
});
