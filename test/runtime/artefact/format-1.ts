/** The artefact of format 1 that is committed, and what its functions gave when it was baked. */
import { readFileSync } from 'node:fs';
import type { DeviceArray } from '../../../runtime/array.ts';
import { type Artefact, tensor } from '../../../runtime/index.ts';
import { labelsOf, numbers } from '../../artefacts/format-1/inputs.ts';

const folder = new URL('../../artefacts/format-1/', import.meta.url);

interface Layer {
  readonly w: DeviceArray;
  readonly b: DeviceArray;
}

interface Params {
  readonly hidden: Layer;
  readonly out: Layer;
}

/** As `kiln bake` would have written it. */
export interface Functions {
  forward(params: Params, x: DeviceArray): DeviceArray;
  step(params: Params, x: DeviceArray, labels: DeviceArray, rate: number): { loss: DeviceArray; params: Params };
}

export interface Weights {
  readonly params: Params;
}

export const readArtefactFile = (): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL('model.kiln', folder)));

/** Bytes of float32, in base64. */
interface Case {
  readonly rows: number;
  readonly logits: string;
  readonly loss: string;
  readonly params: readonly string[];
}

export interface Outcome {
  readonly rows: number;
  readonly given: readonly Float32Array[];
  readonly expected: readonly Float32Array[];
}

const floatsOf = (base64: string): Float32Array =>
  new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer);

/** What all functions give, beside what they gave. */
export async function outcomesOf({ functions, weights }: Artefact<Functions, Weights>): Promise<Outcome[]> {
  const { cases } = JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8')) as { readonly cases: Case[] };
  const outcomes: Outcome[] = [];
  for (const { rows, logits, loss, params } of cases) {
    const x = tensor(numbers(rows * 8, 53), { shape: [rows, 8] });
    const y = functions.forward(weights.params, x);
    // A step takes its parameters over, so it gets a copy of those that came along.
    const own = await copyOf(weights.params);
    const after = functions.step(own, x, tensor(labelsOf(rows)), 0.5);
    const { hidden, out } = after.params;
    const results = [y, after.loss, hidden.w, hidden.b, out.w, out.b];
    outcomes.push({
      rows,
      given: await Promise.all(results.map(async (result) => (await result.data()) as Float32Array)),
      expected: [logits, loss, ...params].map(floatsOf),
    });
  }
  return outcomes;
}

async function copyOf({ hidden, out }: Params): Promise<Params> {
  const copy = async (array: DeviceArray): Promise<DeviceArray> =>
    tensor((await array.data()) as Float32Array, { shape: [...array.shape] });
  const layer = async ({ w, b }: Layer): Promise<Layer> => ({ w: await copy(w), b: await copy(b) });
  return { hidden: await layer(hidden), out: await layer(out) };
}
