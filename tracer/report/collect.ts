/**
 * From the stages of a compile to the data of its report. Ops and values become positions, sizes become numbers.
 *
 *     const data = collectReport(stages, { precision: 'fast', bindings: new Map() });
 */
import { planArena } from '../../base/arena.ts';
import { type Dim, type DimBindings, evaluateDim } from '../../base/dim.ts';
import { byteSize } from '../../base/dtype.ts';
import { printNumber } from '../../ir/attributes.ts';
import { printKernel } from '../../ir/kernel-print.ts';
import type { FusionGroupReport, Lowered } from '../../ir/lowered.ts';
import { formatType, printLines } from '../../ir/printer.ts';
import { type Module, mainOf, type Op, type TensorType, type Value } from '../../ir/types.ts';
import { footprintOf } from '../../runtime/footprint.ts';
import { isWebgpuProgram, type Program, type Size } from '../../runtime/program.ts';
import { evaluateSize } from '../../runtime/sizes.ts';
import { planTemporaries } from '../../runtime/wasm/workspace-plan.ts';
import { planArenas } from '../../runtime/webgpu/arenas.ts';
import { codesOf, type Stages } from '../compile-report.ts';
import type { Precision } from '../settings.ts';
import type {
  BarData,
  FunctionData,
  GroupData,
  HeldValue,
  MemoryData,
  OpData,
  OpRef,
  PlaceData,
  RefusalData,
  RefusedOp,
  ReportData,
  TemporaryData,
} from './data.ts';

export interface CollectOptions {
  readonly precision: Precision;
  /** Values of symbolic sizes; one that is absent counts at its lower bound. */
  readonly bindings: DimBindings;
}

/** Characters of an op's line; the rest of a long array is cut. */
const longestText = 400;

export function collectReport(stages: Stages, { precision, bindings }: CollectOptions): ReportData {
  const { module, optimized, lowered } = stages;
  const sizes = new Map(lowered.symbols.map(({ name, min }) => [name, bindings.get(name) ?? min]));
  const collector = new Collector((size) => evaluateDim(size, sizes));
  const traced = collector.module(module);
  const functions = collector.module(optimized);
  const { groups, launchGroups } = collector.groups(lowered);
  const codes = codesOf(stages);
  return {
    name: lowered.name,
    target: stages.program.tier.target,
    precision,
    sizes: [...sizes],
    traced,
    optimized: functions,
    groups,
    kernels: lowered.kernels.map((kernel, at) => ({
      name: kernel.name,
      text: printKernel(kernel),
      code: codes[at],
    })),
    launches: lowered.launches.map(({ kernel }, at) => ({ kernel, group: launchGroups[at] })),
    prepareLaunches: lowered.prepareLaunches,
    refusals: lowered.report.refusals.map((refusal) => collector.refusal(refusal)),
    memory: collector.memory(stages, sizes, functions[optimized.functions.indexOf(mainOf(optimized))]),
    places: collector.places,
  };
}

/** Where temporaries begin, arenas one behind the other. */
function offsetsOf(program: Program, evaluate: (size: Size) => number): readonly number[] {
  if (!isWebgpuProgram(program)) return planTemporaries(program, evaluate, planArena).offsets;
  const { places, arenas } = planArenas(program, evaluate);
  const starts: number[] = [];
  arenas.reduce((start, bytes, at) => {
    starts[at] = start;
    return start + bytes;
  }, 0);
  return places.map(({ arena, offset }) => starts[arena] + offset);
}

class Collector {
  readonly places: PlaceData[] = [];
  readonly #placeNumbers = new Map<string, number>();
  readonly #numberOf: (size: Dim) => number;
  /** Where the ops and values of the modules stand; those of the module that was met last. */
  #ops = new Map<Op, OpRef>();
  #values = new Map<Value, readonly [func: number, value: number]>();
  /** Ops by the identity of their attributes, which copies of an op share. */
  #byAttributes = new Map<object, Op>();

  constructor(numberOf: (size: Dim) => number) {
    this.#numberOf = numberOf;
  }

