/**
 * Attention as row kernels, the way lowering makes them: forward, and backward by rows (queries) and by columns (keys).
 * Heads of `q` and of the outputs lie one after the other (`[heads, T, d]`) or in between (`[T, heads, d]`).
 *
 *     attentionForward({ heads: 8, queries: 128, keys: 128, depth: 64, values: 64 })
 */
import { type Dim, floorDivDims, mulDims } from '../../base/dim.ts';
import type { IndexExpression, Kernel, ScalarId, ScalarOpcode } from '../../ir/kernel.ts';
import { at, floordiv, KernelMaker, read, write } from './kernel-maker.ts';

export interface AttentionShape {
  readonly heads: Dim;
  readonly queries: Dim;
  readonly keys: Dim;
  /** Elements of a query and of a key. */
  readonly depth: Dim;
  /** Elements of a value. */
  readonly values: Dim;
  /** Heads that share keys and values. */
  readonly sharing?: number;
  readonly causal?: boolean;
  readonly bias?: boolean;
  readonly interleaved?: boolean;
  /** One scratch array for scores, exponentials and probabilities. */
  readonly inPlace?: boolean;
  /** The score of a position that the mask hides. */
  readonly hidden?: number;
  /** What stands for the exponential, so that the interpreter computes the same bits. */
  readonly exponential?: (k: KernelMaker, x: ScalarId) => ScalarId;
  /** The probabilities are divided where they are used, in the last contraction. */
  readonly dividesLate?: boolean;
}

/** A stand-in for the exponential that rounds the same everywhere. */
export const square = (k: KernelMaker, x: ScalarId): ScalarId => k.apply('multiply', x, x);

/** Another one, which is zero for hidden positions as the exponential is. */
export const clipped = (k: KernelMaker, x: ScalarId): ScalarId =>
  k.apply('maximum', k.apply('add', x, k.constant(2)), k.constant(0));

const exponential = (k: KernelMaker, x: ScalarId): ScalarId => k.apply('exponential', x);

/** The index of element `x` of position `t` of head `h`. */
type Place = (head: string, position: string, element: string) => IndexExpression;

function placesOf(shape: AttentionShape): { query: Place; key: Place; value: Place; output: Place; sharedHeads: Dim } {
  const { heads, queries, keys, depth, values, sharing = 1, interleaved } = shape;
  const sharedHeads = sharing === 1 ? heads : floorDivDims(heads, sharing);
  const dense =
    (positions: Dim, elements: Dim, shared: boolean): Place =>
    (head, position, element) =>
      at(
        [mulDims(positions, elements), shared && sharing > 1 ? floordiv(at(head), sharing) : head],
        [elements, position],
        element,
      );
  const between =
    (elements: Dim): Place =>
    (head, position, element) =>
      at([mulDims(heads, elements), position], [elements, head], element);
  return {
    query: interleaved ? between(depth) : dense(queries, depth, false),
    key: dense(keys, depth, true),
    value: dense(keys, values, true),
    output: interleaved ? between(values) : dense(queries, values, false),
    sharedHeads,
  };
}

const product = (...dims: readonly Dim[]): Dim => dims.reduce<Dim>((all, d) => mulDims(all, d), 1);

/** Sum of products in blocks. */
function dot(k: KernelMaker, axis: string, extent: Dim, left: () => ScalarId, right: () => ScalarId): ScalarId {
  const factors = (): readonly ScalarId[] => [k.apply('multiply', left(), right())];
  return k.reduce([{ name: axis, extent }], ['sum'], factors, { order: 'blocks' })[0];
}

/** The score after scale, bias and mask. */
function masked(k: KernelMaker, shape: AttentionShape, sum: ScalarId): ScalarId {
  const { queries, keys, bias, causal, hidden = -3 } = shape;
  let score = k.apply('multiply', sum, k.constant(0.125));
  if (bias) score = k.apply('add', score, k.load('bias', at([product(queries, keys), 'h'], [keys, 'i'], 'j')));
  if (!causal) return score;
  const visible = k.compare('LE', k.index(at('j')), k.index(at('i')));
  return k.apply('select', visible, score, k.constant(hidden));
}

