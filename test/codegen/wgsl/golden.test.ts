/**
 * The WGSL of the main patterns, as text. `npx vitest run test/codegen/wgsl/golden -u` writes it anew; read the
 * difference before you keep it.
 */
import { describe, expect, it } from 'vitest';
import { generateKernel } from '../../../codegen/wgsl/kernel.ts';
import { GraphBuilder } from '../../../ir/builder.ts';
import type { Value } from '../../../ir/types.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import { coreWebgpuTier } from '../../../runtime/program.ts';
import { f32, layerNorm, moduleOf, softmax } from '../../support/models.ts';

function codeOf(build: (b: GraphBuilder) => Value, subgroups: boolean): string {
  const b = new GraphBuilder();
  const result = build(b);
  const lowered = lowerModule(moduleOf(b.build([result])), { name: 'test', donated: [], precision: 'fast' });
  const tier = { ...coreWebgpuTier, subgroups };
  return lowered.kernels.map((kernel) => generateKernel(kernel, { precision: 'fast', tier }).code).join('\n');
}

const patterns: Record<string, { build: (b: GraphBuilder) => Value; subgroups: boolean }> = {
  softmax: { build: (b) => softmax(b, b.parameter(f32(64, 1000))), subgroups: false },
  'layer-norm': {
    build: (b) => layerNorm(b, b.parameter(f32(4, 8, 768)), b.parameter(f32(768)), b.parameter(f32(768))),
    subgroups: true,
  },
  sum: {
    build: (b) => b.op('reduce', [b.parameter(f32(1000, 1000))], { kind: 'sum', axes: [0, 1] }),
    subgroups: true,
  },
};

describe('golden WGSL', () => {
  it.each(Object.keys(patterns))('%s', async (name) => {
    const { build, subgroups } = patterns[name];
    await expect(codeOf(build, subgroups)).toMatchFileSnapshot(`golden/${name}.wgsl`);
  });
});
