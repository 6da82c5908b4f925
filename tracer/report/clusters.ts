/**
 * Which ops stand together in a drawing: those of one kernel after fusion; before it, runs of ops that come from one
 * line of the user's source. Either way an edge never leads back, so boxes can be drawn in the order of the program.
 *
 *     after     kernel dot_general_tanh { %2 = dot_general, %4 = tanh }   reads %x %w, writes %4
 *     before    model.ts:12 { %0 = dot_general, %1 = broadcast_in_dim, %2 = add }
 */
import type { FunctionData, ReportData } from './data.ts';

export interface Cluster {
  /** Positions in the function's ops, ascending. */
  readonly ops: readonly number[];
  /** The group that it draws. */
  readonly group?: number;
  /** Values that come from outside and that others use. */
  readonly reads: readonly number[];
  readonly writes: readonly number[];
}

/** Fusion groups of a function, and each op that no kernel computes by itself: calls, results that are mere views. */
export function clustersByGroup({ optimized, groups }: ReportData, at: number): Cluster[] {
  const func = optimized[at];
  const inGroups = new Set<number>();
  const clusters: Cluster[] = [];
  groups.forEach((group, number) => {
    if (group.function !== at) return;
    for (const op of group.ops) inGroups.add(op);
    clusters.push({ ops: group.ops, group: number, reads: group.reads, writes: group.writes });
  });
  const results = new Set(func.results);
  func.ops.forEach((op, position) => {
    const isShown = op.opcode === 'call' || (op.scalar === undefined && op.results.some((value) => results.has(value)));
    if (inGroups.has(position) || !isShown) return;
    clusters.push({ ops: [position], reads: op.operands, writes: op.results });
  });
  return clusters.sort((a, b) => lastOf(a) - lastOf(b) || (a.group ?? -1) - (b.group ?? -1));
}

const lastOf = ({ ops }: Cluster): number => ops.at(-1) ?? -1;

/** Runs of ops from one line, in the order of the trace. Numbers that stand in other ops' labels belong to no run. */
export function clustersByLine(func: FunctionData, { places }: Pick<ReportData, 'places'>): Cluster[] {
  const lineOf = (place: number | undefined): string =>
    place === undefined ? '' : `${places[place].file}:${places[place].line}`;
  const runs: number[][] = [];
  let line: string | undefined;
  const results = new Set(func.results);
  func.ops.forEach((op, position) => {
    if (op.scalar !== undefined && !op.results.some((value) => results.has(value))) return;
    const here = lineOf(op.place);
    if (here === line && op.opcode !== 'call') runs.at(-1)?.push(position);
    else runs.push([position]);
    line = op.opcode === 'call' ? undefined : here;
  });
  return withBorders(func, runs);
}

/** For each run, what it takes from outside it and what it gives. */
function withBorders(func: FunctionData, runs: readonly (readonly number[])[]): Cluster[] {
  const runOf = new Map<number, number>();
  runs.forEach((run, at) => {
    for (const op of run) for (const value of func.ops[op].results) runOf.set(value, at);
  });
  const used = new Set(func.results);
  const reads = runs.map((run, at) => {
    const outside = run.flatMap((op) => func.ops[op].operands).filter((value) => runOf.get(value) !== at);
    for (const value of outside) used.add(value);
    return [...new Set(outside)];
  });
  return runs.map((ops, at) => ({
    ops,
    reads: reads[at],
    writes: ops.flatMap((op) => func.ops[op].results).filter((value) => used.has(value)),
  }));
}