export function attentionForward(shape: AttentionShape): Kernel {
  const { heads, queries, keys, depth, values, bias, inPlace, dividesLate } = shape;
  const { query, key, value, output, sharedHeads } = placesOf(shape);
  const exp = shape.exponential ?? exponential;
  const scratch = ['s0', 's1', 's2'].slice(0, inPlace ? 1 : 3);
  const k = new KernelMaker(
    'attention',
    [
      read('q', product(heads, queries, depth)),
      read('k', product(sharedHeads, keys, depth)),
      read('v', product(sharedHeads, keys, values)),
      ...(bias ? [read('bias', product(heads, queries, keys))] : []),
      write('out', product(heads, queries, values)),
      write('m', product(heads, queries)),
      write('l', product(heads, queries)),
    ],
    scratch.map((name) => ({ name, dtype: 'float32', size: keys })),
  );
  const [s0, s1, s2] = inPlace ? ['s0', 's0', 's0'] : scratch;
  const columns = [{ name: 'j', extent: keys }];
  k.parallel('h', heads, () =>
    k.parallel('i', queries, () => {
      k.parallel('j', keys, () => {
        const sum = dot(
          k,
          'd',
          depth,
          () => k.load('q', query('h', 'i', 'd')),
          () => k.load('k', key('h', 'j', 'd')),
        );
        k.store(s0, at('j'), masked(k, shape, sum));
      });
      const [m] = k.reduce(columns, ['max'], () => [k.load(s0, at('j'))]);
      k.parallel('j', keys, () => {
        k.store(s1, at('j'), exp(k, k.apply('subtract', k.load(s0, at('j')), m)));
      });
      const [l] = k.reduce(columns, ['sum'], () => [k.load(s1, at('j'))]);
      const probability = (from: string): ScalarId => k.apply('divide', k.load(from, at('j')), l);
      if (!dividesLate) k.parallel('j', keys, () => k.store(s2, at('j'), probability(s1)));
      k.parallel('d', values, () => {
        const left = (): ScalarId => (dividesLate ? probability(s1) : k.load(s2, at('j')));
        k.store(
          'out',
          output('h', 'i', 'd'),
          dot(k, 'j', keys, left, () => k.load('v', value('h', 'j', 'd'))),
        );
      });
      k.store('m', at([queries, 'h'], 'i'), m);
      k.store('l', at([queries, 'h'], 'i'), l);
    }),
  );
  return k.finish();
}

const backwardBuffers = (shape: AttentionShape): ReturnType<typeof read>[] => {
  const { heads, queries, keys, depth, values, bias } = shape;
  const { sharedHeads } = placesOf(shape);
  return [
    read('q', product(heads, queries, depth)),
    read('k', product(sharedHeads, keys, depth)),
    read('v', product(sharedHeads, keys, values)),
    read('do', product(heads, queries, values)),
    read('m', product(heads, queries)),
    read('l', product(heads, queries)),
    ...(bias ? [read('bias', product(heads, queries, keys))] : []),
  ];
};

/** `p[i, j]` of the scores, from the maximum and the sum of the row. */
function probabilityOf(k: KernelMaker, shape: AttentionShape, sum: ScalarId): ScalarId {
  const row = at([shape.queries, 'h'], 'i');
  const exp = shape.exponential ?? exponential;
  const shifted = k.apply('subtract', masked(k, shape, sum), k.load('m', row));
  return k.apply('divide', exp(k, shifted), k.load('l', row));
}

/** The gradient of the score, before the scale. */
function scoreGradient(k: KernelMaker, p: ScalarId, dp: ScalarId, delta: ScalarId, opcode: ScalarOpcode): ScalarId {
  return k.apply('multiply', k.apply(opcode, p, k.apply('subtract', dp, delta)), k.constant(0.125));
}

