/**
 * The families of ops that the report has colours for. They derive from the op definitions, so that a new op has one.
 */

import { contractionDefinitions } from '../../ir/ops/contraction.ts';
import { gatherDefinitions } from '../../ir/ops/gather.ts';
import { isOpcode, traitsOf } from '../../ir/ops/index.ts';
import { reductionDefinitions } from '../../ir/ops/reduction.ts';

/** Each family with what the legend says. */
export const families = {
  contraction: 'contraction: matrix product, convolution',
  reduction: 'reduction',
  elementwise: 'elementwise',
  indexing: 'gather, scatter',
  movement: 'shape and layout',
  call: 'call of a function',
  other: 'other',
} as const;

export type Family = keyof typeof families;

export function familyOf(opcode: string): Family {
  if (opcode === 'call') return 'call';
  if (!isOpcode(opcode)) return 'other';
  if (Object.hasOwn(contractionDefinitions, opcode)) return 'contraction';
  if (Object.hasOwn(reductionDefinitions, opcode)) return 'reduction';
  if (Object.hasOwn(gatherDefinitions, opcode)) return 'indexing';
  const { elementwise, movesData } = traitsOf(opcode);
  if (elementwise) return 'elementwise';
  return movesData ? 'movement' : 'other';
}

const byWeight: readonly Family[] = [
  'contraction',
  'reduction',
  'indexing',
  'elementwise',
  'movement',
  'call',
  'other',
];

/** The family that says most about ops that stand together: that of the heaviest. */
export function familyOfAll(opcodes: readonly string[]): Family {
  const found = new Set(opcodes.map(familyOf));
  return byWeight.find((family) => found.has(family)) ?? 'other';
}
