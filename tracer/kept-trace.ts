/**
 * Traces under an explicit key (`compile(fn, { cache: 'step v1' })`): what a function came to for one signature is
 * kept beside the programs, and a process that finds it there runs the program without running the function.
 *
 *     recallTrace(call) ?? trace the function, then keepTrace(call, …)
 *
 * The key of the entry is the hash of everything that a trace may depend on, but for the function, for which the user
 * has given their word; its name is in it, so that a text such as 'v1' may serve several. What is found is checked against the arguments and against the program before it is used.
 */
import { parseDim, type SymbolRange } from '../base/dim.ts';
import { KilnError } from '../base/error.ts';
import { debug, isDebugging } from '../base/flags.ts';
import { hashOf } from '../base/hash.ts';
import { formatType } from '../ir/printer.ts';
import type { TensorType } from '../ir/types.ts';
import type { CompiledCache } from '../runtime/cache/compiled-cache.ts';
import { type Program, type TensorSpec, tierName } from '../runtime/program.ts';
import type { SignedCall } from './compilation.ts';
import type { ResolvedOptions } from './compile-options.ts';
import { boundsText } from './entry.ts';
import {
  type CompiledSource,
  knownProgram,
  measuredParts,
  type ProgramOptions,
  programInMemory,
  shortKey,
} from './program-cache.ts';
import { signReceiver } from './receiver.ts';
import { readableCache, writableCache } from './session-cache.ts';
import { portableKey } from './signature.ts';
import { isContested } from './trace-claims.ts';
import { PortableNames, programOfTrace, readTrace, recordTrace, type Traced } from './trace-record.ts';

/** A call whose trace may be known. */
export interface TraceableCall {
  readonly options: ResolvedOptions;
  readonly signed: SignedCall;
  /** Types of the arrays among the arguments, symbolic where they may vary. */
  readonly types: readonly TensorType[];
  /** How it is compiled; `donated` is about the arrays among the arguments. */
  readonly program: Omit<ProgramOptions, 'held'>;
}

/** What a trace says, from wherever it is. */
export interface RecalledTrace extends Traced {
  readonly source: CompiledSource;
  /** Whether the program was not in memory. */
  readonly isNew: boolean;
  readonly results: readonly TensorType[];
}

/** What another process came to, where the cache answers at once. */
export function recallTrace(call: TraceableCall): RecalledTrace | undefined {
  const place = placeOf(call);
  if (!place?.cache.isSync) return undefined;
  const { cache, key } = place;
  const record = cache.findTraceSync(key);
  if (record === undefined) return undefined;
  const program = programKeyOf(record, place);
  return program === undefined
    ? undefined
    : read(call, place, record, program, programInMemory(program, call.program) ?? cache.findProgramSync(program));
}

/** The same where the cache must be waited for. */
export async function recallTraceAside(call: TraceableCall): Promise<RecalledTrace | undefined> {
  const place = placeOf(call);
  if (!place) return undefined;
  const { cache, key } = place;
  const record = await cache.findTrace(key);
  if (record === undefined) return undefined;
  const program = programKeyOf(record, place);
  return program === undefined
    ? undefined
    : read(call, place, record, program, programInMemory(program, call.program) ?? (await cache.findProgram(program)));
}

/** Whether the trace of a call may be found by waiting only. */
export const mustAwaitTrace = ({ name, isKept, traceKey }: ResolvedOptions): boolean =>
  traceKey !== undefined && readableCache(name, isKept)?.isSync === false;

/**
 * Keeps what a function came to.
 * @param captures how many tensors it takes from around it
 */
export function keepTrace(call: TraceableCall, source: CompiledSource, traced: Traced, captures: number): void {
  const { options } = call;
  if (options.traceKey === undefined) return;
  const cache = writableCache(options.isKept);
  if (!cache) return;
  const names = new PortableNames();
  const key = traceKey(call, names);
  const record = recordTrace(source.key, traced, names);
  const obstacle = captures > 0 ? `it takes ${captures} tensors from around it` : names.obstacle;
  // The name is for `kiln cache ls`.
  if (obstacle === undefined) cache.keepTrace(key, { name: options.name, ...record });
  if (!isDebugging('cache')) return;
  const name = `${options.name}: the trace under '${options.traceKey}' is`;
  debug('cache', obstacle === undefined ? `${name} kept as ${shortKey(key)}` : `${name} not kept: ${obstacle}`);
}

