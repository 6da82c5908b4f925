/**
 * Bits of WebGPU's flags (https://www.w3.org/TR/webgpu/#namespacedef-gpubufferusage). Browsers have them as globals;
 * Node has them only where somebody puts them there.
 */
export const bufferUsage = {
  mapRead: 0x1,
  copySource: 0x4,
  copyTarget: 0x8,
  uniform: 0x40,
  storage: 0x80,
  queryResolve: 0x200,
} as const;

export const mapModeRead = 0x1;
export const shaderStageCompute = 0x4;

/** Uniform blocks and storage buffers of a bind group begin at multiples of this on every adapter. */
export const bindingAlignment = 256;

/** A binding's size: whole vectors of four words, and never nothing. */
export const bindingBytes = (bytes: number): number => Math.max(16, Math.ceil(bytes / 16) * 16);

/** Copies go by words. */
export const copyBytes = (bytes: number): number => Math.ceil(bytes / 4) * 4;
