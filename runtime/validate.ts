/**
 * Checks a Program before it is run. A program may come from a file, so nothing about it is taken for granted. Its
 * structure is checked by a table first: every field has its kind, every size is a number or a formula over the symbols.
 * Then what its parts say of each other: every index points at something, and what is written is the program's own. The
 * work is bounded by the length of the program. What depends on concrete sizes is checked when the program is bound.
 */
import { byteSize, isDType } from '../base/dtype.ts';
import { KilnError } from '../base/error.ts';
import { type Check, isObject, makeChecks, type Path, placeOf } from './checks.ts';
import { overlappingTemporary, type PlacedTemporary } from './overlap.ts';
import { type BufferRef, type Program, type ProgramOutput, programVersion } from './program.ts';
import { evaluateFormula } from './sizes.ts';

const maximumRank = 32;
const maximumFormula = 2000;
const maximumBuffers = 100_000;
/** Far more than any program has; it bounds the time that placing them takes. */
const maximumTemporaries = 1 << 16;

/**
 * The same program, when it is one.
 * @throws KilnError `invalid_program`
 */
export function validateProgram(program: unknown): Program {
  checkStructure(program);
  checkRelations(program);
  valid.add(program);
  return program;
}

/** Programs that were checked. Nobody changes a program. */
const valid = new WeakSet<Program>();

/** A program that is checked unless it was: by whoever brought it, or by this device before. @throws as `validateProgram` */
export const validatedProgram = (program: Program): Program =>
  valid.has(program) ? program : validateProgram(program);

function fail(path: Path, what: string, given?: unknown): never {
  throw new KilnError('invalid_program', `not a program that this version runs: ${placeOf(path)} ${what}`, {
    given: given === undefined ? given : shown(given),
    hint: 'compile or bake it again with this version',
  });
}

const shown = (value: unknown): string => (isObject(value) ? tagOf(value) : String(value).slice(0, 100));

const tagOf = (value: unknown): string => Object.prototype.toString.call(value);

function checkStructure(program: unknown): asserts program is Program {
  const { wrong, be, fields, list, oneOf, text, count } = makeChecks(fail);
  const flag = oneOf(true, false);
  const anyText = text();
  const identifier = text(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/);
  const number = count();
  // By its tag: in a `vm` context, as of a test runner, bytes that another thread compiled are not of the own class.
  const bytes = be('no Uint8Array', (value) => ArrayBuffer.isView(value) && tagOf(value) === '[object Uint8Array]');
  /** Symbols, which have no value yet, and formulas that have been checked. */
  const symbols = new Map<string, number>();
  const formulas = new Set<string>();
  const sizeOr =
    (plain: Check): Check =>
    (value) => {
      if (typeof value !== 'string') plain(value);
      else if (!formulas.has(value)) {
        if (value.length > maximumFormula) wrong('too long', value);
        evaluateFormula(value, symbols);
        formulas.add(value);
      }
    };
  const size = sizeOr(number);
  // Such as a stride, which is negative where something runs backwards. One beyond an int32 is that of an array for which
  // there is no room: binding says so.
  const word = sizeOr(count(Number.MAX_SAFE_INTEGER, -(2 ** 31)));
  // Also beyond all counting, for the same reason.
  const byteCount = sizeOr(be('out of range', (value) => Number.isInteger(value) && Number(value) >= 0));
  const dtype = be('no dtype', isDType);
  const spec = { dtype, shape: list(size, maximumRank) };
  const fixed = { dtype, shape: list(number, maximumRank) };

  const isWasm = isObject(program) && isObject(program.tier) && program.tier.target === 'wasm';
  const kernel = {
    name: anyText,
    hash: text(/^[0-9a-f]{64}$/),
    buffers: count(maximumBuffers),
    sizes: list(word),
    flops: size,
    scratchBytes: size,
    bufferBytes: list(byteCount),
    access: list(oneOf('read', 'read_write')),
  };
  fields({
    version: oneOf(programVersion),
    name: anyText,
    tier: fields(
      isWasm
        ? { threads: flag, relaxedSimd: flag }
        : {
            target: oneOf('wasm', 'webgpu'),
            shaderF16: flag,
            subgroups: flag,
            integerDot: flag,
            storageBuffers: count(1024),
          },
    ),
    symbols: list((value) => {
      fields({ name: identifier, min: number, max: number })(value);
      const { name, min, max } = value as Program['symbols'][number];
      if (symbols.has(name) || min > max) wrong('there twice, or has bounds that cross', name);
      symbols.set(name, Number.NaN);
    }),
    inputs: list(fields({ ...spec, donated: flag, held: flag })),
    constants: list(fields({ ...fixed, bytes })),
    prepared: list(fields(fixed)),
    outputs: list(
      fields({ ...spec, source: fields({ kind: oneOf('own', 'donated', 'input', 'constant', 'output') }) }),
    ),
    temporaries: list(fields({ bytes: size, first: number, last: number }), maximumTemporaries),
    kernels: list(
      fields(
        isWasm
          ? {
              ...kernel,
              code: bytes,
              phases: list(fields({ tiles: size, group: size }), maximumBuffers, 1),
              sharedBytes: size,
            }
          : {
              ...kernel,
              code: anyText,
              dispatches: list(fields({ entryPoint: identifier, workgroups: size }), maximumBuffers, 1),
            },
      ),
    ),
    steps: list(
      fields({
        kind: oneOf('launch'),
        kernel: number,
        buffers: list(
          fields({ kind: oneOf('input', 'output', 'constant', 'prepared', 'temporary'), index: number }),
          maximumBuffers,
        ),
      }),
    ),
    prepareSteps: number,
  })(program);
}

