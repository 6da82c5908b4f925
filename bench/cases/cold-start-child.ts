/** One cold start: prints the milliseconds from the first call of the compiled step to its loss. */
import { CharacterText, initialState, trainingStep } from '../../examples/language-model.ts';
import { compile, specOf } from '../../index.ts';

const text = new CharacterText('The quick brown fox jumps over the lazy dog. 0123456789'.repeat(20), 1);
const [tokens, targets] = text.nextBatch();
const state = initialState(text.characters.length, 1);
const step = compile(trainingStep, { cache: false });
const start = performance.now();
await step.warmup(specOf(state), specOf(tokens), specOf(targets));
console.log(performance.now() - start);
