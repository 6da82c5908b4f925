/** Bakes: what they hold, that nothing but the declarations decides their bytes, and what they refuse. */
import { describe, expect, it } from 'vitest';
import {
  defineBake,
  dim,
  type KilnError,
  spec,
  specOf,
  type Tensor,
  tensor,
  tree,
  valueAndGrad,
} from '../../../index.ts';
import { preambleBytes, readHeader, readPreamble } from '../../../runtime/artefact/container.ts';
import { programOfRecord } from '../../../runtime/artefact/program-record.ts';
import type { ArtefactContent } from '../../../runtime/artefact/records.ts';
import { load } from '../../../runtime/index.ts';
import { validateProgram } from '../../../runtime/validate.ts';
import { bakeArtefact, failuresOf } from '../../../tracer/bake/bake.ts';
import { codeOf } from '../../support/errors.ts';

const params = {
  w: tensor([
    [1, 2],
    [3, 4],
  ]),
  b: tensor([0.5, -0.5]),
};
type Params = typeof params;
const scale = tensor(2);

const forward = (p: Params, x: Tensor): Tensor => x.mul(scale).matmul(p.w).add(p.b);
const step = (p: Params, x: Tensor, rate: number): { loss: Tensor; params: Params } => {
  const [loss, gradients] = valueAndGrad((q: Params) => forward(q, x).square().mean())(p);
  return { loss, params: tree.map((w: Tensor, g: Tensor) => w.sub(g.mul(rate)), p, gradients) };
};

const model = () =>
  defineBake(
    {
      forward: { fn: forward, args: [specOf(params), spec([dim('B', { max: 64 }), 2])] },
      step: { fn: step, args: [specOf(params), spec([4, 2]), 0.25], donate: ['p'] },
    },
    { weights: { params } },
  );

/** The header of an artefact, and its blobs. */
function opened(bytes: Uint8Array): { readonly content: ArtefactContent; readonly blobs: readonly Uint8Array[] } {
  const { headerBytes } = readPreamble(bytes);
  const { content, blobs, offsets } = readHeader(bytes.subarray(preambleBytes, preambleBytes + headerBytes));
  return {
    content: content as ArtefactContent,
    blobs: blobs.map((blob, i) => bytes.subarray(offsets[i], offsets[i] + blob.bytes)),
  };
}

describe('bakeArtefact', () => {
  it('writes functions, programs for each target, and weights that they share', async () => {
    const { bytes } = await bakeArtefact(model(), { targets: ['webgpu', 'wasm'], threads: 1 });
    const { content, blobs } = opened(bytes);
    const [first, second] = content.functions;
    expect([first.name, second.name]).toEqual(['forward', 'step']);
    expect(first.inputs.map(({ shape }) => shape)).toEqual([[2], [2, 2], ['B', 2]]);
    expect(first.symbols).toEqual([{ name: 'B', min: 1, max: 64 }]);
    expect(first.results).toEqual([{ dtype: 'float32', shape: ['B', 2] }]);
    expect(first.captures).toEqual(second.captures);
    expect(second.parameters[2]).toEqual({ name: 'rate', tree: { kind: 'static', key: 'n0.25' } });
    expect(content.weights?.tensors.map(({ name }) => name)).toEqual(['forward.0', 'params.b', 'params.w']);
    for (const { programs } of content.functions) {
      expect(programs.map(({ target }) => target)).toEqual(['wasm', 'webgpu']);
    }
    const kernels = new Map(content.kernels.map((kernel) => [kernel.hash, kernel]));
    for (const record of content.programs) {
      const program = programOfRecord(record, { kernel: (hash) => kernels.get(hash), blob: (at) => blobs[at] });
      expect(() => validateProgram(program)).not.toThrow();
    }
  });

  it('gives the same bytes whatever ends first', async () => {
    const alone = await bakeArtefact(model(), { threads: 1 });
    const together = await bakeArtefact(model(), { threads: 2 });
    expect(together.bytes).toEqual(alone.bytes);
  });

  it('tells of every entry that fails', async () => {
    const definition = defineBake({
      wrong: { fn: (x: Tensor) => x.matmul(x), args: [spec([2, 3])] },
      throwing: {
        fn: (_: Tensor): Tensor => {
          throw new TypeError('mine');
        },
        args: [spec([2])],
      },
      right: { fn: (x: Tensor) => x.add(1), args: [spec([2])] },
    });
    const error = await bakeArtefact(definition, { threads: 1 }).catch((caught: unknown) => caught);
    const failures = failuresOf(error) as KilnError[];
    expect(failures.map(({ code, summary }) => `${code} ${summary}`)).toEqual([
      'bake_failed wrong: [shape_mismatch] matmul: the sizes that are summed over differ',
      'bake_failed throwing: the function throws while it is traced',
    ]);
    for (const { location } of failures) expect(String(location)).toContain('bake.test.ts');
  });

  it('bakes functions that a loader calls as they were written', async () => {
    const definition = defineBake({
      captures: { fn: (x: Tensor) => x.mul(params.b), args: [spec([2])] },
      unchanged: { fn: (x: Tensor) => [x, params.b, x.reshape([1, 2])], args: [spec([2])] },
      nothing: { fn: () => params.b.add(1), args: [] },
      optional: { fn: (x: Tensor, by?: number) => x.add(by ?? 1), args: [spec([2]), undefined] },
    });
    const { bytes } = await bakeArtefact(definition, { threads: 1, targets: ['wasm'] });
    using artefact = await load<Record<string, (...args: readonly unknown[]) => unknown>, object>(bytes);
    const { captures, unchanged, nothing, optional } = artefact.functions;
    const x = Float32Array.of(1, 2);
    expect([captures(x), nothing(), optional(x), optional(x, undefined)].map(String)).toEqual([
      '[ 0.5 -1. ]',
      '[1.5 0.5]',
      '[2. 3.]',
      '[2. 3.]',
    ]);
    expect((unchanged(x) as readonly unknown[]).map(String)).toEqual(['[1. 2.]', '[ 0.5 -0.5]', '[[1. 2.]]']);
    expect([codeOf(() => optional()), codeOf(() => optional(x, 1))]).toEqual(['spec_mismatch', 'guard_failed']);
    expect(codeOf(() => optional(x, undefined, 1))).toBe('spec_mismatch');
  });
});
