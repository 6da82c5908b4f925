/**
 * A graph in numbers, as outlining reads it: values and ops by index, and for each op a token that says what it
 * computes but not on which values. Equal tokens are a first guess at equal blocks; the edges are compared afterwards.
 *
 *     %2 = add %0, %1      token of `add` on two f32[8,4]
 *     %3 = tanh %2         token of `tanh` on f32[8,4]
 *
 * Two kinds of op belong to no block: what is computed from constants alone (`closed`), which every block may have a
 * copy of, and what is computed from scalar parameters alone (`scalar`), such as the rate of an optimiser.
 */
import { isStaticShape } from '../../base/dim.ts';
import { byteSize } from '../../base/dtype.ts';
import { attributesKey } from '../../ir/canonical.ts';
import { traitsOf } from '../../ir/ops/index.ts';
import type { Graph, Op, TensorType } from '../../ir/types.ts';
import { estimateCount, isFree } from '../fuse/graph-uses.ts';

/** Ops behind a closed value above which it is computed once and handed to the blocks. */
const mostClosedOps = 32;
/** Arrays beyond this many elements are the same only if they are the same object. */
const mostCompared = 256;

/** Ops that are copied rather than handed over: they cost little and read no more than they give. */
export const isCheap = (op: Op): boolean =>
  op.results.length === 1 &&
  op.opcode !== 'optimization_barrier' &&
  (isFree(op) || (traitsOf(op.opcode).elementwise ?? false));

export class IndexedGraph {
  readonly graph: Graph;
  /**
   * For each op, the values it reads; for each value, the op that makes it (-1: a parameter) and those that read it.
   */
  readonly operands: readonly (readonly number[])[];
  readonly producers: readonly number[];
  readonly users: readonly (readonly number[])[];
  /** The first result of each op; the others follow. Parameters come first among the values. */
  readonly firstResult: readonly number[];
  readonly results: readonly number[];
  readonly kinds: readonly ('plain' | 'closed' | 'scalar')[];
  readonly tokens: Int32Array;
  readonly bytes: Float64Array;

  constructor(graph: Graph) {
    this.graph = graph;
    const ids = new Map(graph.parameters.map((value, at) => [value, at] as const));
    const producers: number[] = graph.parameters.map(() => -1);
    const users: number[][] = graph.parameters.map(() => []);
    const types = graph.parameters.map(({ type }) => type);
    const operands: number[][] = [];
    const firstResult: number[] = [];
    graph.ops.forEach((op, at) => {
      const read = op.operands.map((value) => ids.get(value) ?? -1);
      operands.push(read);
      for (const value of read) users[value].push(at);
      firstResult.push(producers.length);
      for (const result of op.results) {
        ids.set(result, producers.length);
        producers.push(at);
        users.push([]);
        types.push(result.type);
      }
    });
    this.operands = operands;
    this.producers = producers;
    this.users = users;
    this.firstResult = firstResult;
    this.results = graph.results.map((value) => ids.get(value) ?? -1);
    this.bytes = Float64Array.from(types, bytesOf);
    const { kinds, tokens } = classify(graph, operands, producers, types);
    this.kinds = kinds;
    this.tokens = tokens;
  }

  isClosed(value: number): boolean {
    const producer = this.producers[value];
    return producer >= 0 && this.kinds[producer] === 'closed';
  }

  /** Values that an op makes. */
  resultsOf(op: number): number[] {
    return this.graph.ops[op].results.map((_, at) => this.firstResult[op] + at);
  }
}

const bytesOf = ({ dtype, shape }: TensorType): number => estimateCount(shape) * byteSize(dtype);

/** Numbers that are interned, at most. */
const mostInterned = 2 ** 26;

/** Gives equal texts equal numbers, and pairs of numbers further ones. */
class Interner {
  readonly #numbers = new Map<unknown, number>();
  readonly #pairs = new Map<number, number>();
  #count = 0;

  of(text: unknown): number {
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.#count++;
      this.#numbers.set(text, number);
    }
    return number;
  }

  ofPair(first: number, second: number): number {
    const pair = first * mostInterned + second;
    let number = this.#pairs.get(pair);
    if (number === undefined) {
      number = this.#count++;
      this.#pairs.set(pair, number);
    }
    return number;
  }
}

function classify(
  graph: Graph,
  operands: readonly (readonly number[])[],
  producers: readonly number[],
  types: readonly TensorType[],
): Pick<IndexedGraph, 'kinds' | 'tokens'> {
  const keys = new Interner();
  const objects = new Interner();
  const typeNumbers = new Map<TensorType, number>();
  const typeOf = (value: number): number => {
    const type = types[value];
    let number = typeNumbers.get(type);
    if (number === undefined) {
      number = keys.of(`${type.dtype}[${type.shape.join()}]`);
      typeNumbers.set(type, number);
    }
    return number;
  };
  const kinds: ('plain' | 'closed' | 'scalar')[] = [];
  const tokens = new Int32Array(graph.ops.length);
  const closedOps = new Int32Array(graph.ops.length);
  const kindOf = (value: number): 'plain' | 'closed' | 'scalar' => {
    if (producers[value] >= 0) return kinds[producers[value]];
    return isScalar(types[value]) ? 'scalar' : 'plain';
  };
  graph.ops.forEach((op, at) => {
    const read = operands[at];
    // A text for the operands, too, would take longer than all else here.
    let token = keys.of(op.opcode + attributesText(op, objects));
    for (const value of read)
      token = keys.ofPair(token, kindOf(value) === 'closed' ? 2 * tokens[producers[value]] + 1 : 2 * typeOf(value));
    tokens[at] = token;
    kinds.push(op.regions.length === 0 && isCheap(op) ? cheapKind(read.map(kindOf)) : 'plain');
    if (kinds[at] !== 'closed') return;
    closedOps[at] = 1 + read.reduce((count, value) => count + closedOps[producers[value]], 0);
    if (closedOps[at] > mostClosedOps) kinds[at] = 'plain';
  });
  return { kinds, tokens };
}

const isScalar = ({ shape }: TensorType): boolean => isStaticShape(shape) && shape.every((size) => size === 1);

function cheapKind(operands: readonly ('plain' | 'closed' | 'scalar')[]): 'plain' | 'closed' | 'scalar' {
  if (operands.includes('plain')) return 'plain';
  return operands.includes('scalar') ? 'scalar' : 'closed';
}

/** Attributes as text; ops with regions and large arrays are equal to nothing but themselves. */
function attributesText(op: Op, objects: Interner): string {
  if (op.regions.length > 0) return `#${objects.of(op)}`;
  if (op.opcode === 'constant' && op.attributes.value.data.length > mostCompared) {
    const { dtype, shape, data } = op.attributes.value;
    return `${dtype}[${shape.join()}]#${objects.of(data)}`;
  }
  return attributesKey(op.opcode, op.attributes);
}
