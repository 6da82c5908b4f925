/**
 * The same recorded cases through the whole pipeline: each operation eager, and compiled together with its gradient.
 * The reference evaluator, rounding after every op, says what to expect; a few units in the last place are left to
 * polynomials and to the order of sums. A sample of the cases by default, all of them with KILN_TEST=full.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { compile, shutdown, type Tensor, tensor, valueAndGrad } from '../../index.ts';
import { elementCount, literal } from '../../ir/literal.ts';
import type { Literal } from '../../ir/types.ts';
import { difference, type Tolerance } from '../support/close.ts';
import { evaluateAll, gradients } from '../support/oracle.ts';
import { asFunction, casesByOperation, caseText, decodeArray, type RecordedCase } from '../support/recorded.ts';
import { isFullRun } from '../support/runs.ts';

const tolerance: Tolerance = { relative: 2e-5, absolute: 2e-5 };

afterAll(() => shutdown());

/** Inputs as single precision holds them. */
const inputsOf = (entry: RecordedCase): Literal[] =>
  entry.inputs.map(decodeArray).map((x) => (x.dtype === 'float32' ? { ...x, data: Float32Array.from(x.data) } : x));

const upload = (x: Literal): Tensor => {
  const count = elementCount(x.shape);
  const data = Array.from({ length: count }, (_, i) => x.data[x.data.length === 1 ? 0 : i]);
  return tensor(data, { shape: x.shape, dtype: x.dtype });
};

const download = async (x: Tensor): Promise<Literal> => {
  const data = Float64Array.from(await x.data(), Number);
  return literal(x.dtype, x.shape, data.length === 0 ? [0] : data);
};

async function differences(
  entry: RecordedCase,
  given: readonly Tensor[],
  expected: readonly Literal[],
): Promise<string[]> {
  const wrong: string[] = [];
  for (let i = 0; i < expected.length; i++) {
    const what = difference(await download(given[i]), expected[i], tolerance);
    if (what) wrong.push(`${caseText(entry)}, result ${i}: ${what}`);
  }
  return wrong;
}

const sampled = <T>(list: readonly T[], count: number): readonly T[] => (isFullRun ? list : list.slice(0, count));

describe.each([...casesByOperation()])('%s', (_, cases) => {
  test('eager', async () => {
    const wrong: string[] = [];
    for (const entry of sampled(cases, 1)) {
      const inputs = inputsOf(entry);
      const given = [asFunction(entry)(...inputs.map(upload))].flat();
      wrong.push(...(await differences(entry, given, evaluateAll(asFunction(entry), inputs, 'rounded'))));
    }
    expect(wrong).toEqual([]);
  });

  const differentiated = cases.filter((entry) => entry.gradients);
  if (differentiated.length === 0) return; // Not differentiable, or recorded for its values alone.
  test('compiled, with its gradient', async () => {
    const wrong: string[] = [];
    for (const entry of sampled(differentiated, 1)) {
      const inputs = inputsOf(entry);
      const fn = asFunction(entry);
      const argnums = inputs.map((_, i) => i).filter((i) => inputs[i].dtype === 'float32');
      const loss = (...xs: Tensor[]): Tensor => [fn(...xs)].flat()[0].sum();
      const step = compile((...xs: Tensor[]) => valueAndGrad(loss, { argnums })(...xs), { name: entry.op });
      const [total, slopes] = step(...inputs.map(upload));
      const expected = evaluateAll((...xs) => loss(...xs), inputs, 'rounded');
      wrong.push(...(await differences(entry, [total], expected)));
      wrong.push(...(await differences(entry, slopes as readonly Tensor[], gradients(fn, inputs))));
    }
    expect(wrong).toEqual([]);
  });
});
