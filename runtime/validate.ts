/**
 * Checks a Program before it is run. A program may come from a file, so nothing about it is taken for granted: every
 * field has its kind, every index points at something, every size is a number or parses over the symbols. The work is
 * bounded by the length of the program. What depends on concrete sizes is checked when the program is bound.
 */
import { byteSize, type DType, isDType } from '../base/dtype.ts';
import { KilnError } from '../base/error.ts';
import { overlappingTemporary, type PlacedTemporary } from './overlap.ts';
import {
  type BufferRef,
  type Program,
  type ProgramKernel,
  type ProgramOutput,
  programVersion,
  type Size,
  type Step,
  type Tier,
  type WasmKernel,
  type WebgpuTier,
  type WgslKernel,
} from './program.ts';
import { assertFormula } from './sizes.ts';

const maximumRank = 32;
const maximumSizeText = 2000;
/** Far more than any program has; it bounds the time that placing them takes. */
const maximumTemporaries = 1 << 16;

type Fields = { readonly [name: string]: unknown };

function fail(what: string, given?: unknown): never {
  throw new KilnError('invalid_program', `not a program that this version runs: ${what}`, {
    ...(given !== undefined && { given: shown(given) }),
    hint: 'compile or bake it again with this version',
  });
}

const shown = (value: unknown): string =>
  typeof value === 'object' && value !== null ? Object.prototype.toString.call(value) : String(value).slice(0, 100);

function record(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(`${what} is no record`, value);
  return value as Fields;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) fail(`${what} is no list`, value);
  return value;
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string') fail(`${what} is no text`, value);
  return value;
}

function count(value: unknown, what: string, end = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value >= end) {
    fail(`${what} is out of range`, value);
  }
  return value;
}

function bytes(value: unknown, what: string): Uint8Array {
  // By its tag: in a `vm` context, as of a test runner, bytes that another thread compiled are not of the own class.
  if (!ArrayBuffer.isView(value) || Object.prototype.toString.call(value) !== '[object Uint8Array]') {
    fail(`${what} is no Uint8Array`, value);
  }
  return value as Uint8Array;
}

/** How a step uses a buffer. */
interface Use {
  readonly step: number;
  readonly isWritten: boolean;
}

class Validator {
  readonly #program: Fields;
  #symbols: ReadonlySet<string> = new Set();

  constructor(program: unknown) {
    this.#program = record(program, 'the program');
  }

