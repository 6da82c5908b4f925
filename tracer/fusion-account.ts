/**
 * What fusion did, as plain data and in words: which ops each launch computes and what that saves, and for every edge
 * that goes through memory the rule that kept the two ops apart. `explain()` and `KILN_DEBUG=fusion` print it.
 *
 *     9,216 bytes moved (17,408 op by op)
 *     66,560 operations
 *     kernels:
 *       0  dot_general_add_tanh: 9,216 bytes moved (17,408 op by op), 66,560 operations
 *          model.ts:12  dot_general, add
 *          model.ts:13  tanh
 *     through memory:
 *       one-contraction: A kernel computes one contraction: its tiles belong to that one.
 *          tanh f32[8,64] @model.ts:13:9 → dot_general @model.ts:14:14: the kernel computes a dot_general already
 */
import type { Dim } from '../base/dim.ts';
import type { FusionGroupReport, FusionRefusal, Lowered } from '../ir/lowered.ts';
import { formatType } from '../ir/printer.ts';
import type { Op } from '../ir/types.ts';
import { fusionRules } from '../passes/fuse/rule-names.ts';
import { fromWorkingFolder } from './working-folder.ts';

/** A launch and the ops it computes. */
export interface GroupReport {
  /** Name of the kernel. */
  readonly kernel: string;
  /** The block that is compiled once and that the launch belongs to: `call` of `calls`, counted from 1. */
  readonly block?: { readonly name: string; readonly call: number; readonly calls: number };
  /** Opcodes, each with the user's line where known: `dot_general @model.ts:12:14`. */
  readonly ops: readonly string[];
  /** Bytes read and written if every op ran alone. */
  readonly bytesBefore: number;
  /** Bytes read and written as fused. */
  readonly bytesAfter: number;
  /** Operations if every op ran once. */
  readonly flopsBefore: number;
  /** Operations of the kernel, which computes some again and some less often. */
  readonly flops: number;
}

/** An edge between two ops that goes through memory, and the rule that kept them apart. */
export interface RefusalReport {
  readonly producer: string;
  readonly consumer: string;
  /** What goes through memory: `f32[8,64]`. */
  readonly type: string;
  readonly rule: string;
  readonly detail: string;
}

export interface FusionAccount {
  /** Launches of every run. */
  readonly groups: readonly GroupReport[];
  /** Launches that are run only once. */
  readonly preparation: readonly GroupReport[];
  readonly refusals: readonly RefusalReport[];
}

/** @param numberOf the number that a size stands for */
export function fusionAccount({ kernels, report }: Lowered, numberOf: (size: Dim) => number): FusionAccount {
  const calls = new Map<string, number>();
  for (const { block } of report.groups) {
    if (block) calls.set(block.function, Math.max(block.call + 1, calls.get(block.function) ?? 0));
  }
  const describe = (group: FusionGroupReport): GroupReport => {
    const { kernel, block, ops, bytesBefore, bytesAfter, flopsBefore, flopsAfter } = group;
    return {
      kernel: kernels[kernel].name,
      ...(block && { block: { name: block.function, call: block.call + 1, calls: calls.get(block.function) ?? 0 } }),
      ops: ops.map(describeOp),
      bytesBefore: numberOf(bytesBefore),
      bytesAfter: numberOf(bytesAfter),
      flopsBefore: numberOf(flopsBefore),
      flops: numberOf(flopsAfter),
    };
  };
  return {
    groups: report.groups.filter(({ prepares }) => !prepares).map(describe),
    preparation: report.groups.filter(({ prepares }) => prepares).map(describe),
    refusals: report.refusals.map(describeRefusal),
  };
}

/** An op and the user's line where known: `dot_general @model.ts:12:14`. */
export const describeOp = ({ opcode, location }: Op): string => {
  const at = location?.toString();
  return at ? `${opcode} @${at}` : opcode;
};

/** Ops named at most. */
const mostDescribed = 8;

/** Several ops, equal ones once: `dot_general @model.ts:12:14, tanh @model.ts:12:20`. */
export function describeOps(ops: readonly Op[]): string {
  const distinct = [...new Set(ops.map(describeOp))];
  const more = distinct.length - mostDescribed;
  return [...distinct.slice(0, mostDescribed), ...(more > 0 ? [`${more} more`] : [])].join(', ');
}

function describeRefusal({ producer, consumer, rule, detail }: FusionRefusal): RefusalReport {
  const value = producer.results.find((result) => consumer.operands.includes(result)) ?? producer.results[0];
  const type = formatType(value.type);
  return { producer: describeOp(producer), consumer: describeOp(consumer), type, rule, detail };
}

