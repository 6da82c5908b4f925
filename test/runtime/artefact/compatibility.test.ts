/**
 * The contract of docs/artefact-format.md: artefacts of format 1 load in this release, whatever a later minor version
 * has added to them, and those of another major version say what to do.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { init, shutdown } from '../../../index.ts';
import { formatVersion } from '../../../runtime/artefact/container.ts';
import { type Upgrade, upgradeProgram } from '../../../runtime/artefact/upgrade.ts';
import { load } from '../../../runtime/index.ts';
import { programVersion } from '../../../runtime/program.ts';
import { errorOf, rejectionOf } from '../../support/errors.ts';
import { type Functions, outcomesOf, readArtefactFile, type Weights } from './format-1.ts';
import { headerOf, withHeader } from './mutations.ts';

const bytes = readArtefactFile();

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
type Content = Record<string, Record<string, unknown>[]>;

/** Another header with the right hash. */
const changed = (change: (content: Content) => void, source: Uint8Array = bytes): Uint8Array => {
  const header = JSON.parse(headerOf(source)) as { readonly content: Content };
  change(header.content);
  return withHeader(source, JSON.stringify(header));
};

const ofVersion = (major: number, minor: number, source: Uint8Array = bytes): Uint8Array => {
  const copy = source.slice();
  new DataView(copy.buffer).setUint16(8, major, true);
  new DataView(copy.buffer).setUint16(10, minor, true);
  return copy;
};

async function expectSameBits(source: Uint8Array): Promise<string> {
  using model = await load<Functions, Weights>(source, { device: 'wasm' });
  const outcomes = await outcomesOf(model);
  expect(outcomes.map(({ rows }) => rows)).toEqual([1, 7, 64]);
  for (const { rows, given, expected } of outcomes) expect(given, `${rows} rows`).toEqual(expected);
  return model.target;
}

describe.each([
  [1, 'wasm'],
  [2, 'wasm-threads'],
] as const)('the artefact of format 1, on %i threads', (threads, target) => {
  beforeAll(async () => {
    await shutdown();
    await init({ device: 'wasm', threads });
  });
  afterAll(() => shutdown());

  it('gives the bits that it gave when it was baked', async () => {
    expect(await expectSameBits(bytes)).toBe(target);
  });

  it('loads with what a later minor version has added', async () => {
    const withMore = (value: Json): Json => {
      if (Array.isArray(value)) return value.map(withMore);
      if (typeof value !== 'object' || value === null) return value;
      const fields = Object.entries(value).map(([name, field]) => [name, withMore(field as Json)]);
      return { ...Object.fromEntries(fields), addedLater: { list: [1, null, 'text'] } };
    };
    const header = withMore(JSON.parse(headerOf(bytes)) as Json);
    const later = changed(
      (content) => {
        const [{ ...program }] = content.programs;
        const at = content.programs.push({ ...program, tier: { target: 'npu', cores: 8 } }) - 1;
        for (const one of content.functions) {
          (one.programs as unknown[]).unshift({ target: 'npu', program: at });
        }
      },
      withHeader(bytes, JSON.stringify(header)),
    );
    expect(await expectSameBits(ofVersion(formatVersion.major, formatVersion.minor + 7, later))).toBe(target);
  });
});

describe('an artefact of another version', () => {
  it.each([
    [2, 'update kilnjs where it is loaded'],
    [65_535, 'update kilnjs where it is loaded'],
    [0, 'bake it again with this version'],
  ])('of the format, %i, is refused with what to do', async (major, hint) => {
    expect(await rejectionOf(() => load(ofVersion(major, 3)))).toMatchObject({
      code: 'unsupported_version',
      given: `format ${major}.3`,
      expected: 'format 1',
      hint,
    });
  });

  it.each([
    [programVersion + 1, 'update kilnjs where it is loaded'],
    [3, 'bake it again with this version'],
    [3.5, 'bake it again with this version'],
    ['4', 'bake it again with this version'],
  ])('of programs, %s, is refused with what to do', async (version, hint) => {
    const other = changed(({ programs }) => {
      for (const program of programs) program.version = version;
    });
    expect(await rejectionOf(() => load(other, { device: 'wasm' }))).toMatchObject({
      code: 'unsupported_version',
      hint,
    });
  });
});

describe('upgradeProgram', () => {
  const table = new Map<unknown, Upgrade>([
    [4, (program) => ({ ...program, steps: 'new' })],
    [5, (program) => ({ ...program, more: true })],
  ]);

  it('goes from version to version', () => {
    expect(upgradeProgram({ version: 4, steps: 'old' }, table, 6)).toEqual({ version: 6, steps: 'new', more: true });
    expect(upgradeProgram({ version: 5, steps: 'old' }, table, 6)).toEqual({ version: 6, steps: 'old', more: true });
    const newest = { version: 6 };
    expect(upgradeProgram(newest, table, 6)).toBe(newest);
  });

  it('has a way from every version that format 1 has known', () => {
    for (let version = 4; version < programVersion; version++) {
      expect(() => upgradeProgram({ version }), `version ${version}`).not.toThrow(/unsupported_version/);
    }
    expect(upgradeProgram({ version: programVersion })).toEqual({ version: programVersion });
  });

  it.each([3, 7, 4.5, -1e300, Number.NaN, '4', null, undefined, {}])('knows no way from %s', (version) => {
    expect(errorOf(() => upgradeProgram({ version }, table, 6)).code).toBe('unsupported_version');
  });
});
