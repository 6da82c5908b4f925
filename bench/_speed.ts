import binaryen from 'binaryen';
import { buildMap } from '/work/main/codegen/wasm/math/map.ts';
import { vectorMath } from '/work/main/codegen/wasm/math/index.ts';
const memory = new WebAssembly.Memory({ initial: 1024 });
const n = 1 << 20;
const x = new Float32Array(memory.buffer, 0, n), y = new Float32Array(memory.buffer, n * 4, n);
for (let i = 0; i < n; i++) { x[i] = Math.abs(Math.sin(i * 12.9898) * 10) + .01; y[i] = Math.sin(i * 7.23) * 3; }
for (const [name, f] of [['copy', (e: any, x: any) => x], ...Object.entries(vectorMath)] as any) {
  if (process.argv[2] && name !== process.argv[2]) continue;
  const line: any = {};
  for (const unroll of [1, 2]) {
    const bytes = buildMap(binaryen, f, { unroll });
    const map = (new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } }).exports as any).map;
    let best = 1e9;
    for (let round = 0; round < 40; round++) {
      const t0 = performance.now();
      for (let b = 0; b < n * 4; b += 1 << 16) map(b, n * 4 + b, n * 8 + b, 1 << 16);
      best = Math.min(best, performance.now() - t0);
    }
    line[unroll] = (best * 1e6 / n).toFixed(2); line.bytes = bytes.length;
  }
  console.log(name.padEnd(24), JSON.stringify(line));
}
