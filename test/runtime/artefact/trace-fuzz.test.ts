/** Mutated traces, formulas of sizes and carried caches: each is read or refused, within bounds. */
import { expect, test } from 'vitest';
import { parseDim } from '../../../base/dim.ts';
import { Random } from '../../../ir/ops/random.ts';
import { writeContainer } from '../../../runtime/artefact/write-container.ts';
import { entryName, writeEntry } from '../../../runtime/cache/entry.ts';
import { packEntries, unpackEntries } from '../../../runtime/cache/portable.ts';
import { openArtefact } from '../../../tracer/bake/open-artefact.ts';
import { programOfTrace, readTrace } from '../../../tracer/trace-record.ts';
import { caseCount } from '../../support/runs.ts';
import { formulas, headerOf, JsonMutator, mutateBytes, outcomeOf, Tally, withHeader } from './mutations.ts';

const array = { kind: 'array' };
const trace = {
  program: '0'.repeat(64),
  result: {
    kind: 'dict',
    keys: ['loss', 'params'],
    children: [array, { kind: 'list', children: [array, { kind: 'static', key: 'N' }] }],
  },
  effects: [
    { holder: ['model', 'layer'], key: 'mean', tree: { kind: 'list', children: [array, array] }, leaves: [2, 'n0.5'] },
  ],
};

test('traces', () => {
  const whole = JSON.stringify(trace);
  expect(readTrace(JSON.parse(whole), 3).resultCount).toBe(2);
  const texts = new JsonMutator(whole);
  const tally = new Tally();
  for (let seed = 0; seed < caseCount(5000, 500_000); seed++) {
    const text = texts.mutate(new Random(seed));
    let record: unknown;
    try {
      record = JSON.parse(text);
    } catch {
      continue;
    }
    tally.add(
      outcomeOf(seed, () => {
        programOfTrace(record);
        readTrace(record, 3);
      }),
    );
  }
  expect(tally.counts.invalid_program).toBeGreaterThan(0.3 * tally.total);
  expect(tally.counts.ok).toBeGreaterThan(0.01 * tally.total);
});

test('formulas of sizes', () => {
  const symbols = new Map(['A', 'B', 'C', 'D'].map((name) => [name, { name, min: 1, max: 64 }]));
  const parts = [
    'A',
    'B',
    'C',
    'D',
    '1',
    '7',
    '64',
    '+',
    '+',
    '-',
    '*',
    '*',
    '*',
    '(A+B)',
    '(A+B+C+D+1)',
    'floordiv(',
    'mod(',
    ',',
    ')',
    ')',
  ];
  const tally = new Tally();
  const parse = (seed: number, text: string): void => tally.add(outcomeOf(seed, () => parseDim(text, symbols)));
  for (const [seed, text] of formulas.entries()) parse(seed, text);
  parse(0, `${'(A+B+C+D+1)*'.repeat(100)}A`);
  parse(0, `${'floordiv((A+B)*(C+D)*'.repeat(80)}A${',7)'.repeat(80)}`);
  for (let seed = 0; seed < caseCount(3000, 300_000); seed++) {
    const random = new Random(seed);
    // Operands and operators in turn, so that many are formulas.
    const length = random.integer(1, 60);
    const operand = (): string =>
      random.pick(parts.slice(0, 7).concat('(A+B)', '(A+B+C+D+1)', 'floordiv(A*B+1,C)', 'mod(A-B,7)'));
    let text = operand();
    for (let i = 0; i < length; i++)
      text += random.boolean(0.03) ? random.pick(parts) : random.pick(['+', '-', '*', '*']) + operand();
    parse(seed, text);
  }
  expect(Object.keys(tally.counts).sort()).toEqual(['invalid_ir', 'ok']);
  expect(tally.counts.ok).toBeGreaterThan(0.1 * tally.total);
});

test('files of carried entries, and artefacts that tools open', () => {
  const key = 'some key';
  const entry = writeEntry({ kind: 'trace', version: 'some version', key, trace }, []);
  const cache = packEntries([{ name: entryName('trace', 'some version', key), bytes: entry }]);
  const content = {
    kind: 'artefact',
    kiln: '1.0.0',
    functions: [],
    programs: [],
    kernels: [],
    schedules: [['a', 'b']],
  };
  const artefact = writeContainer(content, [Uint8Array.of(1, 2, 3)]);
  expect(unpackEntries(cache)).toMatchObject({ good: [{}], damaged: [] });
  expect(openArtefact(artefact).content).toEqual(content);
  const files = [
    { bytes: cache, header: new JsonMutator(headerOf(cache)), read: unpackEntries },
    { bytes: artefact, header: new JsonMutator(headerOf(artefact)), read: openArtefact },
  ];
  const deep = `"kind":${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  const nested = withHeader(cache, headerOf(cache).replace('"kind":"cache"', deep));
  expect(outcomeOf(0, () => unpackEntries(nested))).toBe('not_an_artefact');
  const tally = new Tally();
  for (let seed = 0; seed < caseCount(6000, 600_000); seed++) {
    const random = new Random(seed);
    const { bytes, header, read } = random.pick(files);
    const mutated = random.boolean() ? mutateBytes(bytes, random) : withHeader(bytes, header.mutate(random));
    tally.add(outcomeOf(seed, () => read(mutated)));
  }
  expect(['corrupt_artefact', 'not_an_artefact', 'ok', 'truncated_artefact', 'unsupported_version']).toEqual(
    expect.arrayContaining(Object.keys(tally.counts)),
  );
});