interface Place {
  readonly cache: CompiledCache;
  readonly key: string;
}

function placeOf(call: TraceableCall): Place | undefined {
  const { name, isKept, traceKey: given } = call.options;
  if (given === undefined || isDebugging('trace')) return undefined;
  const cache = readableCache(name, isKept);
  if (!cache) return undefined;
  const names = new PortableNames();
  const key = traceKey(call, names);
  if (names.obstacle === undefined) return { cache, key };
  if (isDebugging('cache')) debug('cache', `${name}: the trace under '${given}' is not looked for: ${names.obstacle}`);
  return undefined;
}

/** @param names notes what makes the key meaningless to other processes */
function traceKey({ options, signed, types, program }: TraceableCall, names: PortableNames): string {
  if (isContested(options)) names.obstacle = `another function that is called ${options.name} has this text, too`;
  const { receiver, thisArg, args } = signed;
  const { precision, donated, device } = program;
  const parts = [
    options.traceKey,
    options.name,
    precision,
    tierName(device.tier),
    ...measuredParts(program),
    donated.map(Number).join(''),
    args.map((_, i) => Number(options.isStatic(i))).join(''),
    types.map(formatType).join(),
    boundsText(types),
    receiver ? signReceiver(thisArg as object, { identify: names.identify, classOf: classNameOf }).key : '',
    portableKey(args, options.isStatic, names),
  ];
  // As JSON, also halves of surrogate pairs are told apart: as UTF-8 they all are one.
  return hashOf(`kiln trace ${JSON.stringify(parts)}`);
}

/** What classes do is part of the promise, but not which one it is. */
const classNameOf = (holder: object): string => {
  const { name = '' } = (typeof holder === 'function' ? holder : (holder.constructor ?? {})) as {
    readonly name?: string;
  };
  return `${name.length}:${name}`;
};

function programKeyOf(record: unknown, place: Place): string | undefined {
  try {
    return programOfTrace(record);
  } catch (error) {
    return drop(place, error);
  }
}

/** A trace and its program, if they belong together and to the call. */
function read(
  call: TraceableCall,
  place: Place,
  record: unknown,
  key: string,
  program: Program | undefined,
): RecalledTrace | undefined {
  const { options, signed, types } = call;
  if (!program) return undefined;
  try {
    const traced = readTrace(record, program.outputs.length);
    assertFits(program, types, call.program.donated);
    const holders = new Set([...(signed.receiver?.holders.values() ?? [])].map((path) => JSON.stringify(path)));
    for (const { holder, key: field } of traced.effects) {
      if (!holders.has(JSON.stringify(holder)) || field === '__proto__') throw foreign(`an effect on ${field}`);
    }
    const symbols = new Map(program.symbols.map((symbol) => [symbol.name, symbol]));
    const results = program.outputs.map((output) => typeOf(output, symbols));
    const held = program.inputs.map((input) => input.held);
    const known = knownProgram(key, program, { ...call.program, held });
    if (isDebugging('cache')) {
      debug(
        'cache',
        `${options.name}: not traced: the trace under '${options.traceKey}' is known (${shortKey(place.key)})`,
      );
    }
    return { ...traced, ...known, results };
  } catch (error) {
    if (!(error instanceof KilnError) || error.code !== 'unregistered_class') return drop(place, error);
    if (isDebugging('cache')) debug('cache', `${options.name}: traced although its trace is known: ${error.summary}`);
    return undefined;
  }
}

function drop({ cache, key }: Place, error: unknown): undefined {
  cache.dropTrace(key, error instanceof KilnError ? `${error.summary}: ${error.given}` : String(error));
}

/** @throws KilnError `invalid_program` for a program of other arguments */
function assertFits({ inputs }: Program, types: readonly TensorType[], donated: readonly boolean[]): void {
  const fits =
    inputs.length === types.length &&
    inputs.every(
      ({ dtype, shape, donated: isDonated }, i) =>
        dtype === types[i].dtype && shape.join() === types[i].shape.join() && isDonated === donated[i],
    );
  if (!fits) throw foreign('a program of other arguments');
}

const typeOf = ({ dtype, shape }: TensorSpec, symbols: ReadonlyMap<string, SymbolRange>): TensorType => ({
  dtype,
  shape: shape.map((size) => (typeof size === 'number' ? size : parseDim(size, symbols))),
});

const foreign = (given: string): KilnError =>
  new KilnError('invalid_program', 'not a trace that this call can use', { given });
