/**
 * What is in an artefact, as plain data for people and scripts (`kiln inspect`). Every hash is checked on the way, and
 * every program is validated.
 */
import { byteSize } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { corrupt } from '../../runtime/artefact/container.ts';
import { programOfRecord } from '../../runtime/artefact/program-record.ts';
import type { FunctionRecord, KernelRecord, ProgramRecord, TreeRecord } from '../../runtime/artefact/records.ts';
import type { Program, Size, TensorSpec } from '../../runtime/program.ts';
import { validateProgram } from '../../runtime/validate.ts';
import { keyText, typeOfKey } from './key-type.ts';
import { type OpenArtefact, openArtefact } from './open-artefact.ts';

export interface ArtefactDescription {
  /** Of the whole file. */
  readonly bytes: number;
  /** Version of the container. */
  readonly format: string;
  /** Version of the package that has baked it. */
  readonly kiln: string;
  readonly isSigned: boolean;
  /** How many hashes were checked: of the header, and of each blob. */
  readonly hashes: number;
  readonly targets: readonly string[];
  readonly functions: readonly FunctionDescription[];
  readonly programs: readonly ProgramDescription[];
  readonly kernels: readonly KernelDescription[];
  readonly weights: WeightsDescription | undefined;
  readonly schedules: readonly { readonly kernel: string; readonly schedule: string }[];
}

export interface FunctionDescription {
  readonly name: string;
  readonly parameters: readonly { readonly name: string; readonly type: string; readonly outline: string }[];
  readonly result: string;
  /** The type of the result where that is short; else what its tree is like at the top. So are those of parameters. */
  readonly outline: string;
  /** Values that are fixed: a call with others is refused. What is null in a tree is part of its type. */
  readonly guards: readonly { readonly parameter: string; readonly value: string }[];
  readonly symbols: readonly { readonly name: string; readonly min: number; readonly max: number }[];
  /** Names of parameters whose arrays a call gives up. */
  readonly donated: readonly string[];
  /** Names of weights that it uses by itself. */
  readonly captures: readonly string[];
  readonly precision: string;
}

export interface ProgramDescription {
  readonly function: string;
  readonly target: string;
  readonly kernels: number;
  /** Launches of each run. */
  readonly launches: number;
  /** Launches of the first run alone. */
  readonly preparation: number;
  /** `undefined` where it depends on sizes. */
  readonly arenaBytes: number | undefined;
  readonly constantBytes: number;
}

export interface KernelDescription {
  readonly hash: string;
  readonly target: string;
  /** As programs call it. */
  readonly name: string;
  readonly codeBytes: number;
  /** How many programs use it. */
  readonly programs: number;
}

export interface WeightsDescription {
  /** Of the blob. */
  readonly bytes: number;
  readonly trees: readonly { readonly name: string; readonly tensors: number }[];
  readonly tensors: readonly { readonly name: string; readonly type: string; readonly bytes: number }[];
}

/**
 * @throws KilnError `not_an_artefact`, `truncated_artefact`, `unsupported_version`, `corrupt_artefact`,
 *   `invalid_program`
 */
export function describeArtefact(bytes: Uint8Array): ArtefactDescription {
  const artefact = openArtefact(bytes);
  const { preamble, header, content, blobs } = artefact;
  for (const program of content.programs) checkedProgram(program, artefact);
  const { weights, schedules = [] } = content;
  return {
    bytes: bytes.length,
    format: `${preamble.major}.${preamble.minor}`,
    kiln: String(content.kiln),
    isSigned: preamble.signature.some((byte) => byte !== 0),
    hashes: 1 + header.blobs.length,
    targets: [...new Set(content.functions.flatMap(({ programs }) => programs.map(({ target }) => target)))],
    functions: content.functions.map((record) => describeFunction(record, artefact)),
    programs: content.functions.flatMap(({ name, programs }) =>
      programs.map(({ target, program }) => describeProgram(name, target, content.programs[program], blobs)),
    ),
    kernels: content.kernels.map((kernel) => describeKernel(kernel, artefact)),
    weights: weights && {
      bytes: blobs[weights.blob].length,
      trees: weights.trees.map(({ name, tensors }) => ({ name, tensors: tensors.length })),
      tensors: weights.tensors.map(({ name, dtype, shape }) => ({
        name,
        type: typeText({ dtype, shape }),
        bytes: shape.reduce((product, size) => product * size, byteSize(dtype)),
      })),
    },
    schedules: schedules.map(([kernel, schedule]) => ({ kernel, schedule })),
  };
}

/**
 * The code of a kernel.
 * @param hash its hash, or how that begins
 * @throws KilnError `invalid_argument` for a hash of none, or of several
 */
export function kernelCode(
  { content, blobs }: OpenArtefact,
  hash: string,
): { readonly kernel: KernelRecord; readonly code: Uint8Array } {
  const found = content.kernels.filter((kernel) => kernel.hash.startsWith(hash));
  if (found.length === 1) return { kernel: found[0], code: blobs[found[0].code] };
  throw new KilnError('invalid_argument', found.length === 0 ? 'there is no such kernel' : 'several kernels begin so', {
    given: hash,
    expected: (found.length === 0 ? content.kernels : found)
      .map((kernel) => kernel.hash.slice(0, shownHash))
      .join(', '),
  });
}

