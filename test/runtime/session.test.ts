import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { serialize } from 'node:v8';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DeviceArray } from '../../runtime/array.ts';
import {
  chooseDevice,
  currentDevice,
  currentDeviceName,
  deviceNames,
  devicesInUse,
  memory,
  shutdown,
} from '../../runtime/session.ts';
import '../../runtime/complete.ts';
import { additionProgram, compiledSource, upload, vector } from './support.ts';

const nothing = { tensors: 0, bytes: 0, peakBytes: 0, programBytes: 0, reservedBytes: 0 };

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  shutdown();
});

describe('the session', () => {
  it('makes nothing until a device is used', () => {
    expect(devicesInUse()).toEqual([]);
    expect(memory()).toEqual(nothing);
    expect(currentDevice()).toBe(currentDevice());
    expect(devicesInUse().map((device) => device.name)).toEqual(['wasm']);
    expect(deviceNames()).toEqual(['wasm', 'webgpu']);
  });

  it('counts over its devices, and shuts them down', () => {
    const x = new DeviceArray('float32', [2], upload(currentDevice(), [1, 2]));
    expect(memory()).toMatchObject({ tensors: 1, bytes: 8 });
    shutdown();
    expect(memory()).toEqual(nothing);
    expect(() => x.dataSync()).toThrow(/shut_down[\s\S]*init\(\)/);
    expect(String(x)).toBe('<disposed float32[2]>');
    const y = upload(currentDevice(), [3]);
    expect(() => currentDevice().run(compiledSource(additionProgram(2)), [x.handle!, x.handle!], vector(2))).toThrow(
      /device_mismatch/,
    );
    expect(y.state).toBe('ready');
  });

  it('takes its device from the environment until one is chosen', () => {
    vi.stubEnv('KILN_DEVICE', 'abacus');
    expect(currentDeviceName()).toBe('abacus');
    expect(() => currentDevice()).toThrow(/unknown_device.*'abacus'[\s\S]*'wasm'/);
    expect(() => chooseDevice('slide rule')).toThrow(/unknown_device/);
    chooseDevice('wasm');
    expect(currentDevice().name).toBe('wasm');
  });

  it('prints launches when KILN_DEBUG asks for it', () => {
    vi.stubEnv('KILN_DEBUG', 'passes, runtime');
    const lines: string[] = [];
    vi.spyOn(console, 'error').mockImplementation((line: string) => void lines.push(line));
    const x = upload(currentDevice(), [1, 2]);
    currentDevice().run(compiledSource(additionProgram(2)), [x, x], vector(2));
    expect(lines).toEqual([
      expect.stringMatching(/^\[kiln runtime\] wasm add\[0\] add: \d+\.\d{3} ms, 24 bytes bound$/),
    ]);
  });

  it('leaks nothing over 100 starts and shutdowns', () => {
    // In a process of its own, so that its memory is its own; it must also end by itself.
    const script = fileURLToPath(new URL('restart.mts', import.meta.url));
    const output = execFileSync(process.execPath, ['--import', 'tsx', script], {
      encoding: 'utf8',
      timeout: 50_000,
      input: serialize(additionProgram(1_000_000)),
    });
    const { after20, after100 } = JSON.parse(output) as { after20: number; after100: number };
    // 80 times 8 MB would be 640 MB.
    expect(after100 - after20).toBeLessThan(200 * 2 ** 20);
  });
});
