/** Schedules that a bake measures: they travel with the artefact, and with them every machine bakes the same bytes. */
import { expect, it } from 'vitest';
import { defineBake, spec, type Tensor } from '../../../index.ts';
import { bakeArtefact } from '../../../tracer/bake/bake.ts';

it('measures once, and bakes the same from what was measured', async () => {
  const side = spec([72, 72]);
  const definition = defineBake({
    product: { fn: (a: Tensor, b: Tensor) => a.matmul(b), args: [side, side], autotune: { budgetMs: 800 } },
  });
  const bake = (options: object) => bakeArtefact(definition, { targets: ['wasm', 'webgpu'], threads: 1, ...options });
  const first = await bake({});
  const { schedules } = first.report.content;
  expect(schedules).toHaveLength(1);
  const again = await bake({ schedules, measures: false });
  expect(again.bytes).toEqual(first.bytes);
  const unmeasured = await bake({ measures: false });
  expect(unmeasured.report.content.schedules).toBeUndefined();
  const unknown = ['0'.repeat(64), '4x8x256x64x512'] as const;
  const others = await bake({ schedules: [...schedules!, unknown] });
  expect(others.bytes).toEqual(first.bytes);
});
