/** Launches as observers see them, on an adapter with timestamps and on one without. */
import { describe, expect, it } from 'vitest';
import { type LaunchTiming, observeLaunches } from '../../../runtime/profile.ts';
import { openAdapter } from '../../../runtime/webgpu/adapter.ts';
import { WebgpuDevice } from '../../../runtime/webgpu/device.ts';
import { upload } from '../support.ts';
import { chainProgram, filled, run, valuesOf } from './support.ts';

/** A device whose adapter seems to lack a feature. */
async function openWithout(feature: GPUFeatureName | undefined): Promise<WebgpuDevice> {
  const open = await openAdapter({});
  const features = new Set([...open.device.features].filter((each) => each !== feature));
  Object.defineProperty(open.device, 'features', { value: features });
  return new WebgpuDevice(open);
}

describe.each([undefined, 'timestamp-query'] as const)('launches, without %s', (feature) => {
  it('are reported in order, with times and lines, before synchronize resolves', async ({ skip }) => {
    const device = await openWithout(feature);
    if (!feature && !(await hasTimestamps())) skip('the adapter has no timestamps');
    const program = chainProgram(100_000, 5);
    await device.warmup(program);
    const x = upload(device, filled(100_000));
    const launches: LaunchTiming[] = [];
    const stop = observeLaunches((timing) => launches.push(timing));
    const began = performance.now();
    try {
      for (let i = 0; i < 2; i++) {
        const [y] = run(device, program, [x], [100_000]);
        expect((await valuesOf(device, y))[99_999]).toBe(32);
      }
      await device.synchronize();
    } finally {
      stop();
    }
    expect(launches.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    for (const { device: name, program: of, kernel, flops, bytes, milliseconds, start, location } of launches) {
      expect({ name, of, kernel, flops, bytes }).toEqual({
        name: 'webgpu',
        of: 'chain',
        kernel: 'double',
        flops: 100_000,
        bytes: 800_000,
      });
      expect(milliseconds).toBeGreaterThanOrEqual(0);
      expect(start).toBeGreaterThan(began);
      expect(start + milliseconds).toBeLessThan(performance.now() + 1000);
      expect(String(location)).toMatch(/webgpu\/support\.ts/);
    }
    expect(launches.some(({ milliseconds }) => milliseconds > 0)).toBe(true);
    const { submits } = device.counters();
    run(device, program, [x], [100_000]);
    await device.synchronize();
    expect(device.counters().submits).toBe(submits + 1);
    device.shutdown();
  });
});

async function hasTimestamps(): Promise<boolean> {
  const { device } = await openAdapter({});
  const has = device.features.has('timestamp-query');
  device.destroy();
  return has;
}
