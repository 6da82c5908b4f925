/**
 * Before the tests of the project `webgpu`: finds an adapter, and has workers start with the variables it needs. Where
 * there is none, tests are skipped and say so; with `CI` set that is a failure.
 */
import type { TestProject } from 'vitest/node';
import { findAdapter } from './support/adapter.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The adapter's name. */
    readonly adapter: string | undefined;
    /** Why there is none. */
    readonly noAdapter: string | undefined;
  }
}

export default function setup(project: TestProject): (() => void) | undefined {
  const found = findAdapter();
  const reason = typeof found === 'string' ? `no WebGPU adapter: ${found}` : undefined;
  project.provide('noAdapter', reason);
  project.provide('adapter', typeof found === 'string' ? undefined : found.name);
  if (typeof found !== 'string') {
    Object.assign(project.config.env, found.environment);
    console.log(`WebGPU tests run on ${found.name}${found.isSoftware ? ', in software' : ''}`);
    return undefined;
  }
  const isFailure = Boolean(process.env.CI);
  const sayLoudly = (): void => console.error(`\n${'!'.repeat(80)}\n${reason}: tests of WebGPU are skipped\n`);
  sayLoudly();
  return () => {
    sayLoudly();
    if (isFailure) process.exitCode = 1;
  };
}
