/**
 * The smallest modules that once showed a fault, in every way of running them: op by op, compiled without fusion and
 * with it, with inputs given up, and by the reference evaluator. Each `.ir` beside this file is one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { symbolsOf } from '../../base/dim.ts';
import { Random } from '../../ir/ops/random.ts';
import { parseModule } from '../../ir/parser.ts';
import { mainOf } from '../../ir/types.ts';
import { faultInAnyWay } from '../support/every-way.ts';

const folder = new URL('regressions/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.ir'));

test.each(files)('%s', async (file) => {
  const module = parseModule(readFileSync(new URL(file, folder), 'utf8'));
  const { parameters } = mainOf(module).graph;
  const isSymbolic = parameters.some(({ type }) => symbolsOf(...type.shape).length > 0);
  for (const size of isSymbolic ? [1, 3, 8, 64] : [1]) {
    const random = new Random(size, { special: false });
    const inputs = parameters.map(({ type: { dtype, shape } }) =>
      random.literal(
        dtype,
        shape.map((d) => (typeof d === 'number' ? d : size)),
      ),
    );
    expect(await faultInAnyWay(module, inputs), `size ${size}`).toBeUndefined();
  }
});