/** The sums over all launches as lines, indented. */
export function totalLines(groups: readonly GroupReport[]): string[] {
  const sum = (of: 'bytesBefore' | 'bytesAfter' | 'flopsBefore' | 'flops'): number =>
    groups.reduce((total, group) => total + group[of], 0);
  const [bytes, operations] = [sum('bytesAfter'), sum('flops')];
  return [
    `  ${count(bytes)} bytes moved${alone(bytes, sum('bytesBefore'))}`,
    `  ${count(operations)} operations${alone(operations, sum('flopsBefore'))}`,
  ];
}

/** The account as lines, indented. */
export const fusionLines = ({ groups, preparation, refusals }: FusionAccount): string[] => [
  '  kernels:',
  ...groupLines(groups),
  ...(preparation.length > 0 ? ['  once, and kept:', ...groupLines(preparation)] : []),
  ...(refusals.length > 0 ? ['  through memory:', ...refusalLines(refusals)] : ['  nothing goes through memory']),
];

/** Equal launches, such as those of equal layers, are told once. */
function groupLines(groups: readonly GroupReport[]): string[] {
  const launches = new Map<string, number[]>();
  groups.forEach((group, launch) => {
    const text = groupText(group).join('\n');
    const known = launches.get(text);
    if (known) known.push(launch);
    else launches.set(text, [launch]);
  });
  return [...launches].map(([text, numbers]) => {
    const shown = numbers.length <= 8 ? numbers.join(', ') : `${numbers.slice(0, 7).join(', ')} … ${numbers.at(-1)}`;
    return `    ${shown}  ${text}`;
  });
}

function groupText({ kernel, block, ops, bytesBefore, bytesAfter, flopsBefore, flops }: GroupReport): string[] {
  const bytes = `${count(bytesAfter)} bytes moved${alone(bytesAfter, bytesBefore)}`;
  const operations = `${count(flops)} operations${alone(flops, flopsBefore)}`;
  const within = block ? ` in @${block.name}, called ${block.calls} times` : '';
  return [`${kernel}${within}: ${bytes}, ${operations}`, ...byLocation(ops)];
}

const alone = (after: number, before: number): string => (after === before ? '' : ` (${count(before)} op by op)`);

/** Ops of one line of the user's in one line. */
function byLocation(ops: readonly string[]): string[] {
  const lines = new Map<string, string[]>();
  for (const op of ops) {
    const [opcode, at = ''] = op.split(' @');
    const line = at.replace(/:\d+$/, '');
    const known = lines.get(line);
    if (known) known.push(opcode);
    else lines.set(line, [opcode]);
  }
  return [...lines].map(([line, opcodes]) => `         ${line && `${fromWorkingFolder(line)}  `}${counted(opcodes)}`);
}

/** `a ×2, b` for `a`, `b` and `a`. */
function counted(names: readonly string[]): string {
  const times = new Map<string, number>();
  for (const name of names) times.set(name, (times.get(name) ?? 0) + 1);
  return [...times].map(([name, n]) => (n === 1 ? name : `${name} ×${n}`)).join(', ');
}

/** `dot_general @model.ts:12:14` for an op with the whole path of its file. */
export const shortOp = (op: string): string => {
  const [opcode, at] = op.split(' @');
  return at ? `${opcode} @${fromWorkingFolder(at)}` : opcode;
};

interface Edge {
  readonly from: string;
  readonly consumers: string[];
  readonly detail: string;
}

/** Edges by rule; those of one value for one reason in one line. */
function refusalLines(refusals: readonly RefusalReport[]): string[] {
  const rules = new Map<string, Map<string, Edge>>();
  for (const { producer, consumer, type, rule, detail } of refusals) {
    let edges = rules.get(rule);
    if (!edges) {
      edges = new Map();
      rules.set(rule, edges);
    }
    const from = shortOp(producer).replace(/^\S+/, (opcode) => `${opcode} ${type}`);
    const edge = edges.get(`${from}: ${detail}`);
    if (edge) edge.consumers.push(shortOp(consumer));
    else edges.set(`${from}: ${detail}`, { from, consumers: [shortOp(consumer)], detail });
  }
  return [...rules].flatMap(([rule, edges]) => [
    `    ${rule}: ${rule in fusionRules ? fusionRules[rule as keyof typeof fusionRules] : ''}`,
    ...[...edges.values()].map(({ from, consumers, detail }) => `         ${from} → ${counted(consumers)}: ${detail}`),
  ]);
}

export const count = (value: number): string => value.toLocaleString('en-US');