  validate(): void {
    const program = this.#program;
    if (program.version !== programVersion) fail(`its version is not ${programVersion}`, program.version);
    text(program.name, 'its name');
    this.#tier(record(program.tier, 'its tier'));
    this.#validateSymbols();
    this.#each('inputs', (input, what) => {
      this.#spec(input, what);
      if (typeof input.donated !== 'boolean') fail(`${what} does not say whether it is donated`, input.donated);
      if (typeof input.held !== 'boolean') fail(`${what} does not say whether it is held`, input.held);
      if (input.held && input.donated) fail(`${what} is held and donated`);
    });
    this.#each('constants', (constant, what) => this.#constant(constant, what));
    this.#each('prepared', (array, what) => this.#prepared(array, what));
    this.#each('outputs', (output, what, index) => this.#output(output, what, index));
    this.#temporaries();
    this.#each('kernels', (kernel, what) => this.#kernel(kernel, what));
    count(program.prepareSteps, 'prepareSteps', this.#length('steps') + 1);
    this.#each('steps', (step, what, index) => this.#step(step, what, index));
  }

  #tier(tier: Fields): void {
    const target = tier.target as Tier['target'];
    if (target === 'webgpu') {
      for (const feature of ['shaderF16', 'subgroups', 'integerDot'] as const satisfies (keyof WebgpuTier)[]) {
        if (typeof tier[feature] !== 'boolean') fail(`its tier does not say whether it has ${feature}`, tier[feature]);
      }
      count(tier.storageBuffers, 'tier.storageBuffers', 1024);
      return;
    }
    if (target !== 'wasm') fail('its target is neither wasm nor webgpu', target);
    const { threads, relaxedSimd } = tier;
    if (typeof threads !== 'boolean') fail('its tier does not say whether it has threads', threads);
    if (typeof relaxedSimd !== 'boolean') fail('its tier does not say whether it has relaxed SIMD', relaxedSimd);
  }

  #each(name: keyof Program, check: (item: Fields, what: string, index: number) => void): void {
    list(this.#program[name], name).forEach((item, index) => {
      const what = `${name}[${index}]`;
      check(record(item, what), what, index);
    });
  }

  #length(name: keyof Program): number {
    return list(this.#program[name], name).length;
  }

  #validateSymbols(): void {
    const seen = new Set<string>();
    this.#each('symbols', (symbol, what) => {
      const name = text(symbol.name, `${what}.name`);
      if (!/^[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(name) || seen.has(name)) fail(`${what} has no name of its own`, name);
      const min = count(symbol.min, `${what}.min`);
      const max = count(symbol.max, `${what}.max`);
      if (min > max) fail(`${what} has bounds that cross`, `${min} to ${max}`);
      seen.add(name);
    });
    this.#symbols = seen;
  }

  #size(value: unknown, what: string): void {
    if (typeof value !== 'string') {
      count(value, what);
      return;
    }
    if (value.length > maximumSizeText) fail(`${what} is too long`, value);
    assertFormula(value satisfies Size, this.#symbols);
  }

  #sizes(value: unknown, what: string): void {
    list(value, what).forEach((size, index) => {
      this.#size(size, `${what}[${index}]`);
    });
  }

  /**
   * Sizes as kernels read them, such as a stride, which is negative where something runs backwards. One beyond an int32 is
   * that of an array for which there is no room: binding says so.
   */
  #words(value: unknown, what: string): void {
    list(value, what).forEach((size, index) => {
      if (typeof size !== 'number') this.#size(size, `${what}[${index}]`);
      else if (!Number.isSafeInteger(size) || size < -(2 ** 31)) fail(`${what}[${index}] is out of range`, size);
    });
  }

  #spec(value: Fields, what: string): void {
    if (!isDType(value.dtype)) fail(`${what} has no dtype`, value.dtype);
    if (list(value.shape, `${what}.shape`).length > maximumRank) fail(`${what} has a rank over ${maximumRank}`);
    this.#sizes(value.shape, `${what}.shape`);
  }

  #prepared(value: Fields, what: string): void {
    this.#spec(value, what);
    for (const extent of list(value.shape, `${what}.shape`)) count(extent, `${what}.shape`);
  }

  #constant(value: Fields, what: string): void {
    this.#spec(value, what);
    let size = byteSize(value.dtype as DType);
    for (const extent of list(value.shape, `${what}.shape`)) size *= count(extent, `${what}.shape`);
    if (bytes(value.bytes, `${what}.bytes`).length !== size) fail(`${what} is not as long as its shape says`, size);
  }

  #output(value: Fields, what: string, index: number): void {
    this.#spec(value, what);
    const source = record(value.source, `${what}.source`);
    const kind = source.kind as ProgramOutput['source']['kind'];
    if (kind === 'own') return;
    if (kind === 'donated') {
      const input = count(source.input, `${what}.source.input`, this.#length('inputs'));
      if (!record(list(this.#program.inputs, 'inputs')[input], 'input').donated) {
        fail(`${what} takes over input ${input}, which is not donated`);
      }
    } else if (kind === 'input') count(source.index, `${what}.source.index`, this.#length('inputs'));
    else if (kind === 'constant') count(source.index, `${what}.source.index`, this.#length('constants'));
    else if (kind === 'output') count(source.index, `${what}.source.index`, index);
    else fail(`${what} has no source`, kind);
  }

  #temporaries(): void {
    if (this.#length('temporaries') > maximumTemporaries) fail(`it has more than ${maximumTemporaries} temporaries`);
    this.#each('temporaries', (temporary, what) => this.#temporary(temporary, what));
    if (this.#program.arenaBytes === undefined) return;
    const at = overlappingTemporary(this.#program.temporaries as readonly PlacedTemporary[]);
    if (at !== undefined) fail(`temporaries[${at}] lies on another one that is still needed`);
  }

  #temporary(value: Fields, what: string): void {
    this.#size(value.bytes, `${what}.bytes`);
    const last = count(value.last, `${what}.last`, this.#length('steps'));
    count(value.first, `${what}.first`, last + 1);
    const { arenaBytes, prepareSteps } = this.#program;
    const boundary = Number(prepareSteps);
    if (Number(value.first) < boundary && last >= boundary) fail(`${what} outlives the steps that run only once`, last);
    if (arenaBytes === undefined) return;
    // With a planned arena every temporary has its place, and lies within it.
    const end = count(value.offset, `${what}.offset`) + count(value.bytes, `${what}.bytes`);
    if (end > count(arenaBytes, 'arenaBytes')) fail(`${what} ends behind the arena`, end);
  }

  #kernel(value: Fields, what: string): void {
    const kernel = value as { readonly [K in keyof ProgramKernel]: unknown };
    text(kernel.name, `${what}.name`);
    if (!/^[0-9a-f]{64}$/.test(text(kernel.hash, `${what}.hash`))) fail(`${what} has no SHA-256 hash`, kernel.hash);
    count(kernel.buffers, `${what}.buffers`, 100_000);
    this.#bufferBytes(kernel.bufferBytes, kernel.buffers as number, `${what}.bufferBytes`);
    const access = list(kernel.access, `${what}.access`);
    if (access.length !== kernel.buffers) fail(`${what} declares ${access.length} of its buffers`, kernel.buffers);
    for (const way of access) {
      if (way !== 'read' && way !== 'read_write') fail(`${what} has a buffer that is neither read nor written`, way);
    }
    this.#words(kernel.sizes, `${what}.sizes`);
    this.#size(kernel.flops, `${what}.flops`);
    this.#size(kernel.scratchBytes, `${what}.scratchBytes`);
    if (record(this.#program.tier, 'its tier').target === 'wasm') this.#wasmKernel(value, what);
    else this.#wgslKernel(value, what);
  }

  /** Bytes beyond all counting are those of an array for which there is no room: binding says so. */
  #bufferBytes(value: unknown, buffers: number, what: string): void {
    const sizes = list(value, what);
    if (sizes.length !== buffers) fail(`${what} tells of ${sizes.length} of ${buffers} buffers`);
    for (const size of sizes) {
      if (typeof size === 'string') this.#size(size, what);
      else if (!Number.isInteger(size) || (size as number) < 0) fail(`${what} is out of range`, size);
    }
  }

  #wasmKernel(value: Fields, what: string): void {
    const kernel = value as { readonly [K in keyof WasmKernel]: unknown };
    bytes(kernel.code, `${what}.code`);
    const phases = list(kernel.phases, `${what}.phases`);
    if (phases.length === 0) fail(`${what} has no phases`);
    phases.forEach((phase, at) => {
      const { tiles, group } = record(phase, `${what}.phases[${at}]`);
      this.#size(tiles, `${what}.phases[${at}].tiles`);
      this.#size(group, `${what}.phases[${at}].group`);
    });
    this.#size(kernel.sharedBytes, `${what}.sharedBytes`);
  }

  #wgslKernel(value: Fields, what: string): void {
    const kernel = value as { readonly [K in keyof WgslKernel]: unknown };
    text(kernel.code, `${what}.code`);
    const dispatches = list(kernel.dispatches, `${what}.dispatches`);
    if (dispatches.length === 0) fail(`${what} has no dispatches`);
    dispatches.forEach((dispatch, at) => {
      const { entryPoint, workgroups } = record(dispatch, `${what}.dispatches[${at}]`);
      if (!/^[A-Za-z][A-Za-z0-9_]{0,99}$/.test(text(entryPoint, `${what}.dispatches[${at}].entryPoint`))) {
        fail(`${what} has an entry point without a name`, entryPoint);
      }
      this.#size(workgroups, `${what}.dispatches[${at}].workgroups`);
    });
  }

  #step(value: Fields, what: string, step: number): void {
    if (value.kind !== ('launch' satisfies Step['kind'])) fail(`${what} is no launch`, value.kind);
    const index = count(value.kernel, `${what}.kernel`, this.#length('kernels'));
    const kernel = record(list(this.#program.kernels, 'kernels')[index], 'kernel');
    const buffers = list(value.buffers, `${what}.buffers`);
    if (buffers.length !== kernel.buffers) fail(`${what} binds ${buffers.length} of ${kernel.buffers} buffers`);
    buffers.forEach((buffer, at) => {
      const isWritten = list(kernel.access, 'access')[at] === 'read_write';
      this.#buffer(record(buffer, `${what}.buffers[${at}]`), `${what}.buffers[${at}]`, { step, isWritten });
    });
  }

  #buffer(value: Fields, what: string, { step, isWritten }: Use): void {
    const kind = value.kind as BufferRef['kind'];
    const names = {
      input: 'inputs',
      output: 'outputs',
      constant: 'constants',
      prepared: 'prepared',
      temporary: 'temporaries',
    } as const;
    if (!Object.hasOwn(names, kind)) fail(`${what} names no kind of buffer`, kind);
    const index = count(value.index, `${what}.index`, this.#length(names[kind]));
    const isOnce = step < Number(this.#program.prepareSteps);
    if (isOnce && kind === 'input' && !record(list(this.#program.inputs, 'inputs')[index], 'input').held) {
      fail(`${what} is run only once, and names input ${index}, which is not held`);
    }
    if (isWritten) this.#written(kind, index, isOnce, what);
    if (isOnce && kind === 'output') fail(`${what} is run only once, and names an output`);
    if (kind === 'temporary') {
      const { first, last } = record(list(this.#program.temporaries, 'temporaries')[index], 'temporary');
      if (step < Number(first) || step > Number(last)) fail(`${what} names temporary ${index} out of its time`);
    }
    if (kind !== 'output') return;
    const output = record(list(this.#program.outputs, 'outputs')[index], 'output');
    if (record(output.source, 'source').kind !== 'own') fail(`${what} names an output without a buffer of its own`);
  }

  /** What a program writes is its own, or was given up to it. */
  #written(kind: BufferRef['kind'], index: number, isOnce: boolean, what: string): void {
    if (kind === 'constant') fail(`${what} is written, and names constant ${index}`);
    if (kind === 'prepared' && !isOnce) fail(`${what} is written at every run, and names what is prepared once`);
    if (kind === 'input' && !record(list(this.#program.inputs, 'inputs')[index], 'input').donated) {
      fail(`${what} is written, and names input ${index}, which is not donated`);
    }
  }
}

/**
 * The same program, when it is one.
 * @throws KilnError `invalid_program`
 */
export function validateProgram(program: unknown): Program {
  new Validator(program).validate();
  return program as Program;
}
