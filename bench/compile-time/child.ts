/**
 * One compile in a process of its own, so that no code is remembered from another: `child.ts blocks 48` prints its
 * stages as JSON. The compiler runs warm: a graph that has no kernel in common with what is measured goes first.
 */
import { gpt, stepModel } from '../models/index.ts';
import { blocksModel, type GraphFamily, graphFamilies } from './graphs.ts';
import { compileInStages } from './stages.ts';

const [name, size] = process.argv.slice(2);
const families: Readonly<Record<string, Pick<GraphFamily, 'make'>>> = {
  ...graphFamilies,
  blocks: { make: blocksModel },
};
for (const width of [40, 44, 52, 60]) {
  await compileInStages(stepModel(gpt({ batch: 3, time: 12, width, heads: 2, layers: 6, vocabulary: 33 }), 'sgd'));
}
console.log(JSON.stringify(await compileInStages(families[name].make(Number(size)))));
process.exit(0);
