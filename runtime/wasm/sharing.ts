/** Everything that a device of several threads needs beside what one of a single thread has (`parts.ts`). */
import type { isWorthWaking, newGrain, planPhases } from './cost.ts';
import type { KernelModule, LinearMemory } from './engine.ts';
import type { Pool } from './pool.ts';
import type { sharedDriver } from './shared-driver-code.ts';

export { isWorthWaking, newGrain, planPhases } from './cost.ts';
export { Pool } from './pool.ts';
export { sharedDriver } from './shared-driver-code.ts';

export interface Sharing {
  readonly isWorthWaking: typeof isWorthWaking;
  readonly newGrain: typeof newGrain;
  readonly planPhases: typeof planPhases;
  readonly Pool: new (memory: LinearMemory, driver: KernelModule, size: number) => Pool;
  readonly sharedDriver: typeof sharedDriver;
}
