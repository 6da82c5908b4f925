/**
 * Errors in the middle of training: whatever goes wrong between two steps, the session goes on as if nothing had
 * happened. No tensor is lost or left behind, no cache is touched, and the training ends with the same bits as one
 * without errors. (test/tracer/bad-input.test.ts says what each message must contain.)
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  arange,
  compile,
  concat,
  conv2d,
  dim,
  einsum,
  eye,
  grad,
  init,
  KilnError,
  linspace,
  memory,
  random,
  spec,
  type Tensor,
  tensor,
  tidy,
  tree,
  valueAndGrad,
  vjp,
  zeros,
} from '../../index.ts';

type State = { w: Tensor; b: Tensor };
const loss = ({ w, b }: State, x: Tensor, y: Tensor) => x.matmul(w).add(b).tanh().sub(y).square().mean();
const step = compile(
  (state: State, x: Tensor, y: Tensor) => {
    const [value, gradients] = valueAndGrad(loss)(state, x, y);
    return [value, tree.map((p, g) => p.sub(g.mul(0.1)), state, gradients)] as const;
  },
  { donate: [0], precision: 'strict' },
);

const fresh = (): State => ({ w: tensor([[0.5], [-0.25], [0.125]]), b: tensor([0]) });
const batch = [
  [1, 2, 3],
  [-1, 0, 1],
];

/** What a user may do wrong between two steps. */
interface Session {
  readonly state: State;
  readonly x: Tensor;
  readonly y: Tensor;
}
type Fault = readonly [what: string, code: string, body: (session: Session) => unknown];

const compiledPlain = compile((t: Tensor) => t.mul(2));
const symbolic = compile((t: Tensor) => t.sum(0), {
  dynamic: [spec([dim('N', { min: 2, max: 4 }), 3])],
  maxRecompiles: 0,
});
class Unregistered {
  readonly w: Tensor | undefined;
}

const faults: readonly Fault[] = [
  [
    'a batch of another width, with the state given up',
    'shape_mismatch',
    ({ state, y }) => step(state, zeros([2, 4]), y),
  ],
  ['an integer tensor and a fraction', 'dtype_mismatch', () => tensor([1], { dtype: 'int32' }).add(0.5)],
  ['an operand that does not fit', 'shape_mismatch', ({ x }) => x.matmul(x)],
  ['a list that does not fit', 'shape_mismatch', ({ x, y }) => concat([x, y, zeros([3, 3])], 0)],
  ['a kernel of other channels', 'shape_mismatch', () => conv2d(zeros([1, 3, 8, 8]), zeros([4, 2, 3, 3]))],
  ['a formula that does not fit', 'shape_mismatch', ({ x }) => einsum('ij,jk->ik', [x, x])],
  ['an axis that is not there', 'invalid_argument', ({ x }) => x.sum(2)],
  ['a size that is none', 'invalid_size', ({ x }) => x.reshape([Number.NaN, 3])],
  ['a random array without a size', 'invalid_size', () => random.normal(random.key(0), [2, Number.NaN])],
  ['a symbolic size that is none', 'invalid_size', () => dim('N', { min: 3, max: 2 })],
  ['a gradient of what is no loss', 'shape_mismatch', ({ x }) => grad((t: Tensor) => t.mul(2))(x)],
  ['a gradient of integers', 'not_differentiable', () => grad((t: Tensor) => t.sum())(tensor([1], { dtype: 'int32' }))],
  [
    'a cotangent of another structure',
    'tree_mismatch',
    ({ x }) => vjp((t: Tensor) => ({ a: t }))(x)[1]({ b: x } as never),
  ],
  [
    'a comparison by JavaScript',
    'traced_value',
    ({ x }) => compile((t: Tensor) => ((t as never) > 1 ? t : t.neg()))(x),
  ],
  ['Math on a tensor', 'invalid_argument', ({ x }) => Math.exp(x as never)],
  ['an async function', 'async_function', ({ x }) => compile(async (t: Tensor) => t)(x)],
  ['a function without tensors', 'invalid_output', ({ x }) => compile((t: Tensor) => t.shape.join())(x)],
  ['an unregistered class', 'unregistered_class', () => compile((u: Unregistered) => u.w!.add(1))(new Unregistered())],
  ['a spec for a tensor', 'invalid_argument', () => compiledPlain(spec([2]) as unknown as Tensor)],
  [
    'a tensor that is gone',
    'use_after_dispose',
    () => {
      const gone = tensor([1]);
      gone.dispose();
      return gone.add(1);
    },
  ],
  [
    'a tensor of a trace that is over',
    'leaked_tracer',
    ({ x }) => {
      const leaked: Tensor[] = [];
      compile((t: Tensor) => {
        leaked.push(t);
        return t.neg();
      })(x);
      return leaked[0].add(1);
    },
  ],
  [
    'an array beyond all memory',
    'out_of_memory',
    ({ x }) =>
      x
        .reshape([6, 1, 1])
        .broadcastTo([6, 1 << 16, 1 << 14])
        .add(1),
  ],
  ['zeros beyond all memory', 'out_of_memory', () => zeros([2 ** 30, 2 ** 30])],
  ['numbers beyond all memory', 'out_of_memory', () => arange(0, 2 ** 33)],
  ['a line beyond all memory', 'out_of_memory', () => linspace(0, 1, 2 ** 33)],
  ['a matrix beyond all memory', 'out_of_memory', () => eye(2 ** 17)],
];

