/**
 * The targets that a bake can be asked for, by name, and what each may use. A loader takes the best one that its
 * machine can run.
 *
 *     tierOf('wasm-threads-relaxed')      // { target: 'wasm', threads: true, relaxedSimd: true }
 */
import { KilnError } from '../../base/error.ts';
import { coreWebgpuTier, plainTier, type Tier } from '../../runtime/program.ts';

const tiers = {
  wasm: plainTier,
  'wasm-threads': { ...plainTier, threads: true },
  'wasm-relaxed': { ...plainTier, relaxedSimd: true },
  'wasm-threads-relaxed': { ...plainTier, threads: true, relaxedSimd: true },
  webgpu: coreWebgpuTier,
  'webgpu-f16': { ...coreWebgpuTier, shaderF16: true },
  'webgpu-subgroups': { ...coreWebgpuTier, subgroups: true },
  'webgpu-f16-subgroups': { ...coreWebgpuTier, shaderF16: true, subgroups: true },
} as const satisfies Readonly<Record<string, Tier>>;

export type BakeTarget = keyof typeof tiers;

/** All targets, in the order in which an artefact holds them. */
export const bakeTargets = Object.keys(tiers) as readonly BakeTarget[];

/** What is baked unless targets are named: code that runs wherever there is WebAssembly 2.0, or any WebGPU adapter. */
export const defaultTargets: readonly BakeTarget[] = ['wasm', 'webgpu'];

export const tierOf = (target: BakeTarget): Tier => tiers[target];

/**
 * Names as targets, each once, in the order of `bakeTargets`.
 * @throws KilnError `bake_failed` for a name that is none
 */
export function resolveTargets(names: readonly string[]): readonly BakeTarget[] {
  const unknown = names.filter((name) => !Object.hasOwn(tiers, name));
  if (unknown.length > 0 || names.length === 0) {
    throw new KilnError('bake_failed', names.length === 0 ? 'no target is named' : 'there is no such target', {
      given: unknown.length > 0 ? unknown.join(', ') : 'an empty list',
      expected: `some of ${bakeTargets.join(', ')}`,
    });
  }
  return bakeTargets.filter((target) => names.includes(target));
}
