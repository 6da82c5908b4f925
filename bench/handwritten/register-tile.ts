/**
 * The register tile of a matrix product by hand, on operands that lie packed in the first cache: what the machine does at
 * most with this engine, beside which compiled products are judged.
 *
 *     const tile = await registerTile({ rows: 4, vectors: 2, fused: false });
 *     tile.run(100);
 *     tile.result()[0];           // the sum of 256 products
 *     tile.flops;                 // of one of the 100 rounds: 2 * 16 * 8 * 256
 */
import { createMemory, instantiate } from '../instantiate.ts';

export interface TileShape {
  readonly rows: number;
  /** Vectors of four columns. */
  readonly vectors: number;
  /** Whether products are added by `relaxed_madd`. */
  readonly fused: boolean;
}

export interface RegisterTile {
  /** Operations of one round. */
  readonly flops: number;
  run(rounds: number): void;
  /** The sums of the last round, row by row. */
  result(): Float32Array;
}

const depth = 256;
/** Tiles that a round computes, over the same operands: a call should take longer than its overhead. */
const tilesPerRound = 16;
const [leftAt, rightAt, resultAt] = [1024, 1024 + 16 * 1024, 1024 + 48 * 1024];

/** The module as WebAssembly text: `run(rounds)`. */
export function tileText({ rows, vectors, fused }: TileShape): string {
  const places = Array.from({ length: rows * vectors }, (_, at) => at);
  const columns = Array.from({ length: vectors }, (_, v) => v);
  const product = (row: number, v: number): string => {
    const [sum, x, y] = [`(local.get $s${row * vectors + v})`, '(local.get $x)', `(local.get $y${v})`];
    return fused ? `(f32x4.relaxed_madd ${x} ${y} ${sum})` : `(f32x4.add ${sum} (f32x4.mul ${x} ${y}))`;
  };
  const step = Array.from({ length: rows }, (_, row) => [
    `(local.set $x (v128.load32_splat offset=${4 * row} (local.get $a)))`,
    ...columns.map((v) => `(local.set $s${row * vectors + v} ${product(row, v)})`),
  ]).flat();
  const advance = (name: string, by: number): string =>
    `(local.set $${name} (i32.add (local.get $${name}) (i32.const ${by})))`;
  return `(module
    (import "env" "memory" (memory 1))
    (func $tile (param $a i32) (param $b i32) (param $c i32)
      (local $k i32) (local $x v128) ${columns.map((v) => `(local $y${v} v128)`).join(' ')}
      ${places.map((at) => `(local $s${at} v128)`).join(' ')}
      (loop $steps
        ${columns.map((v) => `(local.set $y${v} (v128.load offset=${16 * v} (local.get $b)))`).join('\n')}
        ${step.join('\n')}
        ${advance('a', 4 * rows)} ${advance('b', 16 * vectors)} ${advance('k', 1)}
        (br_if $steps (i32.lt_s (local.get $k) (i32.const ${depth}))))
      ${places.map((at) => `(v128.store offset=${16 * at} (local.get $c) (local.get $s${at}))`).join('\n')})
    (func (export "run") (param $rounds i32)
      (loop $all
        (call $tile (i32.const ${leftAt}) (i32.const ${rightAt}) (i32.const ${resultAt}))
        (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
        (br_if $all (local.get $rounds)))))`;
}

/** The tile on a memory of its own, whose operands are all 1/16. */
export async function registerTile(shape: TileShape): Promise<RegisterTile> {
  const { default: binaryen } = await import('binaryen');
  const module = binaryen.parseText(tileText(shape));
  module.setFeatures(binaryen.Features.SIMD128 | (shape.fused ? binaryen.Features.RelaxedSIMD : 0));
  const memory = createMemory(2);
  const elements = new Float32Array(memory.buffer);
  elements.fill(1 / 16, leftAt / 4, resultAt / 4);
  const { run } = instantiate(module.emitBinary(), memory);
  module.dispose();
  const sums = 4 * shape.rows * shape.vectors;
  return {
    flops: 2 * tilesPerRound * sums * depth,
    run: (rounds) => run(tilesPerRound * rounds),
    result: () => elements.slice(resultAt / 4, resultAt / 4 + sums),
  };
}
