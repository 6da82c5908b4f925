/** WebGPU in Node, from the optional package `webgpu`. */
import { KilnError } from '../../base/error.ts';

/**
 * Dawn for this process. There is one, for good: devices that have ended may still have messages under way, which must
 * find it.
 */
let dawn: Promise<GPU> | undefined;

/** @throws KilnError (as a rejection) `no_adapter` where the package can not be loaded */
export function dawnGpu(): Promise<GPU> {
  dawn ??= loadDawn();
  return dawn;
}

async function loadDawn(): Promise<GPU> {
  // Not a literal, so that bundlers leave it alone: it is there only where somebody has installed it.
  const name = 'webgpu';
  let loaded: { readonly create: (options: string[]) => GPU };
  try {
    loaded = (await import(/* @vite-ignore */ name)) as typeof loaded;
  } catch (cause) {
    dawn = undefined;
    throw new KilnError('no_adapter', 'Node has WebGPU only with the package `webgpu`, which can not be loaded', {
      given: cause instanceof Error ? cause.message : String(cause),
      hint: "npm install webgpu, or use { device: 'wasm' }",
      cause,
    });
  }
  // Times for `profile` need not be blurred here, as they are for pages that do not trust each other. Kernels write
  // workgroup memory before they read it, and clearing it first is most of the time that software compiles them.
  return loaded.create(['disable-dawn-features=timestamp_quantization', 'enable-dawn-features=disable_workgroup_init']);
}
