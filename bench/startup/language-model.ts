/** The training step that `npm start` takes, as a workload. */
import { CharacterText, initialState, trainingStep } from '../../examples/language-model.ts';
import { specOf } from '../../index.ts';
import type { Model } from '../models/model.ts';

const text = 'The quick brown fox jumps over the lazy dog. 0123456789'.repeat(20);

export const languageModelStep = (): Model => {
  const make = (): unknown[] => {
    const characters = new CharacterText(text, 1);
    return [initialState(characters.characters.length, 1), ...characters.nextBatch()];
  };
  return { name: 'trainingStep', fn: trainingStep as Model['fn'], specs: () => specOf(make()) as unknown[], make };
};
