/**
 * Values that are computed in several kernels instead of being stored once. That pays for what takes a few operations
 * on what the kernels read anyway:
 *
 *     %d = subtract %x, mean     wanted by two kernels that read %x: computed in both, from the mean of each row
 *     %s = add %d, %r            wanted by a contraction, which reads it from memory, and by a kernel that does not
 *                                read %d and %r: that one reads %s from memory too
 *
 * Whether a value is cheap is judged as if what several ops use were stored. So what is computed again on the strength
 * of that adds up: after `cheapFlops` operations above the last value that is stored, the next one is stored too.
 */
import type { Op, Value } from '../../ir/types.ts';
import type { GraphAnalysis } from './analysis.ts';
import type { FusionGroup } from './fusion-group.ts';
import { isAnchor, isFree } from './graph-uses.ts';

/** Operations for a single element above which it is not worth computing twice. */
const scalarFlops = 256;

export class Duplicates {
  readonly #analysis: GraphAnalysis;
  /** Of values computed in several kernels: operations from there to the next value that is stored. */
  readonly #above = new Map<Value, number>();

  constructor(analysis: GraphAnalysis) {
    this.#analysis = analysis;
  }

  /** Says that a value is computed in more than one kernel. */
  note(op: Op, value: Value): void {
    const flops = isFree(op) ? 0 : this.#analysis.flopsOf(op);
    this.#above.set(value, flops + this.#flopsAbove(value));
  }

  #flopsAbove(value: Value): number {
    const { graph } = this.#analysis;
    let most = 0;
    for (const use of this.#analysis.usesOf(value))
      for (const result of graph.ops[use].results) most = Math.max(most, this.#above.get(result) ?? 0);
    return most;
  }

  /**
   * Whether groups may each compute a value.
   * @param stored it lies in memory all the same, because some group could not compute it
   */
  allows(op: Op, value: Value, groups: readonly FusionGroup[], stored: boolean): boolean {
    const analysis = this.#analysis;
    if (isAnchor(op)) return false;
    if (isFree(op)) return true;
    if (analysis.without.has('fuse/duplicates')) return false;
    const { cheapFlops } = analysis.target;
    const cone = analysis.coneOf(value);
    if (analysis.elementsOf(value) <= 1) return cone <= scalarFlops;
    if (this.#widens(op, value)) return op.opcode === 'convert' || cone <= cheapFlops;
    if (cone > cheapFlops || !op.operands.every((operand) => analysis.isReady(operand))) return false;
    if (cone + this.#flopsAbove(value) > cheapFlops) return false;
    const bytes = analysis.bytesOf(value);
    const extra = groups.reduce((sum, group) => sum + this.#extraBytes(op, group), 0);
    return stored ? extra < bytes : extra <= (groups.length + 1) * bytes;
  }

  /** Whether an op makes little of what it reads into much: storing the result only moves more. */
  #widens(op: Op, value: Value): boolean {
    const analysis = this.#analysis;
    const bytes = analysis.bytesOf(value);
    const narrow = op.operands.every((operand) => analysis.bytesOf(operand) <= bytes);
    return analysis.sourceBytesOf(value) < bytes && analysis.flopsOf(op) <= 2 && narrow;
  }

  /** Bytes that a group would read on account of an op. */
  #extraBytes(op: Op, { reads, wanted }: FusionGroup): number {
    let extra = 0;
    for (const operand of new Set(op.operands)) {
      if (reads.has(operand) || wanted.has(operand)) continue;
      extra += Math.min(this.#analysis.sourceBytesOf(operand), this.#analysis.bytesOf(operand));
    }
    return extra;
  }
}
