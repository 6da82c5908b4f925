/** Everything that a device of several threads needs beside what one of a single thread has (`parts.ts`). */
import { controlAddress, controlBytes } from './control-block.ts';
import type { isWorthWaking, planPhases } from './cost.ts';
import type { KernelModule, LinearMemory } from './engine.ts';
import type { Pool } from './pool.ts';
import type { sharedDriver } from './shared-driver-code.ts';

export { isWorthWaking, planPhases } from './cost.ts';
export { Pool } from './pool.ts';
export { sharedDriver } from './shared-driver-code.ts';

/** Bytes at the beginning of a shared memory that no tensor gets. */
export const headBytes = controlAddress + controlBytes;

export interface Sharing {
  readonly headBytes: number;
  readonly isWorthWaking: typeof isWorthWaking;
  readonly planPhases: typeof planPhases;
  readonly Pool: new (memory: LinearMemory, driver: KernelModule, size: number) => Pool;
  readonly sharedDriver: typeof sharedDriver;
}
