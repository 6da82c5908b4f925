/** What `npm start` trains, in short: the regression finds its weights, the language model learns. */
import { describe, expect, test } from 'vitest';
import { CharacterText, sample, train } from '../../examples/language-model.ts';
import { linearRegression } from '../../examples/linear-regression.ts';
import { documentation } from '../../examples/text.ts';

describe('the examples', () => {
  test('linear regression finds [0, 1] and its loss falls at each report', async () => {
    const { losses, weights } = await linearRegression();
    expect(losses.map(([step]) => step)).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
    for (let i = 1; i < losses.length; i++) expect(losses[i][1]).toBeLessThan(losses[i - 1][1]);
    expect(weights[0]).toBeCloseTo(0, 1);
    expect(weights[1]).toBeCloseTo(1, 1);
  });

  test('the language model learns a small text, and writes with its characters', async () => {
    const text = new CharacterText('to be or not to be, that is the question. '.repeat(20), 1);
    const losses: number[] = [];
    const state = await train(text, { steps: 300, milliseconds: 60_000, onProgress: ({ loss }) => losses.push(loss) });
    expect(losses).toHaveLength(6);
    expect(losses[0]).toBeLessThan(Math.log(text.characters.length));
    expect(losses[5]).toBeLessThan(losses[0] / 2);
    const written = await sample(text, state.parameters, 'to be', 20);
    expect(written).toHaveLength(25);
    expect(written.startsWith('to be')).toBe(true);
    for (const character of written) expect(text.characters).toContain(character);
  });

  test('the documentation is text enough to learn from', () => {
    const text = documentation();
    expect(text.length).toBeGreaterThan(20_000);
    expect(text).toMatch(/^[\x20-\x7e\n]*$/);
  });
});
