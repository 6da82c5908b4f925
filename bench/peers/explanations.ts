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
  'The native runtime computes 16 elements at a time with AVX-512 and fused multiplication and addition, WASM 4.';

const explanations: readonly Explanation[] = [
  { row: 'erf, 4M', against: 'onnxruntime-node', why: native },
  { row: 'gelu, 4M', against: 'onnxruntime-node', why: native },
  { row: 'silu, 4M', against: 'onnxruntime-node', why: native },
  {
    row: 'erf(x)*exp(-x)/(1+exp(-x)), 4M',
    against: 'onnxruntime-node',
    why: `Bound by arithmetic, not by the intermediate results that fusion saves. ${native}`,
  },
  {
    row: 'exp, sin, erf, division, tanh, sqrt, 4M',
    against: 'onnxruntime-node',
    why: `Bound by arithmetic, not by the intermediate results that fusion saves. ${native}`,
  },
  {
    row: 'tanh(exp(x)*sin(x))*x+1, 4M',
    against: 'onnxruntime-node',
    why: `Bound by arithmetic, not by the intermediate results that fusion saves. ${native}`,
  },
];

/** What is known of a missed target. */
export const explanationOf = ({
  row,
  against,
}: Pick<Verdict, 'against'> & { readonly row: Row['name'] }): string | undefined =>
  explanations.find((each) => row.startsWith(each.row) && against.startsWith(each.against))?.why;
