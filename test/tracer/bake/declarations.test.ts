/** The types that are written beside artefacts; `test/cli/bake.test.ts` has TypeScript check calls by them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { staticKey } from '../../../base/static-key.ts';
import type { ArtefactContent, FunctionRecord } from '../../../runtime/artefact/records.ts';
import { declarationsOf } from '../../../tracer/bake/declarations.ts';
import { typeOfKey } from '../../../tracer/bake/key-type.ts';

const content = (record: Partial<FunctionRecord>): ArtefactContent => ({
  kind: 'artefact',
  kiln: '0.0.0',
  functions: [
    {
      name: 'f',
      parameters: [],
      inputs: [],
      symbols: [],
      captures: [],
      results: [{ dtype: 'bool', shape: [] }],
      result: { kind: 'array' },
      precision: 'fast',
      programs: [],
      ...record,
    },
  ],
  programs: [],
  kernels: [],
});

/** The type of the function alone. */
const typeOf = (record: Partial<FunctionRecord>): string => {
  const text = declarationsOf(content(record), 'model.kiln');
  return text.slice(text.indexOf('{\n') + 2, text.indexOf('\n};')).replace(/^ {2}/gm, '');
};

const array = { kind: 'array' } as const;

describe('declarationsOf', () => {
  it('takes typed arrays for arrays of one axis, and gives arrays', () => {
    const inputs = [
      { dtype: 'int32', shape: ['B'] },
      { dtype: 'float16', shape: [2] },
      { dtype: 'uint8', shape: [2, 2] },
    ] as const;
    const parameters = [{ name: 'x', tree: array }, { tree: array }, { name: 'x', tree: array }];
    expect(typeOf({ inputs, parameters, symbols: [{ name: 'B', min: 2, max: 9 }] })).toBe(
      `/** B is any size from 2 to 9. */
readonly f: (
  x: DeviceArray<'int32'> | Int32Array | BigInt64Array /* [B] */,
  argument1: DeviceArray<'float16'> /* [2] */,
  argument2: DeviceArray<'uint8'> /* [2, 2] */,
) => DeviceArray<'bool'> /* [] */;`,
    );
  });

  it('names fixed values, and lets undefined ones out at the end', () => {
    const parameters = [
      { name: 'a', tree: { kind: 'static', key: 'U' } },
      { name: 'mode', tree: { kind: 'static', key: staticKey("it's") } },
      { name: 'b', tree: { kind: 'static', key: 'U' } },
    ] as const;
    expect(typeOf({ name: 'not a name', parameters })).toBe(
      `readonly "not a name": (a: undefined, mode: "it's", b?: undefined) => DeviceArray<'bool'> /* [] */;`,
    );
  });

  it('writes trees as they are', () => {
    const result = {
      kind: 'dict',
      keys: ['a-b', 'none'],
      children: [
        { kind: 'list', children: [array, { kind: 'list', children: [] }] },
        { kind: 'static', key: 'N' },
      ],
    } as const;
    expect(typeOf({ result })).toBe(`readonly f: () => { "a-b": [DeviceArray<'bool'> /* [] */, []]; none: null };`);
  });
});

describe('typeOfKey', () => {
  it('is the literal of every number, text, boolean and bigint', () => {
    const scalar = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0)),
      fc.string(),
      fc.boolean(),
      fc.constant(null),
    );
    fc.assert(
      fc.property(scalar, (value) => {
        expect(JSON.parse(typeOfKey(staticKey(value)))).toBe(value);
      }),
      { seed: 3, numRuns: 200 },
    );
    expect([12n, -3n, undefined, Number.NaN, -Infinity].map((value) => typeOfKey(staticKey(value)))).toEqual([
      '12n',
      '-3n',
      'undefined',
      'number',
      'number',
    ]);
  });

  it('goes into lists and objects', () => {
    const value = { list: [1, [], { 'a b': 'x,]}' }], empty: {}, n: -1.5e-7 };
    expect(typeOfKey(staticKey(value))).toBe(
      '{ readonly empty: Record<never, never>; readonly list: readonly [1, readonly [], { readonly "a b": "x,]}" }]; ' +
        'readonly n: -1.5e-7 }',
    );
  });
});
