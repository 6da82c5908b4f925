/** Why there is no device on a GPU; loaded when that is so. */
import { KilnError } from '../../base/error.ts';
import type { AdapterInfo } from './adapter.ts';

export const noWebgpu = (): KilnError =>
  new KilnError('no_adapter', 'this browser has no WebGPU', {
    expected: 'navigator.gpu',
    hint: "use { device: 'wasm' }; pages that are not served by https or from localhost have none",
  });

export const noAdapter = (hardwareOnly: boolean | undefined): KilnError =>
  new KilnError('no_adapter', 'there is no WebGPU adapter here', {
    expected: hardwareOnly ? 'a GPU with a driver' : 'a GPU with a driver, or a software adapter',
    hint: "use { device: 'wasm' }; on Linux, WebGPU needs a Vulkan driver",
  });

export const noHardware = (info: AdapterInfo): KilnError =>
  new KilnError('no_adapter', 'there is no hardware adapter for WebGPU here', { given: describe(info) });

export const noDevice = (info: AdapterInfo, cause: unknown): KilnError =>
  new KilnError('no_adapter', 'the WebGPU adapter gives no device', {
    given: `${describe(info)}: ${cause instanceof Error ? cause.message : String(cause)}`,
    hint: "use { device: 'wasm' }, or try again: the adapter may have been busy",
    cause,
  });

const describe = ({ vendor, architecture, description }: AdapterInfo): string =>
  [vendor, architecture, description].filter(Boolean).join(' ') || 'an adapter that keeps its name to itself';
