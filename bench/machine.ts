/**
 * What numbers were measured on, without anything that names the machine: cores, what the processor and the engine can
 * do, found by asking them.
 *
 *     2 cores (AVX2, FMA, AVX-512), linux x64, Node v20.20.2, WASM with SIMD128, threads, relaxed SIMD behind a flag
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { wasmFeatures } from '../runtime/wasm/features.ts';

interface Engine {
  validate(code: Uint8Array): boolean;
}

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

/** Modules that only validate where the engine has what they are named for. */
const probes = {
  /** `v128.const` */
  SIMD128: bytes('0061736d010000000105016000017b030201000a16011400fd0c000000000000000000000000000000000b'),
  /** A shared memory. */
  threads: bytes('0061736d01000000050401030101'),
  /** `f32x4.relaxed_madd` */
  'relaxed SIMD': bytes('0061736d0100000001080160037b7b7b017b030201000a0d010b00200020012002fd85020b'),
} as const;

/** Flags of Linux by the names that people know. */
const processorFlags: Readonly<Record<string, string>> = {
  avx2: 'AVX2',
  fma: 'FMA',
  avx512f: 'AVX-512',
  amx_tile: 'AMX',
  asimd: 'NEON',
};

function processorFeatures(): string {
  try {
    const flags =
      /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1].trim().split(' ') ?? [];
    const known = Object.entries(processorFlags).flatMap(([flag, name]) => (flags.includes(flag) ? [name] : []));
    return known.length > 0 ? ` (${known.join(', ')})` : '';
  } catch {
    // Not Linux.
    return '';
  }
}

function engineFeatures(): string {
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: Engine };
  const plain = (Object.keys(probes) as (keyof typeof probes)[]).filter((name) => WebAssembly.validate(probes[name]));
  const flagged = !plain.includes('relaxed SIMD') && wasmFeatures().relaxedSimd ? ['relaxed SIMD behind a flag'] : [];
  return [...plain, ...flagged].join(', ');
}

export function machine(): string {
  const { arch, platform, version } = process;
  return `${cpus().length} cores${processorFeatures()}, ${platform} ${arch}, Node ${version}, WASM with ${engineFeatures()}`;
}
