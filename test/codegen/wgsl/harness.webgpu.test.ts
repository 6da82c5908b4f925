/** The harness for generated WGSL itself: what it runs, and what it must notice. */
import { describe, expect, it } from 'vitest';
import { wgslErrors } from '../../support/webgpu-device.ts';
import { type Launch, runLaunch } from '../../support/webgpu-kernel.ts';

const bytes = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
const floats = (data: Uint8Array): number[] => [...new Float32Array(data.slice().buffer)];

/** `y[i + shift] = x[i] + scratch` for `i < count`, the scratch memory written by a first entry point. */
const adding: Launch = {
  code: `
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    @group(0) @binding(2) var<storage, read_write> scratch: array<u32>;
    @group(0) @binding(3) var<uniform> sizes: array<vec4<i32>, 1>;
    @compute @workgroup_size(1)
    fn fill() { scratch[0] = bitcast<u32>(0.5); }
    @compute @workgroup_size(1)
    fn main(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) count: vec3u) {
      let i = id.x + id.y * count.x;
      if (i < u32(sizes[0].x)) { y[i + u32(sizes[0].y)] = x[i] + bitcast<f32>(scratch[0]); }
    }`,
  access: ['read', 'read_write'],
  sizes: [5, 0],
  dispatches: [
    { entryPoint: 'fill', workgroups: 1 },
    { entryPoint: 'main', workgroups: 5 },
  ],
  scratchBytes: 4,
  hasScratch: true,
};
const data = [bytes(1, 2, 3, 4, 5), bytes(0, 0, 0, 0, 0)];

describe('a launch', () => {
  it.each([1, 2, 3])('runs its entry points in order, with workgroups in %i rows', async (rows) => {
    const [x, y] = await runLaunch(adding, data, rows);
    expect(floats(x)).toEqual([1, 2, 3, 4, 5]);
    expect(floats(y)).toEqual([1.5, 2.5, 3.5, 4.5, 5.5]);
  });

  it('may write the padding of a binding', async () => {
    const [, y] = await runLaunch({ ...adding, sizes: [5, 3] }, data);
    expect(floats(y)).toEqual([0, 0, 0, 1.5, 2.5]);
  });

  it('is found out when it writes behind a binding', async () => {
    await expect(runLaunch({ ...adding, sizes: [5, 4] }, data)).rejects.toThrow(
      'binding 1 of 32 bytes was written at byte 32',
    );
  });

  it('is found out when it writes before a binding', async () => {
    await expect(runLaunch({ ...adding, sizes: [1, -1] }, data)).rejects.toThrow('was written at byte -4');
  });

  it('fails with the message of the compiler and the code', async () => {
    const broken = { ...adding, code: adding.code.replace('x[i] +', 'z[i] +') };
    await expect(runLaunch(broken, data)).rejects.toThrow(/unresolved value 'z'[\s\S]*@compute/);
  });

  it('fails when it binds otherwise than it says', async () => {
    await expect(runLaunch({ ...adding, access: ['read', 'read'] }, data)).rejects.toThrow(/storage/i);
  });
});

describe('validation without a device', () => {
  it('knows features that the adapter may lack', async () => {
    const code = 'enable f16; @group(0) @binding(0) var<storage, read_write> y: array<f16>;';
    expect(await wgslErrors(`${code} @compute @workgroup_size(1) fn main() { y[0] = 1h; }`)).toEqual([]);
    expect(await wgslErrors(`${code}\n@compute @workgroup_size(1) fn main() { y[0] = 1.5f; }`)).toEqual([
      expect.stringMatching(/^2:\d+ .*f32/),
    ]);
  });
});
