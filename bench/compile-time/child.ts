/**
 * A graph compiled in a process of its own: `child.ts blocks 1 48` prints the stages of the fastest run of each size as
 * JSON. Sizes take turns; the compiler runs warm, and remembers no kernel from one run to the next.
 */
import { clearKernels } from '../../codegen/wasm/program.ts';
import { gpt, stepModel } from '../models/index.ts';
import { blocksModel, type GraphFamily, graphFamilies } from './graphs.ts';
import { compileInStages, type StageTimes, totalOf } from './stages.ts';

/** Compiles of the graph, of which the fastest counts: until this many milliseconds are spent, within bounds. */
const [fewest, most, budget] = [3, 20, 8000];

const [name, ...sizes] = process.argv.slice(2);
const families: Readonly<Record<string, Pick<GraphFamily, 'make'>>> = {
  ...graphFamilies,
  blocks: { make: blocksModel },
};
for (const width of [40, 44, 52, 60]) {
  await compileInStages(stepModel(gpt({ batch: 3, time: 12, width, heads: 2, layers: 6, vocabulary: 33 }), 'sgd'));
}
const fastest: StageTimes[] = [];
const start = performance.now();
for (let run = 0; run < fewest || (run < most && performance.now() - start < budget); run++) {
  for (const [at, size] of sizes.entries()) {
    clearKernels();
    const times = await compileInStages(families[name].make(Number(size)));
    if (run === 0 || totalOf(times) < totalOf(fastest[at])) fastest[at] = times;
  }
}
console.log(JSON.stringify(fastest));
process.exit(0);
