/** Programs of random modules for both targets. */
import { loadBinaryen } from '../../../codegen/wasm/load.ts';
import { generateProgram as generateWasm } from '../../../codegen/wasm/program.ts';
import { generateProgram as generateWgsl } from '../../../codegen/wgsl/program.ts';
import { mainOf } from '../../../ir/types.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import { runPasses } from '../../../passes/manager.ts';
import { optimizePipeline } from '../../../passes/optimize/index.ts';
import { coreWebgpuTier, type Program, plainTier } from '../../../runtime/program.ts';
import { randomModule } from '../../support/random-graph.ts';

const binaryen = await loadBinaryen();

/** The program of a random module, with and without symbolic sizes. */
export function randomProgram(seed: number, target: 'wasm' | 'webgpu'): Program {
  const { module } = randomModule(seed, { ops: 8, symbolic: seed % 2 === 1 });
  const precision = 'fast';
  const optimized = runPasses(module, optimizePipeline, { precision, verify: false, constantBudget: 65_536 });
  const donated = mainOf(module).graph.parameters.map(() => false);
  const lowered = lowerModule(optimized, { name: `random ${seed}`, donated, precision, fusion: 'full' });
  return target === 'wasm'
    ? generateWasm(binaryen, lowered, { precision, tier: plainTier }).program
    : generateWgsl(lowered, { precision, tier: coreWebgpuTier }).program;
}