/** The code of the error that a function throws, or that its result is poisoned with. */
async function codeOf(body: () => unknown): Promise<string> {
  try {
    using result = (await body()) as Tensor;
    await result.data();
  } catch (error) {
    if (error instanceof KilnError) return error.code;
    throw error;
  }
  return 'nothing was thrown';
}

/** Waits until all that was launched has run: launches that wait for their compile keep what they read. */
async function settle(x: Tensor): Promise<void> {
  const last = x.add(1);
  await last.data();
  last.dispose();
}

/** Trains for some steps; before each, `meanwhile` happens. */
async function train(steps: number, meanwhile: (session: Session, at: number) => Promise<void>): Promise<number[]> {
  const [x, y] = [tensor(batch), tensor([[1], [-1]])];
  let state = fresh();
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    await meanwhile({ state, x, y }, i);
    const [value, next] = step(state, x, y);
    losses.push(Number(value.itemSync()));
    value.dispose();
    state = next;
  }
  losses.push(...Array.from(state.w.dataSync(), Number));
  for (const t of [x, y, state.w, state.b]) t.dispose();
  return losses;
}

beforeAll(() => init());
afterAll(() => init());

describe('between the steps of a training', () => {
  test('every error has its code, leaves no tensor behind, and changes nothing', async () => {
    const undisturbed = await train(faults.length, async () => {});
    const stats = step.stats();
    const found: [string, string][] = [];
    const disturbed = await train(faults.length, async (session, at) => {
      const [what, , body] = faults[at];
      const before = memory();
      found.push([what, await codeOf(() => tidy(() => body(session)))]);
      await settle(session.x);
      const { tensors, bytes } = memory();
      expect({ tensors, bytes }, what).toEqual({ tensors: before.tensors, bytes: before.bytes });
    });
    expect(found).toEqual(faults.map(([what, code]) => [what, code]));
    expect(disturbed).toEqual(undisturbed);
    expect(step.stats().compiles).toBe(stats.compiles);
  });
});

describe('errors of a compiled function', () => {
  test('a size beyond its bounds is another signature, and too many are refused', async () => {
    expect(symbolic(zeros([2, 3])).shape).toEqual([3]);
    expect(await codeOf(() => symbolic(zeros([5, 3])))).toBe('too_many_recompiles');
    expect(symbolic(tensor(batch)).arraySync()).toEqual([0, 2, 4]);
  });

  test('warmup, lower and explain say the same as the call', async () => {
    const wrong = compile((a: Tensor, b: Tensor) => a.matmul(b));
    const specs = [spec([2, 3]), spec([2, 3])] as const;
    expect(await codeOf(() => wrong.warmup(...specs))).toBe('shape_mismatch');
    expect(await codeOf(() => wrong.lower(...specs))).toBe('shape_mismatch');
    expect(await codeOf(() => wrong.explain(...specs))).toBe('shape_mismatch');
    expect(wrong(tensor([[2]]), tensor([[3]])).itemSync()).toBe(6);
  });

  test('an error in the function leaves the next trace clean', async () => {
    let fails = true;
    const f = compile((t: Tensor) => {
      const h = t.mul(2);
      if (fails) h.matmul(zeros([7]));
      return h.add(1);
    });
    const x = tensor([1, 2]);
    expect(await codeOf(() => f(x))).toBe('shape_mismatch');
    expect(await codeOf(() => grad((t: Tensor) => f(t).sum())(x))).toBe('shape_mismatch');
    fails = false;
    expect(f(x).arraySync()).toEqual([3, 5]);
    expect(grad((t: Tensor) => f(t).sum())(x).arraySync()).toEqual([2, 2]);
  });

  test('what fails later poisons its results, and those alone', async () => {
    const x = tensor([1, 2, 3]);
    const big = compile((t: Tensor) =>
      t
        .reshape([3, 1, 1])
        .broadcastTo([3, 1 << 15, 1 << 14])
        .mul(1.5),
    );
    let code = 'nothing was thrown';
    let dependant: Tensor | undefined;
    try {
      dependant = big(x).sum();
      await dependant.item();
    } catch (error) {
      if (!(error instanceof KilnError)) throw error;
      code = error.code;
    }
    expect(code).toBe('out_of_memory');
    expect(x.add(1).arraySync()).toEqual([2, 3, 4]);
  });
});
