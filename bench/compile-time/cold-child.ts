/** A cold compile of a GPT: prints the milliseconds from the first trace to the loaded program, and the ops traced. */
import { compile } from '../../index.ts';
import { gpt, gradientModel, modelSizes } from '../models/index.ts';

const model = gradientModel(gpt({ ...modelSizes.bench.gpt, layers: 12 }));
const compiled = compile(model.fn, { name: model.name });
const start = performance.now();
await compiled.warmup(...model.specs());
const milliseconds = performance.now() - start;
console.log(JSON.stringify({ milliseconds, ops: compiled.explain(...model.specs()).ops }));
