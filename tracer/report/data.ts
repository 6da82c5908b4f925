/**
 * What a report shows, as plain data: the graphs before and after, groups, kernels, launches, refusals, memory. It is
 * made where the compiler runs and travels back from a worker; everything refers to everything else by position.
 *
 *     optimized[0].ops[4]     { opcode: 'tanh', text: '%4: f32[8,2] = tanh %3', operands: [3], results: [4], place: 0 }
 *     groups[0]               { function: 0, kernel: 0, ops: [2, 4], writes: [4], ... }
 *     launches[0]             { kernel: 0, group: 0 }
 */
import type { Footprint } from '../../runtime/footprint.ts';
import type { Tier } from '../../runtime/program.ts';
import type { Precision } from '../settings.ts';

export interface ReportData {
  readonly name: string;
  /** What the code is for. */
  readonly target: Tier['target'];
  readonly precision: Precision;
  /** Symbolic sizes and the values that bytes and FLOPs are counted at. */
  readonly sizes: readonly (readonly [name: string, value: number])[];
  /** Functions as traced and as lowered; callees come before their callers, the function that is entered last. */
  readonly traced: readonly FunctionData[];
  readonly optimized: readonly FunctionData[];
  readonly groups: readonly GroupData[];
  readonly kernels: readonly KernelData[];
  readonly launches: readonly LaunchData[];
  /** How many of them, from the first on, are run only once. */
  readonly prepareLaunches: number;
  readonly refusals: readonly RefusalData[];
  readonly memory: MemoryData;
  readonly places: readonly PlaceData[];
}

export interface FunctionData {
  readonly name: string;
  readonly values: readonly ValueData[];
  /** Positions in `values`. */
  readonly parameters: readonly number[];
  readonly results: readonly number[];
  readonly ops: readonly OpData[];
}

export interface ValueData {
  /** As in the text form: `%x`. */
  readonly name: string;
  /** `f32[8,128]`. */
  readonly type: string;
  readonly bytes: number;
}

export interface OpData {
  readonly opcode: string;
  /** The attribute that says most: the kind of a reduction, the direction of a comparison. */
  readonly note?: string;
  /** Its line in the text form, long arrays cut. */
  readonly text: string;
  /** Positions in the function's `values`. */
  readonly operands: readonly number[];
  readonly results: readonly number[];
  /** Position in `places`. */
  readonly place?: number;
  /** The function that a call runs, as position in the same module. */
  readonly callee?: number;
  /** What the result is, if it is one number everywhere: `0.5`. */
  readonly scalar?: string;
}

/** Position of a function in `optimized`, and of an op in it. */
export type OpRef = readonly [func: number, op: number];

/** Ops that one launch computes; a function that is called several times has each of its groups once. */
export interface GroupData {
  readonly function: number;
  /** That of its first launch; one that works in place may run elsewhere. */
  readonly kernel: number;
  /** Positions in the function's ops, ascending. An op that is cheap may be in several groups. */
  readonly ops: readonly number[];
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  readonly launches: readonly number[];
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly flops: number;
}

export interface KernelData {
  readonly name: string;
  /** Kernel IR. */
  readonly text: string;
  /** The target's code as text. */
  readonly code: string;
}

export interface LaunchData {
  readonly kernel: number;
  readonly group: number;
}

/** An edge that goes through memory, and why. */
export interface RefusalData {
  readonly producer: RefusedOp;
  readonly consumer: RefusedOp;
  readonly rule: string;
  readonly detail: string;
}

export interface RefusedOp {
  readonly opcode: string;
  readonly op?: OpRef;
  readonly place?: number;
}

export interface MemoryData {
  /** What one run holds, as the device allocates it. */
  readonly footprint: Footprint;
  readonly temporaries: readonly TemporaryData[];
  readonly inputs: readonly BarData[];
  readonly outputs: readonly BarData[];
  readonly constants: readonly BarData[];
  /** What is computed once and kept. */
  readonly prepared: readonly BarData[];
}

/** A block of the arena: from its offset, alive from launch `first` to launch `last`, both included. */
export interface TemporaryData {
  readonly bytes: number;
  readonly offset: number;
  readonly first: number;
  readonly last: number;
  /** The values it holds in turn. */
  readonly holds: readonly HeldValue[];
}

export interface HeldValue {
  /** Launch that writes it. */
  readonly launch: number;
  readonly function: number;
  readonly value: number;
}

/** Memory outside the arena. */
export interface BarData {
  readonly name: string;
  readonly type: string;
  readonly bytes: number;
  /** First and last launch that touches it; absent when none does. */
  readonly first?: number;
  readonly last?: number;
  /** Where an output lies that has no buffer of its own: `input 2`. */
  readonly alias?: string;
  readonly donated?: boolean;
}

/** A line of the user's source. */
export interface PlaceData {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The text of the line, where the file can be read. */
  readonly text?: string;
}

/** How many launches of every run compute the ops of a group. */
export const launchesARun = ({ prepareLaunches }: ReportData, { launches }: GroupData): number =>
  launches.filter((launch) => launch >= prepareLaunches).length;

/** Milliseconds of launches, from several runs. */
export interface LaunchTimings {
  readonly runs: number;
  /** Median for each launch. */
  readonly launches: readonly number[];
  /** Milliseconds of the compile. */
  readonly compileMs: number;
}