/** Letters of a hash that people see. */
export const shownHash = 12;

function checkedProgram(record: ProgramRecord, { content, blobs }: OpenArtefact): Program {
  return validateProgram(
    programOfRecord(record, {
      kernel: (hash) => content.kernels.find((kernel) => kernel.hash === hash),
      blob: (at) => {
        if (!Object.hasOwn(blobs, at)) throw corrupt(`a constant in blob ${String(at)}`);
        return blobs[at];
      },
    }),
  );
}

function describeFunction(record: FunctionRecord, { content }: OpenArtefact): FunctionDescription {
  const { name, parameters, inputs, symbols, captures, results, result, precision, programs } = record;
  const arrays = inputs[Symbol.iterator]();
  const donated: string[] = [];
  const guards: { readonly parameter: string; readonly value: string }[] = [];
  const programInputs = programs.length > 0 ? content.programs[programs[0].program].inputs : [];
  let at = 0;
  const described = parameters.map(({ name: known, tree }, i) => {
    const label = known ?? `argument${i}`;
    const begin = at;
    const type = treeText(tree, () => {
      at++;
      return typeText(arrays.next().value!);
    });
    if (programInputs.slice(begin, at).some((input) => input.donated)) donated.push(label);
    collectGuards(tree, label, guards);
    return { name: label, type, outline: outlineOf(tree, type) };
  });
  const back = results[Symbol.iterator]();
  const returned = treeText(result, () => typeText(back.next().value!));
  return {
    name,
    parameters: described,
    result: returned,
    outline: outlineOf(result, returned),
    guards,
    symbols,
    donated,
    captures: captures.map((capture) => content.weights!.tensors[capture].name),
    precision,
  };
}

function collectGuards(
  tree: TreeRecord,
  path: string,
  found: { readonly parameter: string; readonly value: string }[],
): void {
  if (tree.kind === 'static' && isValue(tree.key)) found.push({ parameter: path, value: valueText(tree.key) });
  if (tree.kind !== 'list' && tree.kind !== 'dict') return;
  for (const [i, child] of tree.children.entries()) {
    collectGuards(child, tree.kind === 'list' ? `${path}[${i}]` : `${path}.${tree.keys[i]}`, found);
  }
}

/** Whether a fixed value is more than a gap in a tree. */
const isValue = (key: string): boolean => key !== 'N' && key !== 'U';

/** Letters of a type that people read. */
const shortType = 90;

function outlineOf(tree: TreeRecord, type: string): string {
  if (type.length <= shortType || tree.kind === 'array' || tree.kind === 'static') return type;
  const inside = tree.kind === 'list' ? `[${tree.children.length}]` : `{${tree.keys.map(keyText).join(', ')}}`;
  const text = inside.length <= shortType ? inside : `${inside.slice(0, shortType)}…`;
  return `${text} of ${arraysIn(tree)} arrays`;
}

const arraysIn = (tree: TreeRecord): number => {
  if (tree.kind === 'array') return 1;
  return tree.kind === 'static' ? 0 : tree.children.reduce((sum, child) => sum + arraysIn(child), 0);
};

const valueText = (key: string): string => (/^n-?(?:I|N)/.test(key) ? key.slice(1) : typeOfKey(key));

function treeText(tree: TreeRecord, array: () => string): string {
  switch (tree.kind) {
    case 'array':
      return array();
    case 'static':
      return valueText(tree.key);
    case 'list':
      return `[${tree.children.map((child) => treeText(child, array)).join(', ')}]`;
    case 'dict':
      return `{${tree.keys.map((key, i) => `${keyText(key)}: ${treeText(tree.children[i], array)}`).join(', ')}}`;
  }
}

const typeText = ({ dtype, shape }: TensorSpec): string =>
  `${dtype}[${shape.map((size: Size) => String(size)).join(', ')}]`;

function describeProgram(
  name: string,
  target: string,
  { kernels, steps, prepareSteps, arenaBytes, constants, temporaries }: ProgramRecord,
  blobs: readonly Uint8Array[],
): ProgramDescription {
  return {
    function: name,
    target,
    kernels: kernels.length,
    launches: steps.length - prepareSteps,
    preparation: prepareSteps,
    arenaBytes: temporaries.length === 0 ? 0 : arenaBytes,
    constantBytes: constants.reduce((sum, constant) => sum + blobs[constant.bytes].length, 0),
  };
}

function describeKernel({ hash, target, code }: KernelRecord, { content, blobs }: OpenArtefact): KernelDescription {
  const uses = content.programs.flatMap(({ kernels }) => kernels.filter((kernel) => kernel.hash === hash).slice(0, 1));
  return { hash, target, name: uses[0]?.name ?? '', codeBytes: blobs[code].length, programs: uses.length };
}
