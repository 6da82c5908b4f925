/**
 * Sums of products of 8-bit integers, four steps at a time: where both factors are contiguous along the sum, four
 * neighbours are a word, and the products of two words are one instruction of the language feature
 * `packed_4x8_integer_dot_product`. Steps of tiles are such words.
 *
 *     sum += left[i][k] * right[k][j] for four k        →        sum += dot4I8Packed(left_word, right_word)
 */
import type { Let } from '../../../ir/kernel.ts';
import { axesOfIndex } from '../../common/linear-index.ts';
import type { Factor, Sum } from '../../common/products.ts';
import { operandsOf } from '../../common/walk.ts';
import { laneMotion } from '../lanes.ts';
import type { ScheduleContext } from '../schedule.ts';
import type { Shader } from '../shader.ts';
import { isDivisible } from './coordinates.ts';
import type { ElementFunction } from './factor.ts';

export type Quads = 'I8' | 'U8';

/** How a sum is computed four steps at a time, if it can be. */
export function quadsOf({ left, right, reduced, dtype }: Sum, { options, kernel }: ScheduleContext): Quads | undefined {
  const { name, extent } = reduced[reduced.length - 1];
  if (!options.tier.integerDot || dtype !== 'int32' || !isDivisible(extent, 4)) return undefined;
  const storedIn = (factor: Factor): string | undefined => {
    const memory = wordsOf(factor, name);
    return kernel.buffers.find((buffer) => buffer.name === memory)?.dtype;
  };
  const [a, b] = [storedIn(left), storedIn(right)];
  if (a !== b) return undefined;
  return a === 'int8' ? 'I8' : a === 'uint8' ? 'U8' : undefined;
}

/** The memory whose elements, converted, a factor is, if four steps of it are a word there. */
function wordsOf({ value, lets }: Factor, axis: string): string | undefined {
  const definitions = new Map(lets.map((node) => [node.id, node]));
  const expression = definitions.get(value)?.expression;
  if (expression?.kind !== 'apply' || expression.opcode !== 'convert') return undefined;
  const load = definitions.get(expression.operands[0]);
  if (load?.expression.kind !== 'load' || laneMotion(load.expression.index, axis) !== 'vector') return undefined;
  const others = operandsOf(load.expression).map((id) => definitions.get(id));
  const isSteady = (node: Let | undefined): boolean => {
    if (!node) return false;
    const own = node.expression;
    const isIndexed = own.kind === 'load' || own.kind === 'index';
    if (isIndexed && axesOfIndex(own.index).has(axis)) return false;
    return operandsOf(own).every((id) => isSteady(definitions.get(id)));
  };
  return others.every(isSteady) ? load.expression.memory : undefined;
}

/** The function that gives the words of four rows or columns at a step, from the one for a row or column. Its name. */
export function writeQuadFunction(
  shader: Shader,
  { name, parameters, depth }: ElementFunction,
  batches: number,
  quads: Quads,
): string {
  const list = [
    ...parameters.map((parameter, i) => `${parameter}: ${i < batches ? 'i32' : 'vec4<i32>'}`),
    `${depth}: i32`,
  ];
  const packed = (four: string): string => (quads === 'I8' ? `pack4xI8(${four})` : `pack4xU8(vec4<u32>(${four}))`);
  const words = [0, 1, 2, 3].map((lane) => {
    const places = parameters.map((parameter, i) => (i < batches ? parameter : `${parameter}[${lane}]`));
    return `    ${packed(`${name}(${[...places, `${depth} * 4`].join(', ')})`)},`;
  });
  const own = `${name}_words`;
  shader.addFunction(`fn ${own}(${list.join(', ')}) -> vec4<u32> {\n  return vec4<u32>(\n${words.join('\n')}\n  );\n}`);
  return own;
}

/** The products of a word of the left factor and four of the right one, added up, as text. */
export function quadProducts(shader: Shader, quads: Quads, left: string, right: string): string {
  const dots = ['x', 'y', 'z', 'w'].map((lane) => {
    const dot = `dot4${quads}Packed(left, right.${lane})`;
    return quads === 'I8' ? dot : `i32(${dot})`;
  });
  const name = `dots_${quads.toLowerCase()}`;
  shader.helper(
    name,
    `fn ${name}(left: u32, right: vec4<u32>) -> vec4<i32> {\n  return vec4<i32>(${dots.join(', ')});\n}`,
  );
  return `${name}(${left}, ${right})`;
}
