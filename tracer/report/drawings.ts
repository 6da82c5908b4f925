/**
 * The drawings of a report: each function as optimised and as traced, with what the heads of its boxes say.
 *
 *     kernel dot_general_tanh / launch 0, 12.3 µs / 80 B → 56 B, 15 FLOP / model.ts:12 return x.matmul(w).tanh()
 */
import { type Cluster, clustersByGroup, clustersByLine } from './clusters.ts';
import { indexOf } from './contents.ts';
import type { FunctionData, LaunchTimings, ReportData } from './data.ts';
import { type BoxHead, drawGraph, type GraphDrawing } from './draw-graph.ts';
import { formatBytes, formatCount, formatMs, plural } from './html.ts';
import { opName, type SourceLine, type SourceLines, type Stage } from './names.ts';
import { launchList } from './sections.ts';

/** Ops of a function above which its boxes are drawn without what is inside. */
export const mostDrawnOps = 3000;
/** Lines of the user's source in the head of a box. */
const mostSources = 3;

export interface NamedDrawing extends GraphDrawing {
  /** `o0`: stage and function. */
  readonly key: string;
  readonly title: string;
}

/** The function that is entered first, after fusion and as traced, then the others. */
export function drawAll(data: ReportData, lines: SourceLines, timings: LaunchTimings | undefined): NamedDrawing[] {
  const draw = (stage: Stage, functions: readonly FunctionData[], at: number): NamedDrawing => {
    const func = functions[at];
    const clusters = stage === 'o' ? clustersByGroup(data, at) : clustersByLine(func, data);
    const uses = functions.flatMap(({ ops }) => ops).filter(({ callee }) => callee === at).length;
    const what = stage === 'o' ? 'optimised and fused' : 'as traced';
    const called = uses > 0 ? `, called ${uses === 1 ? 'once' : `${uses} times`}` : '';
    const title = `${func.name === 'main' ? data.name : `@${func.name}`}, ${what}: ${plural(func.ops.length, 'op')}${called}`;
    const drawing = drawGraph({
      index: indexOf(func),
      clusters,
      headOf: (cluster) =>
        stage === 'o' ? groupHead(data, func, cluster, lines, timings) : lineHead(func, cluster, lines),
      opId: (op) => opName(stage, at, op),
      lineOf: (op) => lines.of(func.ops[op].place)?.id,
      prefix: `${stage}${at}`,
      label: title,
      detailed: func.ops.length <= mostDrawnOps,
    });
    return { ...drawing, key: `${stage}${at}`, title };
  };
  const drawn = (stage: Stage, functions: readonly FunctionData[]): NamedDrawing[] =>
    functions.map((_, at) => draw(stage, functions, at)).reverse();
  const [optimized, traced] = [drawn('o', data.optimized), drawn('t', data.traced)];
  return [...optimized.slice(0, 1), ...traced.slice(0, 1), ...optimized.slice(1), ...traced.slice(1)];
}

function groupHead(
  data: ReportData,
  func: FunctionData,
  { ops, group: number }: Cluster,
  lines: SourceLines,
  timings: LaunchTimings | undefined,
): BoxHead {
  const sources = sourcesOf(func, ops, lines);
  if (number === undefined) {
    const { opcode, callee } = func.ops[ops[0]];
    if (callee === undefined) return { title: opcode, notes: ['no kernel: a view of memory'], sources };
    const inside = data.groups.filter((group) => group.function === callee).length;
    return { title: `@${data.optimized[callee].name}`, notes: [`call: ${plural(inside, 'kernel')}`], sources };
  }
  const { kernel, launches, bytesBefore, bytesAfter, flops } = data.groups[number];
  const time = timings && launches.reduce((sum, launch) => sum + (timings.launches[launch] ?? 0), 0);
  const costs = `${formatBytes(bytesBefore)} → ${formatBytes(bytesAfter)}, ${formatCount(flops)} FLOP`;
  const notes = [`${launchList(launches)}${time === undefined ? '' : `, ${formatMs(time)}`}`, costs];
  return { title: data.kernels[kernel].name, notes, sources };
}

function lineHead(func: FunctionData, { ops }: Cluster, lines: SourceLines): BoxHead {
  const line = lines.of(func.ops[ops[0]].place);
  if (!line) return { title: 'source line not known', notes: [], sources: [] };
  if (line.text === '') return { title: line.at, notes: [], sources: [] };
  return { title: line.text, notes: [line.at], sources: [] };
}

/** The lines that most of the ops come from, in the order of the program. */
function sourcesOf(func: FunctionData, ops: readonly number[], lines: SourceLines): SourceLine[] {
  const counts = new Map<string, { line: SourceLine; count: number }>();
  for (const op of ops) {
    const line = lines.of(func.ops[op].place);
    if (line) counts.set(line.id, { line, count: (counts.get(line.id)?.count ?? 0) + 1 });
  }
  const ranked = [...counts.values()].sort((a, b) => b.count - a.count).slice(0, mostSources);
  return [...counts.values()].filter((entry) => ranked.includes(entry)).map(({ line }) => line);
}
