/** Programs of random graphs: from the cache, or from kernels that others have left there, the same as without it. */
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { clearKernels } from '../../../codegen/wasm/program.ts';
import { mainOf } from '../../../ir/types.ts';
import { currentDevice } from '../../../runtime/session.ts';
import { compile } from '../../../tracer/compiler.ts';
import { loadCompiler } from '../../../tracer/compiler-client.ts';
import { programFor } from '../../../tracer/program-cache.ts';
import { randomModule } from '../../support/random-graph.ts';
import { caseCount } from '../../support/runs.ts';
import { closeCache, entriesIn, openCache, restart } from '../../support/session-cache.ts';
import '../../../index.ts';

let folder = '';

beforeEach(async () => {
  await loadCompiler('wasm');
  folder = openCache();
});

afterEach(() => {
  closeCache(folder);
});

function randomCase(seed: number) {
  const { module } = randomModule(seed, { ops: 14, symbolic: seed % 3 === 1, special: seed % 5 === 0 });
  const donated = mainOf(module).graph.parameters.map((_, i) => (seed >> i) % 4 === 1);
  const held = donated.map((isDonated, i) => !isDonated && (seed + i) % 3 === 0);
  return {
    module,
    options: { name: `random_${seed}`, precision: seed % 2 ? 'fast' : 'strict', donated, held } as const,
  };
}

test('a program is the same whether it, its kernels or nothing of it was there', () => {
  const device = currentDevice();
  const { tier, threads } = device;
  const cases = Array.from({ length: caseCount(16, 300) }, (_, seed) => randomCase(seed));
  const alone = cases.map(({ module, options }) => {
    clearKernels();
    return compile({ module, ...options, tier, threads }).program;
  });
  const compareAll = (isFromCache: boolean): void => {
    restart();
    cases.forEach(({ module, options }, i) => {
      const { source } = programFor(module, { ...options, device });
      expect(source.isFromCache, options.name).toBe(isFromCache);
      expect(source.prepareSync(), options.name).toEqual(alone[i]);
    });
  };
  compareAll(false);
  compareAll(true);
  for (const file of entriesIn(folder, 'program')) rmSync(file);
  compareAll(false);
});
