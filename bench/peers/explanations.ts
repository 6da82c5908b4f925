/**
 * Why a target is missed, and what was tried: text that stands beside a missed row in `docs/performance.md`. A row that
 * is met does not show its own.
 */
import type { Row } from './rows.ts';
import type { Verdict } from './targets.ts';

interface Explanation {
  /** Rows whose names begin so. */
  readonly row: string;
  /** What they are held against, by its beginning. */
  readonly against: string;
  readonly why: string;
}

const native =
  'The native runtime computes 16 elements at a time with AVX-512 and fused multiplication and addition, WASM 4. Tried: rational and split polynomials, other orders of evaluation, one to six vectors at once.';
const nativeChain = `Bound by arithmetic, not by the intermediate results that fusion saves. ${native}`;
const wake =
  'Kernels of a millisecond or less: a part of the time goes by before the second thread is awake and while the last tiles of a phase end. Tried: idle threads that look for work for longer before they sleep.';

const spread =
  'Other configurations, which differ little, meet it: what is missing is about what samples and runs differ by.';

/** The first that fits a row counts. */
const explanations: readonly Explanation[] = [
  { row: 'erf, 4M', against: 'onnxruntime-node', why: native },
  { row: 'gelu, 4M', against: 'onnxruntime-node', why: native },
  {
    row: 'silu, 4M',
    against: 'onnxruntime-node',
    why: `${native} An exponential and a division of its own for each element; a logistic function by one division was designed, not built.`,
  },
  { row: 'erf(x)*exp(-x)/(1+exp(-x)), 4M', against: 'onnxruntime-node', why: nativeChain },
  { row: 'exp, sin, erf, division, tanh, sqrt, 4M', against: 'onnxruntime-node', why: nativeChain },
  { row: 'tanh(exp(x)*sin(x))*x+1, 4M', against: 'onnxruntime-node', why: nativeChain },
  {
    row: 'erf(x)*exp(-x)/(1+exp(-x)), 4M',
    against: 'onnxruntime-web',
    why: 'erf and exp are bound by arithmetic here as there; fused multiplication and addition brings it over the target.',
  },
  {
    row: 'exp, sin, erf, division, tanh, sqrt, 4M',
    against: 'onnxruntime-web',
    why: 'Bound by arithmetic; strict code has the sine whose bits do not depend on the engine, fast code a cheaper one.',
  },
  {
    row: 'relu(tanh(2x+1)*x), 4M',
    against: 'onnxruntime-web',
    why: 'At the speed of a kernel written by hand (see the section on this chain), which no arithmetic of WASM without fused operations passes. Tried: cheaper forms of tanh, which miss the stated accuracy, and one to six vectors at once.',
  },
  {
    row: 'matmul 1x4096x4096',
    against: 'plain read',
    why: 'The rows of the matrix are read eight at a time over long stretches; a plain read of one stretch is faster. Tried: smaller stretches, which gave nothing.',
  },
  {
    row: 'matmul 1x4096x4096',
    against: '1 thread',
    why: 'Bound by memory, which two threads share.',
  },
  {
    row: 'matmul 256',
    against: '',
    why: 'Two thirds of a millisecond, with samples that spread by 5 to 20 %; quiet runs of this row alone met it.',
  },
  { row: 'conv 3x3', against: '1 thread', why: `Winograd's algorithm takes 1.6 ms in three phases. ${wake}` },
  { row: 'MLP', against: '1 thread', why: `Ten launches of some 0.1 ms each. ${wake}` },
  {
    row: '(xy+1)/(xx+yy+1)-x/2, 4M',
    against: '1 thread',
    why: 'Bound by memory, though it moves less than half as many bytes a second as the copy that decides which target holds.',
  },
  {
    row: 'cross-entropy 1024x1024',
    against: 'onnxruntime-web',
    why: 'Bound by one exponential for each element; fused multiplication and addition brings it over the target.',
  },
  {
    row: 'MLP',
    against: 'jax-js',
    why: 'jax-js runs with fused multiplication and addition; fast code with them meets it.',
  },
  { row: 'matmul', against: '1 thread', why: spread },
  { row: 'matmul 2048', against: 'register tile', why: spread },
  { row: 'conv 3x3', against: 'onnxruntime-web', why: spread },
  { row: 'relu(tanh(2x+1)*x), 4M', against: '1 thread', why: spread },
  { row: 'erf(x)*exp(-x)/(1+exp(-x)), 4M', against: '1 thread', why: spread },
  { row: '50 calls', against: 'in turn', why: spread },
];

/** What is known of a missed target. */
export const explanationOf = ({
  row,
  against,
}: Pick<Verdict, 'against'> & { readonly row: Row['name'] }): string | undefined =>
  explanations.find((each) => row.startsWith(each.row) && against.startsWith(each.against))?.why;
