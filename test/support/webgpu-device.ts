/**
 * Dawn in Node without Kiln's runtime, for tests of generated WGSL: one device a worker, and a check of WGSL that asks
 * for features which the adapter at hand has not.
 *
 *     const device = await rawDevice();
 *     await wgslErrors('enable f16; …', ['shader-f16'])      // [] or ['3:5 unresolved value 'x'']
 */
import { create, globals } from 'webgpu';
import { coreWebgpuTier, type WebgpuTier } from '../../runtime/program.ts';

Object.assign(globalThis, globals);

/** Dawn ends when what `create` gave is collected, whoever still uses a device of it. */
const instances: GPU[] = [];

function instance(options: readonly string[]): GPU {
  const gpu = create([...options]);
  instances.push(gpu);
  return gpu;
}

interface OwnDevice {
  readonly device: GPUDevice;
  readonly tier: WebgpuTier;
}

/**
 * Without robustness, so that code which goes out of bounds is not put right by the implementation: what it touches
 * then is what lies there. Workgroup memory is not cleared either, on which no code may count; SwiftShader takes ten
 * times as long to compile what clears 16 KB.
 */
const toggles = ['enable-dawn-features=disable_robustness,disable_workgroup_init,allow_unsafe_apis'];

let own: Promise<OwnDevice> | undefined;

async function open(): Promise<OwnDevice> {
  const gpu = instance(toggles);
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error('Dawn finds no adapter: the project webgpu skips tests then');
  const {
    maxStorageBuffersPerShaderStage: storageBuffers,
    maxBufferSize,
    maxStorageBufferBindingSize,
  } = adapter.limits;
  const features = (['shader-f16', 'subgroups'] as const).filter((feature) => adapter.features.has(feature));
  const device = await adapter.requestDevice({
    requiredFeatures: features,
    requiredLimits: { maxStorageBuffersPerShaderStage: storageBuffers, maxBufferSize, maxStorageBufferBindingSize },
  });
  // Whoever makes a mistake outside an error scope hears of it: no test may pass with one.
  device.addEventListener('uncapturederror', ({ error }) => {
    throw new Error(`WebGPU: ${error.message}`);
  });
  const tier: WebgpuTier = {
    ...coreWebgpuTier,
    shaderF16: features.includes('shader-f16'),
    subgroups: features.includes('subgroups'),
    integerDot: gpu.wgslLanguageFeatures.has('packed_4x8_integer_dot_product'),
    storageBuffers,
  };
  return { device, tier };
}

const opened = (): Promise<OwnDevice> => {
  own ??= open();
  return own;
};

/** The device of this worker, made at the first use. */
export const rawDevice = async (): Promise<GPUDevice> => (await opened()).device;

/** All that the adapter has. */
export const fullTier = async (): Promise<WebgpuTier> => (await opened()).tier;

let validator: Promise<GPUDevice> | undefined;

/** A device of Dawn that runs nothing, and has every feature. */
async function openValidator(): Promise<GPUDevice> {
  const adapter = await instance(['backend=null', ...toggles]).requestAdapter();
  if (!adapter) throw new Error('this build of Dawn has no backend that only validates');
  return adapter.requestDevice({ requiredFeatures: ['shader-f16', 'subgroups'] });
}

/** What is wrong with WGSL, a line each as `line:column message`; it may use every feature there is. */
export async function wgslErrors(code: string): Promise<string[]> {
  validator ??= openValidator();
  const device = await validator;
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code });
  const [{ messages }] = await Promise.all([module.getCompilationInfo(), device.popErrorScope()]);
  return messages
    .filter(({ type }) => type === 'error')
    .map(({ lineNum, linePos, message }) => `${lineNum}:${linePos} ${message}`);
}