/** Rows are queries: `dq`, and `delta[i] = sum_j p[i, j] dp[i, j]`. */
export function attentionBackwardRows(shape: AttentionShape): Kernel {
  const { heads, queries, keys, depth, values } = shape;
  const { query, key, value, output } = placesOf(shape);
  const k = new KernelMaker(
    'attention_backward_rows',
    [...backwardBuffers(shape), write('dq', product(heads, queries, depth)), write('delta', product(heads, queries))],
    ['p', 'dp', 'ds'].map((name) => ({ name, dtype: 'float32', size: keys })),
  );
  k.parallel('h', heads, () =>
    k.parallel('i', queries, () => {
      k.parallel('j', keys, () => {
        const sum = dot(
          k,
          'd',
          depth,
          () => k.load('q', query('h', 'i', 'd')),
          () => k.load('k', key('h', 'j', 'd')),
        );
        k.store('p', at('j'), probabilityOf(k, shape, sum));
      });
      k.parallel('j', keys, () => {
        const left = (): ScalarId => k.load('do', output('h', 'i', 'd'));
        k.store(
          'dp',
          at('j'),
          dot(k, 'd', values, left, () => k.load('v', value('h', 'j', 'd'))),
        );
      });
      const [delta] = k.reduce([{ name: 'j', extent: keys }], ['sum'], () => [
        k.apply('multiply', k.load('dp', at('j')), k.load('p', at('j'))),
      ]);
      k.parallel('j', keys, () => {
        k.store('ds', at('j'), scoreGradient(k, k.load('p', at('j')), k.load('dp', at('j')), delta, 'multiply'));
      });
      k.parallel('d', depth, () => {
        const sum = dot(
          k,
          'j',
          keys,
          () => k.load('ds', at('j')),
          () => k.load('k', key('h', 'j', 'd')),
        );
        k.store('dq', query('h', 'i', 'd'), sum);
      });
      k.store('delta', at([queries, 'h'], 'i'), delta);
    }),
  );
  return k.finish();
}

/**
 * Rows are keys: `dk` and `dv`, from `delta`. Not for shared keys. `oneLoop`: both sums in one loop, or in one sweep.
 */
export function attentionBackwardColumns(shape: AttentionShape, oneLoop?: 'loop' | 'sweep'): Kernel {
  const { heads, queries, keys, depth, values } = shape;
  const { query, key, value, output } = placesOf(shape);
  const k = new KernelMaker(
    'attention_backward_columns',
    [
      ...backwardBuffers(shape),
      read('delta', product(heads, queries)),
      write('dk', product(heads, keys, depth)),
      write('dv', product(heads, keys, values)),
    ],
    ['p', 'ds'].map((name) => ({ name, dtype: 'float32', size: queries })),
  );
  const storeKey = (sum: ScalarId): void => k.store('dk', key('h', 'j', 'd'), sum);
  const storeValue = (sum: ScalarId): void => k.store('dv', value('h', 'j', 'd'), sum);
  const loadQuery = (): ScalarId => k.load('q', query('h', 'i', 'd'));
  const loadOutput = (): ScalarId => k.load('do', output('h', 'i', 'd'));
  k.parallel('h', heads, () =>
    k.parallel('j', keys, () => {
      k.parallel('i', queries, () => {
        const sum = dot(k, 'd', depth, loadQuery, () => k.load('k', key('h', 'j', 'd')));
        const dp = dot(k, 'd', values, loadOutput, () => k.load('v', value('h', 'j', 'd')));
        const p = probabilityOf(k, shape, sum);
        k.store('p', at('i'), p);
        k.store('ds', at('i'), scoreGradient(k, p, dp, k.load('delta', at([queries, 'h'], 'i')), 'multiply'));
      });
      const ds = (): ScalarId => k.load('ds', at('i'));
      const p = (): ScalarId => k.load('p', at('i'));
      if (oneLoop === 'sweep') {
        k.parallel('d', depth, () => {
          const both = (): readonly ScalarId[] => [
            k.apply('multiply', ds(), loadQuery()),
            k.apply('multiply', p(), loadOutput()),
          ];
          const [dk, dv] = k.reduce([{ name: 'i', extent: queries }], ['sum', 'sum'], both, { order: 'blocks' });
          storeKey(dk);
          storeValue(dv);
        });
      } else if (oneLoop === 'loop') {
        k.parallel('d', depth, () => {
          storeKey(dot(k, 'i', queries, ds, loadQuery));
          storeValue(dot(k, 'i', queries, p, loadOutput));
        });
      } else {
        k.parallel('d', depth, () => storeKey(dot(k, 'i', queries, ds, loadQuery)));
        k.parallel('d', values, () => storeValue(dot(k, 'i', queries, p, loadOutput)));
      }
    }),
  );
  return k.finish();
}
