import binaryen from 'binaryen';
import { generateKernel } from '../codegen/wasm/kernel.ts';
import { Plan } from '../codegen/wasm/plan.ts';
import { handwrittenChain } from './handwritten/chain.ts';
import { vectorMath } from '../codegen/wasm/math/index.ts';
const n = 1 << 22;
const let_ = (id: number, expression: any) => ({ kind: 'let', id, dtype: 'float32', expression });
const ap = (opcode: string, ...operands: number[]) => ({ kind: 'apply', opcode, operands });
const index = { offset: 0, terms: [{ coefficient: 1, factor: { kind: 'axis', axis: 'i' } }] };
const c = (value: number) => ({ kind: 'constant', value });
const kernel: any = { name: 'chain', independent: false, scratch: [], buffers: [
  { name: 'x', dtype: 'float32', access: 'read', size: n }, { name: 'y', dtype: 'float32', access: 'write', size: n }],
  body: [{ kind: 'loop', mode: 'parallel', axis: { name: 'i', extent: n }, body: [
    let_(0, { kind: 'load', memory: 'x', index }), let_(1, c(2)), let_(2, c(1)), let_(3, c(0)),
    let_(4, ap('multiply', 0, 1)), let_(5, ap('add', 4, 2)), let_(6, ap('tanh', 5)), let_(7, ap('multiply', 6, 0)), let_(8, ap('maximum', 7, 3)),
    { kind: 'store', memory: 'y', index, value: 8, combine: 'assign' }] }] };
const W = (globalThis as any).WebAssembly;
const memory = new W.Memory({ initial: 1024, maximum: 1024 });
const d = new Float32Array(memory.buffer, 1024, n); for (let i = 0; i < n; i++) d[i] = Math.sin(i * 12.9898) * 4;
const hand = await handwrittenChain(d.slice());
const runs: any = { hand: () => hand.run() };
new Int32Array(memory.buffer, 0, 4).set([1024, 1024 + n * 4 + 2112, 0, 0]);
for (const copies of [1, 2, 3, 4, 6, 8]) {
  Plan.prototype.copies = () => copies;
  const g = generateKernel(binaryen, kernel, { precision: 'strict' });
  if (copies === 2) console.log('tiles', g.tiles, g.sizes, g.text().length);
  const { run } = new W.Instance(new W.Module(g.code), { kiln: { memory } }).exports;
  const tiles = Number(g.tiles);
  runs['compiled ' + copies] = () => { const step = Math.max(1, tiles >> 6); for (let t = 0; t < tiles; t += step) run(0, t, Math.min(tiles, t + step)); };
}
const best: any = {}; const all: any = {};
for (let r = 0; r < 60; r++) for (const k in runs) { const t = performance.now(); runs[k](); const e = performance.now() - t; (all[k] ??= []).push(e); best[k] = Math.min(best[k] ?? 1e9, e); }
for (const k in all) { all[k].sort((a: number, b: number) => a - b); console.log(k, best[k].toFixed(2), all[k][30].toFixed(2)); }
