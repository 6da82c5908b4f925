/**
 * Looking inside a compiled function: its stages, the account of its fusion, and compiling ahead of time. Nothing here
 * runs the function's program.
 *
 *     console.log(String(step.lower(params, x, y).kernels));
 *     step.explain(params, x, y).kernels        // number of launches
 */
import { KilnError } from '../base/error.ts';
import { formatType } from '../ir/printer.ts';
import type { Footprint } from '../runtime/footprint.ts';
import { deviceNamed } from '../runtime/session.ts';
import { type ArrayLeaf, typeOfArray } from './array-leaf.ts';
import { type TunedReport, tunedReports, tuningRequest } from './autotune/tune.ts';
import type { Compilation } from './compilation.ts';
import type { CompileReport, Recomputation } from './compile-report.ts';
import type { CompileRequest } from './compiler.ts';
import { compileNow } from './compiler-client.ts';
import { count, fusionLines, type GroupReport, type RefusalReport, shortOp, totalLines } from './fusion-account.ts';
import { currentTrace } from './graph-trace.ts';
import { mustAwaitTrace } from './kept-trace.ts';
import { atLocation, currentLocation } from './location.ts';
import { defaultPrecision } from './settings.ts';
import { solveSizes } from './symbolic.ts';

/** One stage of a compile; it prints as its text. */
export interface Stage {
  readonly text: string;
  toString(): string;
}

/** The stages from trace to program. */
export interface Lowering {
  /** The graph as traced. */
  readonly graph: Stage;
  /** After the optimisation passes. */
  readonly optimized: Stage;
  /** Kernel IR. */
  readonly kernels: Stage;
  /** The target's code, as text. */
  readonly code: Stage;
  /** Inputs, outputs, memory plan and steps. */
  readonly program: Stage;
}

export interface Explanation {
  /** Ops in the traced graph. */
  readonly ops: number;
  /** Kernels launched by one run. */
  readonly kernels: number;
  /** What the code uses of the engine: `wasm`, `wasm+threads+relaxed-simd`. */
  readonly tier: string;
  /** What each launch computes. */
  readonly groups: readonly GroupReport[];
  /**
   * Launches of the first run alone: what follows from captured tensors and constants is computed once and kept, until
   * one of them is another tensor. The counts here are without them.
   */
  readonly preparation: readonly GroupReport[];
  /** Every edge that goes through memory, and the rule that refused to fuse it. */
  readonly refusals: readonly RefusalReport[];
  readonly flops: number;
  /** Bytes that launches read and write. */
  readonly bytesMoved: number;
  /** Operations and bytes if every op ran alone. */
  readonly flopsBefore: number;
  readonly bytesBefore: number;
  /**
   * Bytes that one run holds: arguments, outputs, constants, what is computed once and kept, temporaries, packing and
   * scratch. On a device that holds nothing else, `memory().peakBytes` of a run is this number.
   */
  readonly peakBytes: number;
  /** The parts of `peakBytes`. */
  readonly memory: Footprint;
  /** What is computed again so that it fits into `memoryBudget`; `undefined` where the budget makes no difference. */
  readonly recomputation: Recomputation | undefined;
  /** Kernels whose schedules `autotune` has measured; `explain` measures nothing itself. */
  readonly autotune: readonly TunedReport[];
  /**
   * What each call moves between the host and the device: typed arrays among the arguments. Results stay on the device
   * until they are read, and nothing goes to and fro in between.
   */
  readonly transfers: readonly Transfer[];
  readonly compileMs: number;
  toString(): string;
}

/** An argument that lies on the host. */
export interface Transfer {
  readonly type: string;
  readonly bytes: number;
}

const stage = (text: string): Stage => ({ text, toString: () => text });

export function lower(compilation: Compilation, args: readonly unknown[]): Lowering {
  const { graph, optimized, kernels, code, program } = compileForReport(compilation, args).report;
  return {
    graph: stage(graph),
    optimized: stage(optimized),
    kernels: stage(kernels),
    code: stage(code),
    program: stage(program),
  };
}

export function explain(compilation: Compilation, args: readonly unknown[]): Explanation {
  const { report, milliseconds } = compileForReport(compilation, args);
  const { arrays } = compilation.sign(undefined, args);
  const { tracedOps, groups, preparation, refusals, flops, bytesMoved, flopsBefore, bytesBefore, memory } = report;
  const explanation = {
    ops: tracedOps,
    kernels: groups.length,
    tier: report.tier,
    groups,
    preparation,
    refusals,
    flops,
    bytesMoved,
    flopsBefore,
    bytesBefore,
    peakBytes: memory.peak,
    memory,
    recomputation: report.recomputation,
    autotune: tunedReports(compilation.deviceOf(arrays), report.tuned),
    transfers: arrays.flatMap((array) => transferOf(array)),
    compileMs: milliseconds,
  };
  const { recompiles } = compilation.stats();
  const text = explanationText(compilation.options.name, explanation, recompiles);
  return Object.defineProperty(explanation, 'toString', { value: () => text, enumerable: false });
}

/** Finds or compiles the program for these specs, and loads it. */
export async function warmup(compilation: Compilation, args: readonly unknown[]): Promise<void> {
  const location = currentLocation();
  assertOutsideTraces(compilation, 'warmup');
  if (mustAwaitTrace(compilation.options)) await compilation.recallAside(undefined, args);
  const source = atLocation(location, () =>
    located(() => compilation.prepare(undefined, args, () => assertNoReceiver(compilation, 'warmup'))),
  );
  const program = await source.prepare();
  await deviceNamed(source.device.name).warmup(program);
}