/** That the parts of a program fit each other. */
function checkRelations(program: Program): void {
  const { inputs, constants, prepared, outputs, temporaries, kernels, steps, prepareSteps, arenaBytes } = program;
  let path: Path = [];
  const assert = (holds: boolean, otherwise: string): void => {
    if (!holds) fail(path, otherwise);
  };
  const assertIndex = (index: number, end: number): void => {
    // Not in the text: a source has not been looked at, and what is no number may not be a text either.
    if (!(Number.isInteger(index) && index >= 0 && index < end)) fail(path, `is not one of ${end}`, index);
  };

  path = ['arenaBytes'];
  assert(arenaBytes === undefined || (Number.isSafeInteger(arenaBytes) && arenaBytes >= 0), 'is out of range');
  path = ['prepareSteps'];
  assertIndex(prepareSteps, steps.length + 1);
  inputs.forEach(({ held, donated }, i) => {
    path = ['inputs', i];
    assert(!held || !donated, 'is held and donated');
  });
  constants.forEach(({ dtype, shape, bytes }, i) => {
    path = ['constants', i];
    const length = shape.reduce((product, extent) => product * extent, byteSize(dtype));
    assert(bytes.length === length, 'is not as long as its shape says');
  });
  outputs.forEach(({ source }, i) => {
    path = ['outputs', i, 'source'];
    checkSource(source, i);
  });
  temporaries.forEach(({ bytes, offset, first, last }, i) => {
    path = ['temporaries', i];
    assert(first <= last && last < steps.length, 'lives while there are no steps');
    assert(first >= prepareSteps || last < prepareSteps, 'outlives the steps that run only once');
    if (arenaBytes === undefined) return;
    // With a planned arena every temporary has its place, and lies within it.
    const isPlaced = typeof bytes === 'number' && Number.isSafeInteger(offset) && Number(offset) >= 0;
    assert(isPlaced && Number(offset) + bytes <= arenaBytes, 'ends behind the arena');
  });
  if (arenaBytes !== undefined) {
    path = ['temporaries', overlappingTemporary(temporaries as readonly PlacedTemporary[]) ?? -1];
    assert(path[1] === -1, 'lies on another one that is still needed');
  }
  kernels.forEach(({ buffers, bufferBytes, access }, i) => {
    path = ['kernels', i];
    assert(bufferBytes.length === buffers && access.length === buffers, 'does not tell of each of its buffers');
  });
  steps.forEach(({ kernel: at, buffers }, step) => {
    path = ['steps', step, 'kernel'];
    assertIndex(at, kernels.length);
    const kernel = kernels[at];
    assert(buffers.length === kernel.buffers, 'has another number of buffers');
    buffers.forEach((ref, i) => {
      path = ['steps', step, 'buffers', i];
      checkBuffer(ref, step, kernel.access[i] === 'read_write');
    });
  });

  function checkSource(source: ProgramOutput['source'], output: number): void {
    if (source.kind === 'own') return;
    const ends = { donated: inputs.length, input: inputs.length, constant: constants.length, output };
    const index = source.kind === 'donated' ? source.input : source.index;
    assertIndex(index, ends[source.kind]);
    assert(source.kind !== 'donated' || inputs[index].donated, 'takes over an input that is not donated');
  }

  /** What a step binds is there, at its time; what it writes is the program's own, or was given up to it. */
  function checkBuffer({ kind, index }: BufferRef, step: number, isWritten: boolean): void {
    const lists = { input: inputs, output: outputs, constant: constants, prepared, temporary: temporaries };
    assertIndex(index, lists[kind].length);
    const isOnce = step < prepareSteps;
    if (kind === 'input') {
      const { held, donated } = inputs[index];
      assert(held || !isOnce, 'is used only once, and names an input that is not held');
      assert(donated || !isWritten, 'is written, and names an input that is not donated');
    } else if (kind === 'output') {
      assert(!isOnce, 'is used only once, and names an output');
      assert(outputs[index].source.kind === 'own', 'names an output without a buffer of its own');
    } else if (kind === 'temporary') {
      const { first, last } = temporaries[index];
      assert(first <= step && step <= last, 'names a temporary out of its time');
    } else assert(!isWritten || (kind === 'prepared' && isOnce), `is written, and names what is kept`);
  }
}
