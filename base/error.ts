/**
 * Errors are part of the interface. A `KilnError` says what was given, what was expected and what to do, and points at
 * the user's line. Every code stands in `errorCodes` with its meaning; `docs/errors.md` is generated from it.
 *
 *     KilnError [shape_mismatch]: matmul: inner sizes differ
 *       given:    f32[2,3] and f32[4,5]
 *       expected: the last axis of the first (3) to equal the second last of the second (4)
 *       hint:     transpose an operand with .mT, or check the order of the operands
 *       at:       model.ts:12:14
 */
import type { SourceLocation } from './location.ts';

/** Every error code and, in a sentence, when it is thrown. */
export const errorCodes = {
  shape_mismatch: 'Operands whose shapes do not fit each other or the operation.',
  dtype_mismatch: 'An operand of a dtype the operation does not take, or operands that do not promote.',
  unsupported_dtype: 'A dtype this device or this release can not compute with.',
  invalid_argument: 'An argument that is out of range, NaN, of the wrong kind or missing.',
  invalid_size: 'A size that is negative, fractional, NaN or not safe as an integer.',
  unknown_size: 'A question about a symbolic size that its bounds do not answer.',
  use_after_dispose: 'A tensor used after dispose(), after its tidy() scope, or after it was donated.',
  leaked_tracer: 'A traced tensor used outside the trace that made it.',
  traced_value: 'A traced tensor used where a concrete value is needed (read, compare, Math.*, number conversion).',
  traced_branch: 'A truth test on a value that is traced (if, ?:, &&, ||, !, ===).',
  unreadable_source: 'A function whose source can not be read, so truth tests in it can not be ruled out.',
  async_function: 'An async function or generator handed to a tracing transform.',
  invalid_output: 'A traced function that returns something other than tensors in nested arrays and plain objects.',
  tree_mismatch: 'Two pytrees, or a pytree and a specification, of different structure.',
  unregistered_class: 'An instance of a class that is not registered as a pytree.',
  gradient_mismatch: 'checkGrads found a gradient that differs from finite differences.',
  not_differentiable: 'A gradient through something that has none, or with respect to a non-float argument.',
  device_mismatch: 'Operands that live on two devices.',
  unknown_device: 'A device that does not exist here, or is not open yet.',
  no_adapter: 'No WebGPU adapter can be had here, or none with what Kiln needs.',
  device_lost: 'The GPU device is gone, and its tensors with it; call init() again.',
  out_of_memory: 'A request beyond what the device or engine can hold; nothing was lost.',
  memory_budget: 'A function that does not fit into its memoryBudget, whatever is computed again.',
  too_many_recompiles: 'A compiled function that met more signatures than maxRecompiles allows.',
  blocking_read: 'A synchronous read where the thread may not block.',
  compile_failed: 'The compiler failed on a graph; the message names what to report.',
  launch_failed: 'A program failed while it ran; its outputs carry the first cause.',
  shut_down: 'The session was shut down; call init() again.',
  invalid_ir: 'IR that breaks a rule of its op, or text that does not parse.',
  invalid_program: 'A program that is malformed, of another version, or for another kind of device.',
  not_an_artefact: 'Bytes that are no baked artefact.',
  not_a_file: 'A path that is no file that can be read, such as a folder.',
  truncated_artefact: 'An artefact that ends too early: half a file.',
  corrupt_artefact:
    'An artefact whose bytes are not those that were written: a hash does not match, or a record is none.',
  unsupported_version: 'An artefact of a format that this release does not read.',
  missing_tier: 'An artefact without code for what runs here.',
  invalid_signature: 'An artefact that is not signed with the key that is asked for.',
  spec_mismatch: 'Arguments that are not of the shapes, dtypes or structure that a function was baked for.',
  guard_failed: 'A baked function called with another number, string or boolean than it was baked with.',
  bake_failed: 'An entry that can not be baked, or whose trace or compile fails.',
  stale_artefact: 'A committed artefact that is not what its sources bake to.',
  cli_usage: 'A command line the tool does not understand.',
  internal: 'A fault of Kiln itself; please report it with the dump that the message names.',
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** What an error says beside its one-line message. Each part is plain text. */
export interface ErrorDetails {
  readonly given?: string | undefined;
  readonly expected?: string | undefined;
  readonly hint?: string | undefined;
  readonly location?: SourceLocation | undefined;
  readonly cause?: unknown;
}

/** The one class of error that Kiln throws on purpose. */
export class KilnError extends Error {
  override readonly name = 'KilnError';
  readonly code: ErrorCode;
  // Declared only, so that what is not said is no property and does not print.
  declare readonly given?: string;
  declare readonly expected?: string;
  declare readonly hint?: string;
  declare readonly location?: SourceLocation;
  /** The sentence without code, details and location. */
  readonly summary: string;

  constructor(code: ErrorCode, summary: string, { given, expected, hint, location, cause }: ErrorDetails = {}) {
    const parts = { given, expected, hint, at: location?.toString() || undefined };
    let message = `[${code}] ${summary}`;
    for (const [name, text] of Object.entries(parts)) {
      if (text !== undefined) message += `\n  ${`${name}:`.padEnd(10)}${text}`;
    }
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.summary = summary;
    if (given !== undefined) this.given = given;
    if (expected !== undefined) this.expected = expected;
    if (hint !== undefined) this.hint = hint;
    if (location !== undefined) this.location = location;
  }

  /** The same error, pointing at a user's line, unless it points at one already. */
  at(location: SourceLocation | undefined): KilnError {
    if (this.location?.toString() || !location) return this;
    const { code, summary, given, expected, hint, cause } = this;
    return new KilnError(code, summary, { given, expected, hint, cause, location });
  }
}

/** A fault of ours: a state that the rest of the code rules out. */
export function internalError(summary: string, cause?: unknown): KilnError {
  return new KilnError('internal', summary, {
    hint: 'this is a fault of Kiln; please report it together with the output of KILN_DUMP=dir',
    cause,
  });
}
