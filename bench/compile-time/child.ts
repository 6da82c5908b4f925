/**
 * A graph compiled in a process of its own: `child.ts blocks 48` prints the stages of the fastest run as JSON. The
 * compiler runs warm, and remembers no kernel from one run to the next.
 */
import { clearKernels } from '../../codegen/wasm/program.ts';
import { gpt, stepModel } from '../models/index.ts';
import { blocksModel, type GraphFamily, graphFamilies } from './graphs.ts';
import { compileInStages, type StageTimes, totalOf } from './stages.ts';

/** Compiles of the graph, of which the fastest counts: until this many milliseconds are spent, within bounds. */
const [fewest, most, budget] = [3, 12, 6000];

const [name, size] = process.argv.slice(2);
const families: Readonly<Record<string, Pick<GraphFamily, 'make'>>> = {
  ...graphFamilies,
  blocks: { make: blocksModel },
};
for (const width of [40, 44, 52, 60]) {
  await compileInStages(stepModel(gpt({ batch: 3, time: 12, width, heads: 2, layers: 6, vocabulary: 33 }), 'sgd'));
}
const times: StageTimes[] = [];
const start = performance.now();
while (times.length < fewest || (times.length < most && performance.now() - start < budget)) {
  clearKernels();
  times.push(await compileInStages(families[name].make(Number(size))));
}
console.log(JSON.stringify(times.reduce((best, next) => (totalOf(next) < totalOf(best) ? next : best))));
process.exit(0);