  module({ functions }: Module): FunctionData[] {
    this.#ops = new Map();
    this.#values = new Map();
    this.#byAttributes = new Map();
    const numbers = new Map(functions.map(({ name }, at) => [name, at]));
    return functions.map(({ name, graph }, at) => {
      const printed = printLines(graph, { name });
      const values: FunctionData['values'][number][] = [];
      const add = (value: Value): number => {
        const { type } = value;
        const number = values.push({
          name: `%${printed.names.get(value)}`,
          type: formatType(type),
          bytes: this.#bytesOf(type),
        });
        this.#values.set(value, [at, number - 1]);
        return number - 1;
      };
      const numberOf = (value: Value): number => this.#values.get(value)?.[1] ?? add(value);
      const parameters = graph.parameters.map(add);
      const scalars = new Map<Value, string>();
      const ops = graph.ops.map((op, position): OpData => {
        this.#ops.set(op, [at, position]);
        this.#byAttributes.set(op.attributes, op);
        const scalar = scalarOf(op, scalars);
        if (scalar !== undefined) scalars.set(op.results[0], scalar);
        const place = this.#placeOf(op);
        const callee = op.opcode === 'call' ? numbers.get(op.attributes.function) : undefined;
        const note = noteOf(op);
        return {
          opcode: op.opcode,
          ...(note !== undefined && { note }),
          text: cut(printed.lines[printed.lineOf.get(op) ?? 0].trim()),
          operands: op.operands.map(numberOf),
          results: op.results.map(add),
          ...(place !== undefined && { place }),
          ...(callee !== undefined && { callee }),
          ...(scalar !== undefined && { scalar }),
        };
      });
      return { name, values, parameters, results: graph.results.map(numberOf), ops };
    });
  }

  /** Each set of ops once, however often it is launched. */
  groups({ report }: Lowered): { groups: GroupData[]; launchGroups: number[] } {
    const groups: (GroupData & { launches: number[] })[] = [];
    // Copies of a launch share the list of their ops.
    const known = new Map<readonly Op[], number>();
    const launchGroups = report.groups.map((group): number => {
      const found = known.get(group.ops);
      if (found !== undefined) {
        groups[found].launches.push(group.launch);
        return found;
      }
      const ops = this.#opsOf(group);
      const values = (list: readonly Value[]): number[] =>
        list.map((value) => this.#valueIn(value, group)?.[1]).filter((value) => value !== undefined);
      const number = groups.push({
        function: ops[0]?.[0] ?? 0,
        kernel: group.kernel,
        ops: [...new Set(ops.map(([, op]) => op))].sort((a, b) => a - b),
        reads: values(group.reads),
        writes: values(group.writes),
        launches: [group.launch],
        bytesBefore: this.#numberOf(group.bytesBefore),
        bytesAfter: this.#numberOf(group.bytesAfter),
        flops: this.#numberOf(group.flopsAfter),
      });
      known.set(group.ops, number - 1);
      return number - 1;
    });
    return { groups, launchGroups };
  }

  #opsOf({ ops }: FusionGroupReport): OpRef[] {
    return ops.map((op) => this.#refOf(op)).filter((ref) => ref !== undefined);
  }

  /** An op of the module, or the one that it is a copy of. */
  #refOf(op: Op): OpRef | undefined {
    const known = this.#ops.get(op);
    const original = known ? undefined : this.#byAttributes.get(op.attributes);
    return known ?? (original && this.#ops.get(original));
  }

  /** A value of the module; a copy is known by the op of the group that computes it. */
  #valueIn(value: Value, { ops }: FusionGroupReport): readonly [func: number, value: number] | undefined {
    const known = this.#values.get(value);
    if (known) return known;
    const op = ops.find(({ results }) => results.includes(value));
    const original = op && this.#byAttributes.get(op.attributes);
    return original && op && this.#values.get(original.results[op.results.indexOf(value)]);
  }

