import binaryen from 'binaryen';
import { buildMap } from '/work/main/codegen/wasm/math/map.ts';
import { unaryMath, binaryMath } from '/work/main/codegen/wasm/math/index.ts';
import { unaryReferences, binaryReferences, ulpError } from '/work/main/bench/math-reference.ts';
const memory = new WebAssembly.Memory({ initial: 64 });
const N = 1 << 16;
const xb = new Uint32Array(memory.buffer, 0, N), xf = new Float32Array(memory.buffer, 0, N);
const yf = new Float32Array(memory.buffer, N * 4, N);
const rf = new Float32Array(memory.buffer, N * 8, N);
const stride = Number(process.argv[2] ?? 997);
const only = process.argv[3];
for (const name of Object.keys(unaryReferences) as any[]) {
  if (only && only !== name) continue;
  const f = (unaryMath as any)[name], ref = (unaryReferences as any)[name];
  const map = new WebAssembly.Instance(new WebAssembly.Module(buildMap(binaryen, f)), { env: { memory } }).exports.map as any;
  let worst = 0, at = 0, got = 0, count = 0, over2 = 0;
  for (let start = 0; start < 2 ** 32; start += N * stride) {
    for (let i = 0; i < N; i++) xb[i] = Math.min(start + i * stride, 2 ** 32 - 1);
    map(0, 0, N * 8, N * 4);
    for (let i = 0; i < N; i++) {
      const e = ulpError(rf[i], ref(xf[i])); count++;
      if (e > 2.5) over2++;
      if (e > worst) { worst = e; at = xf[i]; got = rf[i]; }
    }
  }
  console.log(name, worst, 'at', at, 'got', got, 'ref', ref(at), '>2.5:', over2, 'of', count);
}
const rnd = () => Math.random();
const special = [0, -0, 1, -1, 2, -2, .5, -.5, 3, -3, Infinity, -Infinity, NaN, 1e-45, -1e-45, 1e-38, -1e-38, 3.4028234663852886e38, -3.4028234663852886e38, 1.5, -2.5, 16777216, -16777217, 8388609, 1e10, 33554432];
const rb = new Uint32Array(1), rbf = new Float32Array(rb.buffer);
const anyf = () => { rb[0] = Math.floor(rnd() * 2 ** 32); return rbf[0]; };
for (const name of Object.keys(binaryReferences) as any[]) {
  if (only && only !== name) continue;
  const f = (binaryMath as any)[name], ref = (binaryReferences as any)[name];
  const map = new WebAssembly.Instance(new WebAssembly.Module(buildMap(binaryen, f)), { env: { memory } }).exports.map as any;
  let worst = 0, atx = 0, aty = 0, got = 0;
  for (let round = 0; round < 60; round++) {
    for (let i = 0; i < N; i++) {
      if (round === 0) { xf[i] = special[i % special.length]; yf[i] = special[Math.floor(i / special.length) % special.length]; }
      else if (round % 4 === 1) { xf[i] = anyf(); yf[i] = anyf(); }
      else if (round % 4 === 2) { xf[i] = 2 ** (rnd() * 250 - 125); yf[i] = (rnd() * 2 - 1) * 150 / Math.log2(xf[i]); }
      else if (round % 4 === 3) { xf[i] = rnd() * 4 - 2; yf[i] = rnd() * 4 - 2; }
      else { xf[i] = -rnd() * 10; yf[i] = Math.round(rnd() * 20 - 10); }
    }
    map(0, N * 4, N * 8, N * 4);
    for (let i = 0; i < N; i++) {
      const e = ulpError(rf[i], ref(xf[i], yf[i]));
      if (e > worst) { worst = e; atx = xf[i]; aty = yf[i]; got = rf[i]; }
    }
  }
  console.log(name, worst, 'at', atx, aty, 'got', got, 'ref', ref(atx, aty));
}
