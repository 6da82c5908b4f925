/**
 * Bakes `model.kiln` and records what its functions give, in `expected.json`:
 *
 *     node --import ./scripts/preload.mjs --import tsx test/artefacts/format-1/make.mts
 *
 * Only before the first release with this format: from then on the files stay as they are, and code that does not load
 * them is wrong. What a later minor version adds gets a folder of its own.
 */
import { writeFileSync } from 'node:fs';
import { compile, shutdown, type Tensor, tensor } from '../../../index.ts';
import { bakeArtefact } from '../../../tracer/bake/bake.ts';
import { labelsOf, numbers } from './inputs.ts';
import definition, { forward, newParams, step } from './model.ts';

const here = (name: string): URL => new URL(name, import.meta.url);
const mostBytes = 300_000;
const strict = { precision: 'strict' } as const;

const { bytes } = await bakeArtefact(definition, { targets: ['wasm', 'wasm-threads', 'webgpu'] });
if (bytes.length > mostBytes) throw new Error(`${bytes.length} bytes are too many to be kept for ever`);

const base64 = async (array: Tensor): Promise<string> => Buffer.from(await array.bytes()).toString('base64');

const cases = [];
for (const rows of [1, 7, 64]) {
  const x = tensor(numbers(rows * 8, 53), { shape: [rows, 8] });
  const logits = compile(forward, strict)(newParams(), x);
  const { loss, params } = compile(step, strict)(newParams(), x, tensor(labelsOf(rows)), 0.5);
  const { hidden, out } = params;
  cases.push({
    rows,
    logits: await base64(logits),
    loss: await base64(loss),
    params: await Promise.all([hidden.w, hidden.b, out.w, out.b].map(base64)),
  });
}
await shutdown();
writeFileSync(here('model.kiln'), bytes);
writeFileSync(here('expected.json'), `${JSON.stringify({ cases }, undefined, 2)}\n`);
console.log(`${bytes.length} bytes, ${cases.length} cases`);
