/**
 * What decides how fast code runs beside the code: the processor, the engine, the threads. Schedules measured on one
 * machine are no word on another.
 */
import { hashOf } from '../../base/hash.ts';
import type { Device } from '../../runtime/device.ts';
import { tierName } from '../../runtime/program.ts';

interface Surroundings {
  readonly process?: {
    readonly arch?: string;
    readonly versions?: { readonly v8?: string };
    getBuiltinModule?(name: 'node:os'): { cpus(): readonly { readonly model: string }[] } | undefined;
  };
  readonly navigator?: { readonly userAgent?: string; readonly hardwareConcurrency?: number };
}

/** A machine as one word: 64 hexadecimal digits. */
export function machineKey({ name, tier, threads }: Device): string {
  const { process, navigator } = globalThis as Surroundings;
  const cpus = process?.getBuiltinModule?.('node:os')?.cpus() ?? [];
  const host = process?.versions?.v8
    ? [process.arch, process.versions.v8, cpus[0]?.model, cpus.length]
    : [navigator?.userAgent, navigator?.hardwareConcurrency];
  return hashOf([name, tierName(tier), threads, ...host].join('\n'));
}