function compileForReport(
  compilation: Compilation,
  args: readonly unknown[],
): { readonly report: CompileReport; readonly milliseconds: number } {
  return located(() => {
    const result = compileNow(reportRequest(compilation, args, 'lower and explain'));
    return { report: result.report!, milliseconds: result.milliseconds };
  });
}

/** A compile of what a call with these arguments runs, with an account of it. */
export function reportRequest(compilation: Compilation, args: readonly unknown[], what: string): CompileRequest {
  return located(() => {
    assertOutsideTraces(compilation, what);
    assertNoReceiver(compilation, what);
    const { options } = compilation;
    const signed = compilation.sign(undefined, args);
    const actual = signed.arrays.map(typeOfArray);
    const types = compilation.typesToTrace(signed, actual);
    const device = compilation.deviceOf(signed.arrays);
    const { module, graph } = compilation.traceModule(signed, types, device.name);
    const sizes = [...(solveSizes(types, actual) ?? [])];
    const { autotuneMs } = options;
    return {
      module,
      name: options.name,
      precision: options.precision ?? defaultPrecision(),
      donated: compilation.donatedOf(signed, module),
      held: compilation.heldOf(signed, graph),
      tier: device.tier,
      threads: device.threads,
      ...(options.memoryBudget !== undefined && { memoryBudget: options.memoryBudget }),
      ...(autotuneMs !== undefined && { tuning: tuningRequest(device, { budgetMs: autotuneMs, sizes }, true) }),
      report: { bindings: sizes },
    };
  });
}

function located<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw error instanceof KilnError ? error.at(currentLocation()) : error;
  }
}

function assertOutsideTraces({ label }: Compilation, what: string): void {
  const trace = currentTrace();
  if (trace) {
    throw new KilnError('invalid_argument', `${label}: ${what} is called inside ${trace.label}`, {
      hint: 'call it outside of traced functions',
      location: currentLocation(),
    });
  }
}

function assertNoReceiver({ label, takesReceiver }: Compilation, what: string): void {
  if (!takesReceiver) return;
  throw new KilnError('invalid_argument', `${label}: ${what} does not know which object the method is called on`, {
    hint: `compile a function that calls it: compile((x) => model.forward(x)).${what.split(' ')[0]}(x)`,
    location: currentLocation(),
  });
}

function transferOf(array: ArrayLeaf): readonly Transfer[] {
  if (!ArrayBuffer.isView(array)) return [];
  const { dtype, shape } = typeOfArray(array);
  return [{ type: formatType({ dtype, shape }), bytes: array.byteLength }];
}

function transferLines(transfers: readonly Transfer[]): string[] {
  if (transfers.length === 0) return [];
  const bytes = transfers.reduce((sum, transfer) => sum + transfer.bytes, 0);
  const types = transfers.map(({ type }) => type).join(', ');
  return [`  ${count(bytes)} bytes from the host at each call: ${types}`];
}

function explanationText(
  name: string,
  explanation: Omit<Explanation, 'toString'>,
  recompiles: readonly { readonly reason: string }[],
): string {
  const { ops, kernels, tier, groups, preparation, memory, recomputation, autotune, compileMs } = explanation;
  const lines = [
    `${name}: ${ops} ops in ${kernels} kernels for ${tier}, compiled in ${compileMs.toFixed(1)} ms`,
    ...totalLines(groups),
    ...preparationLines(preparation, memory.prepared),
    `  ${count(memory.peak)} bytes of memory: ${memoryText(memory)}`,
    ...transferLines(explanation.transfers),
    ...autotune.map(autotuneLine),
    ...(recomputation ? recomputationLines(recomputation) : []),
    ...fusionLines(explanation),
  ];
  if (recompiles.length > 0) lines.push('  traced again because of:');
  for (const { reason } of recompiles) lines.push(`    ${reason}`);
  return lines.join('\n');
}

function autotuneLine({ kernel, schedule, from, tried, ms }: TunedReport): string {
  if (tried.length === 0)
    return `  autotune: ${kernel} takes ${schedule}, from a ${from === 'file' ? 'file' : 'search'}`;
  const of = (name: string): string => `${tried.find((each) => each.schedule === name)?.ms.toFixed(3)} ms`;
  const before = schedule === tried[0].schedule ? '' : ` instead of ${tried[0].schedule} (${of(tried[0].schedule)})`;
  return `  autotune: ${kernel} takes ${schedule} (${of(schedule)})${before}, ${tried.length} tried in ${ms.toFixed(0)} ms`;
}

function preparationLines(groups: readonly GroupReport[], bytes: number): string[] {
  if (groups.length === 0) return [];
  const flops = groups.reduce((sum, group) => sum + group.flops, 0);
  return [`  ${groups.length} more kernels once, for ${count(bytes)} bytes that are kept: ${count(flops)} operations`];
}

/** What is computed again; equal ops of one line of the user together. */
function recomputationLines({ ops, bytesSaved, flops }: Recomputation): string[] {
  const times = new Map<string, number>();
  for (const { op, bytes } of ops) {
    const text = `${shortOp(op)}: ${count(bytes)} bytes`;
    times.set(text, (times.get(text) ?? 0) + 1);
  }
  return [
    `  computed again for memoryBudget: ${count(bytesSaved)} bytes saved, ${count(flops)} operations added`,
    ...[...times].map(([text, n]) => `        ${text}${n > 1 ? `, ${n} times` : ''}`),
  ];
}

const memoryText = ({ inputs, outputs, constants, prepared, records, arena, scratch }: Footprint): string =>
  Object.entries({ inputs, outputs, constants, prepared, temporaries: arena, scratch, records })
    .filter(([, bytes]) => bytes > 0)
    .map(([part, bytes]) => `${part} ${count(bytes)}`)
    .join(', ');