  refusal({ producer, consumer, rule, detail }: Lowered['report']['refusals'][number]): RefusalData {
    return { producer: this.#refused(producer), consumer: this.#refused(consumer), rule, detail };
  }

  #refused(op: Op): RefusedOp {
    const [ref, place] = [this.#refOf(op), this.#placeOf(op)];
    return { opcode: op.opcode, ...(ref && { op: ref }), ...(place !== undefined && { place }) };
  }

  memory({ lowered, program, threads }: Stages, sizes: DimBindings, main: FunctionData): MemoryData {
    const nameOf = (value: number): string => main.values[value].name;
    const offsets = offsetsOf(program, (size) => evaluateSize(size, sizes));
    const held = lowered.temporaries.map((): HeldValue[] => []);
    const touched = {
      input: new Spans(),
      output: new Spans(),
      constant: new Spans(),
      prepared: new Spans(),
      temporary: new Spans(),
    };
    lowered.launches.forEach(({ buffers }, launch) => {
      for (const { kind, index } of buffers) touched[kind].note(index, launch);
      const group = lowered.report.groups[launch];
      group.writes.forEach((value, at) => {
        const { kind, index } = buffers[buffers.length - group.writes.length + at];
        const found = kind === 'temporary' ? this.#valueIn(value, group) : undefined;
        if (found) held[index].push({ launch, function: found[0], value: found[1] });
      });
    });
    const bar = (name: string, type: TensorType, span: Span | undefined): BarData => {
      return { name, type: formatType(type), bytes: this.#bytesOf(type), ...span };
    };
    return {
      footprint: footprintOf(program, sizes, threads),
      temporaries: lowered.temporaries.map(
        ({ bytes, first, last }, at): TemporaryData => ({
          bytes: this.#numberOf(bytes),
          offset: offsets[at],
          first,
          last,
          holds: held[at],
        }),
      ),
      inputs: lowered.inputs.map(({ type, donated }, at) => ({
        ...bar(nameOf(main.parameters[at]), type, touched.input.of(at)),
        ...(donated && { donated }),
      })),
      outputs: lowered.outputs.map(({ type, source }, at) => {
        const { kind, ...where } = source;
        const alias = kind === 'own' ? {} : { alias: [kind, ...Object.values(where)].join(' ') };
        return { ...bar(`result ${at}`, type, touched.output.of(at)), ...alias };
      }),
      constants: lowered.constants.map(({ dtype, shape }, at) =>
        bar(`constant ${at}`, { dtype, shape }, touched.constant.of(at)),
      ),
      prepared: lowered.prepared.map(({ type }, at) => bar(`prepared ${at}`, type, touched.prepared.of(at))),
    };
  }

  #bytesOf = ({ dtype, shape }: TensorType): number =>
    shape.reduce<number>((bytes, size) => bytes * this.#numberOf(size), byteSize(dtype));

  #placeOf({ location }: Op): number | undefined {
    const text = location?.toString() ?? '';
    const known = this.#placeNumbers.get(text);
    if (known !== undefined) return known;
    const match = /^(.*):(\d+):(\d+)$/.exec(text);
    if (!match) return undefined;
    const number = this.places.push({ file: match[1], line: Number(match[2]), column: Number(match[3]) }) - 1;
    this.#placeNumbers.set(text, number);
    return number;
  }
}

const cut = (text: string): string => (text.length > longestText ? `${text.slice(0, longestText - 1)}…` : text);

/** The kind or direction of an op, or the function that it calls. */
function noteOf({ attributes }: Op): string | undefined {
  if ('kind' in attributes) return attributes.kind;
  if ('function' in attributes) return `@${attributes.function}`;
  return 'direction' in attributes ? attributes.direction : undefined;
}

/** The number that an op's result is everywhere, as text. */
function scalarOf(op: Op, scalars: ReadonlyMap<Value, string>): string | undefined {
  switch (op.opcode) {
    case 'constant': {
      const { dtype, data } = op.attributes.value;
      if (data.length !== 1) return undefined;
      return dtype === 'bool' ? String(data[0] !== 0) : printNumber(data[0]);
    }
    case 'dimension_size':
      return String(op.attributes.size);
    case 'broadcast_in_dim':
    case 'reshape':
      return scalars.get(op.operands[0]);
    default:
      return undefined;
  }
}

interface Span {
  readonly first: number;
  readonly last: number;
}

/** First and last launch that touches each buffer of a kind. */
class Spans {
  readonly #spans = new Map<number, Span>();

  note(index: number, launch: number): void {
    this.#spans.set(index, { first: this.#spans.get(index)?.first ?? launch, last: launch });
  }

  of(index: number): Span | undefined {
    return this.#spans.get(index);
  }
}
