/** The session and the webgpu device: opening, choosing, losing and leaving it. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { globals } from 'webgpu';
import { devices, init, memory, setDevice, shutdown, tensor } from '../../../index.ts';
import { currentDevice, currentDeviceName } from '../../../runtime/session.ts';
import { WebgpuDevice } from '../../../runtime/webgpu/device.ts';
import { codeOf, errorOf, rejectionOf } from '../../support/errors.ts';

// What files before this one have left on the session's device.
beforeAll(shutdown);

afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await shutdown();
});

/** The session's device, which must be webgpu. */
function webgpu(): WebgpuDevice {
  const device = currentDevice();
  if (!(device instanceof WebgpuDevice)) throw new Error(`the device is ${device.name}`);
  return device;
}

describe('init', () => {
  it('opens the device, which is one of those that can exist', async () => {
    expect(devices()).toEqual(['wasm', 'webgpu']);
    await init({ device: 'webgpu' });
    const x = tensor([1, 2, 3]);
    expect(x.device).toBe('webgpu');
    expect([...(await x.data())]).toEqual([1, 2, 3]);
    expect(String(x)).toBe('<webgpu float32[3]: await data() to see it>');
    expect(memory()).toMatchObject({ tensors: 1, bytes: 12 });
    const device = webgpu();
    await Promise.all([init({ device: 'webgpu' }), init()]);
    expect(webgpu()).toBe(device);
    expect(device.info.isFallbackAdapter).toBeTypeOf('boolean');
  });

  it('must come before the first use', async () => {
    await shutdown();
    expect(errorOf(() => setDevice('webgpu')).message).toMatch(
      /unknown_device[\s\S]*await init\(\{ device: 'webgpu' \}\)/,
    );
    expect(errorOf(() => tensor([1], { device: 'webgpu' })).message).toMatch(/not open[\s\S]*await init/);
    vi.stubEnv('KILN_DEVICE', 'webgpu');
    expect(currentDeviceName()).toBe('webgpu');
    expect(errorOf(() => tensor([1])).message).toMatch(/not open[\s\S]*with KILN_DEVICE=webgpu, await init\(\) does/);
    await init();
    expect(tensor([1]).device).toBe('webgpu');
  });

  it('takes a software adapter only where it is named', async () => {
    await init({ device: 'webgpu' });
    const isSoftware = webgpu().info.isFallbackAdapter;
    await shutdown();
    await init({ device: 'auto' });
    expect(currentDevice().name).toBe(isSoftware ? 'wasm' : 'webgpu');
    await init({ device: 'webgpu' });
    await init({ device: 'auto' });
    expect(currentDevice().name).toBe(isSoftware ? 'wasm' : 'webgpu');
  });

  it('opens the device anew after it was lost', async () => {
    const { prototype } = (globals as { readonly GPUAdapter: { readonly prototype: GPUAdapter } }).GPUAdapter;
    const { requestDevice } = prototype;
    const opened: GPUDevice[] = [];
    vi.spyOn(prototype, 'requestDevice').mockImplementation(async function (this: GPUAdapter, descriptor) {
      const device = await requestDevice.call(this, descriptor);
      opened.push(device);
      return device;
    });
    await init({ device: 'webgpu' });
    const x = tensor([1, 2, 3]);
    const onHost = await x.data();
    opened[0].destroy();
    expect((await rejectionOf(() => x.data())).message).toMatch(/device_lost[\s\S]*call init\(\) again/);
    expect(codeOf(() => tensor([1]))).toBe('device_lost');
    await init();
    expect(opened).toHaveLength(2);
    expect([...(await tensor(onHost).data())]).toEqual([1, 2, 3]);
    expect((await rejectionOf(() => x.data())).code).toBe('device_lost');
  });

  it('opens nothing for a session that has ended meanwhile', async () => {
    const opening = rejectionOf(() => init({ device: 'webgpu' }));
    await shutdown();
    expect((await opening).code).toBe('shut_down');
    expect(memory().reservedBytes).toBe(0);
  });
});

describe('a process', () => {
  const script = fileURLToPath(new URL('leave.mts', import.meta.url));
  const leave = (how: string): string =>
    execFileSync(process.execPath, ['--import', 'tsx', script, how], { encoding: 'utf8', timeout: 50_000 });

  it('ends by itself after shutdown, and without it', () => {
    expect(leave('shutdown')).toBe('1,2,3\nexit\n');
    expect(leave('forget')).toBe('1,2,3\nexit\n');
    expect(leave('nothing')).toBe('1,2,3\nexit\n');
  });

  it('that ends at once while the GPU works leaves quietly', () => {
    expect(leave('exit')).toBe('1,2,3\nexit\n');
  });
});
