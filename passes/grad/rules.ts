/**
 * The table of differentiation rules. It is total: an opcode without a row does not compile.
 */
import type { Opcode } from '../../ir/opcodes.ts';
import { contractionVjps } from './contraction.ts';
import { cumulativeVjps } from './cumulative.ts';
import { binaryVjps, sourceVjps, unaryVjps } from './elementwise.ts';
import { indexingVjps } from './indexing.ts';
import { reductionVjps } from './reduction.ts';
import type { VjpRules } from './rule.ts';
import { shapeVjps } from './shape.ts';
import { sortVjps } from './sort.ts';
import { windowVjps } from './window.ts';

export const vjpRules: VjpRules<Opcode> = {
  ...unaryVjps,
  ...binaryVjps,
  ...sourceVjps,
  ...shapeVjps,
  ...indexingVjps,
  ...contractionVjps,
  ...reductionVjps,
  ...windowVjps,
  ...sortVjps,
  ...cumulativeVjps,
  optimization_barrier: ({ emit, cotangent }) => [() => emit.op('optimization_barrier', [cotangent])],
  call: { refuse: 'a call is differentiated by writing out the function; here it was not' },
};
