/**
 * The way to a GPU: `navigator.gpu` where there is one, in Node the optional package `webgpu` (Dawn); then an adapter,
 * and a device with all that Kiln uses of what the adapter has.
 *
 *     const { device, tier, info } = await openAdapter({});
 *     info                                  // { vendor: 'nvidia', architecture: 'hopper', isFallbackAdapter: false, … }
 */
import type { WebgpuTier } from '../program.ts';
import { isNode } from './presence.ts';

export interface AdapterOptions {
  /** Refuses an adapter that runs on the CPU. */
  readonly hardwareOnly?: boolean;
}

/** What the adapter says of itself; empty texts where it keeps silent. */
export interface AdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  /** It computes on the CPU: right, and slow. */
  readonly isFallbackAdapter: boolean;
}

export interface OpenAdapter {
  readonly device: GPUDevice;
  readonly tier: WebgpuTier;
  readonly info: AdapterInfo;
}

/** The features that Kiln has a use for. */
const wantedFeatures: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query'];

/** Limits of which the device gets all that the adapter has. */
const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const satisfies (keyof GPUSupportedLimits)[];

/** More buffers than this no kernel binds. */
const mostStorageBuffers = 64;

const globals = globalThis as { readonly navigator?: { readonly gpu?: GPU } };

/**
 * An adapter's device.
 * @throws KilnError (as a rejection) `no_adapter`
 */
export async function openAdapter(options: AdapterOptions): Promise<OpenAdapter> {
  const gpu = await findGpu();
  const adapter = await findAdapter(gpu, options);
  const info = infoOf(adapter);
  if (options.hardwareOnly && info.isFallbackAdapter) {
    throw (await import('./adapter-errors.ts')).noHardware(info);
  }
  const requiredFeatures = wantedFeatures.filter((feature) => adapter.features.has(feature));
  const requiredLimits = Object.fromEntries(wantedLimits.map((limit) => [limit, adapter.limits[limit]]));
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({ label: 'kiln', requiredFeatures, requiredLimits });
  } catch (cause) {
    throw (await import('./adapter-errors.ts')).noDevice(info, cause);
  }
  return { device, tier: tierOf(gpu, device), info };
}

function tierOf(gpu: GPU, { features, limits }: GPUDevice): WebgpuTier {
  return {
    target: 'webgpu',
    shaderF16: features.has('shader-f16'),
    subgroups: features.has('subgroups'),
    // Not every browser has the list yet.
    integerDot:
      (gpu.wgslLanguageFeatures as WGSLLanguageFeatures | undefined)?.has('packed_4x8_integer_dot_product') ?? false,
    storageBuffers: Math.min(limits.maxStorageBuffersPerShaderStage, mostStorageBuffers),
  };
}

async function findGpu(): Promise<GPU> {
  const { navigator } = globals;
  if (navigator?.gpu) return navigator.gpu;
  if (!isNode()) throw (await import('./adapter-errors.ts')).noWebgpu();
  return (await import('./dawn.ts')).dawnGpu();
}

/** The fastest adapter, else one that computes on the CPU unless hardware is asked for. */
async function findAdapter(gpu: GPU, { hardwareOnly }: AdapterOptions): Promise<GPUAdapter> {
  const adapter =
    (await gpu.requestAdapter({ powerPreference: 'high-performance' })) ??
    (hardwareOnly ? null : await gpu.requestAdapter({ forceFallbackAdapter: true }));
  if (adapter) return adapter;
  throw (await import('./adapter-errors.ts')).noAdapter(hardwareOnly);
}

/** Chromium once said so on the adapter itself. */
function infoOf(adapter: GPUAdapter & { readonly isFallbackAdapter?: boolean }): AdapterInfo {
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  return {
    vendor,
    architecture,
    device,
    description,
    isFallbackAdapter: isFallbackAdapter ?? adapter.isFallbackAdapter ?? architecture === 'swiftshader',
  };
}
