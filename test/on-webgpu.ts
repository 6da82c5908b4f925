/** Before each test file of the project `webgpu`: without an adapter, its tests are skipped with the reason. */
import { beforeEach, inject } from 'vitest';

const reason = inject('noAdapter');
if (reason) beforeEach((context) => context.skip(reason));
