/** `kiln inspect FILE`: what is in an artefact, after every hash has been checked. */
import Table from 'cli-table3';
import { formatBytes, formatCount } from '../bench/table.ts';
import {
  type ArtefactDescription,
  describeArtefact,
  type FunctionDescription,
  kernelCode,
  shownHash,
  type WeightsDescription,
} from '../tracer/bake/describe-artefact.ts';
import { disassembleWasm } from '../tracer/bake/disassemble.ts';
import { openArtefact } from '../tracer/bake/open-artefact.ts';
import { readInput } from './output-files.ts';
import { accent, bold, faint } from './style.ts';

export interface InspectFileOptions {
  readonly json: boolean;
  /** Prints the code of the kernel whose hash begins so, and nothing else. */
  readonly kernel?: string;
}

/**
 * @throws KilnError (as a rejection) `not_a_file`, `not_an_artefact`, `truncated_artefact`, `unsupported_version`,
 *   `corrupt_artefact`, `invalid_program`; `invalid_argument` for a kernel that is none
 */
export async function inspectFile(file: string, { json, kernel }: InspectFileOptions): Promise<void> {
  const bytes = readInput(file, 'the file that `kiln bake … -o FILE` has written');
  const description = describeArtefact(bytes);
  if (kernel !== undefined) console.log(await codeText(bytes, kernel));
  else if (json) console.log(JSON.stringify(description, null, 2));
  else console.log(descriptionText(file, printable(description)));
}

/** The description without characters that a terminal would obey: names in a file are anybody's. */
const printable = (description: ArtefactDescription): ArtefactDescription =>
  JSON.parse(JSON.stringify(description), (_, value: unknown) =>
    typeof value === 'string' ? withoutControls(value, /\p{Cc}/gu) : value,
  ) as ArtefactDescription;

const withoutControls = (text: string, controls: RegExp): string => text.replace(controls, '\ufffd');

async function codeText(bytes: Uint8Array, hash: string): Promise<string> {
  const { kernel, code } = kernelCode(openArtefact(bytes), hash);
  const text = kernel.target === 'wasm' ? await disassembleWasm(code) : new TextDecoder().decode(code);
  return withoutControls(text, /(?![\n\t])\p{Cc}/gu);
}

function descriptionText(file: string, description: ArtefactDescription): string {
  const { bytes, format, kiln, isSigned, hashes, targets, functions, weights, schedules } = description;
  const facts = [
    formatBytes(bytes),
    `format ${format}`,
    `baked by kilnjs ${kiln}`,
    isSigned ? 'signed' : 'not signed',
    `all ${hashes} hashes are right`,
  ];
  return [
    `${bold(file)}  ${facts.join(', ')}`,
    `for ${targets.join(', ')}`,
    '',
    ...functions.flatMap((each) => [...functionLines(each), '']),
    programTable(description),
    '',
    kernelTable(description),
    ...(weights ? ['', ...weightsLines(weights)] : []),
    ...(schedules.length > 0 ? ['', `${schedules.length} schedules were measured when it was baked`] : []),
  ].join('\n');
}

function functionLines(described: FunctionDescription): string[] {
  const { name, parameters, outline, guards, symbols, donated, captures, precision } = described;
  const notes = [
    ...symbols.map(({ name: symbol, min, max }) => `${symbol} from ${min} ${max === 2 ** 31 - 1 ? 'on' : `to ${max}`}`),
    ...(guards.length > 0
      ? [`only with ${listed(guards.map(({ parameter, value }) => `${parameter} = ${value}`))}`]
      : []),
    ...(donated.length > 0 ? [`gives up ${donated.join(', ')}`] : []),
    ...(captures.length > 0 ? [`uses ${listed(captures)}`] : []),
    precision,
  ];
  const given = parameters.map((parameter) => `${parameter.name}: ${parameter.outline}`);
  const short = `(${given.join(', ')}) → ${outline}`;
  const signature =
    name.length + short.length <= 110
      ? [`${accent(name)}${short}`]
      : [`${accent(name)}(`, ...given.map((each) => `  ${each},`), `) → ${outline}`];
  return [...signature, `  ${faint(notes.join('; '))}`];
}

/** The first few of many. */
const listed = (names: readonly string[]): string =>
  names.length <= 6 ? names.join(', ') : `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`;

function programTable({ programs }: ArtefactDescription): string {
  const table = newTable(
    ['function', 'target', 'kernels', 'launches', 'once', 'arena', 'constants'],
    ['left', 'left', 'right', 'right', 'right', 'right', 'right'],
  );
  for (const each of programs) {
    const { kernels, launches, preparation, arenaBytes, constantBytes } = each;
    table.push([
      each.function,
      each.target,
      formatCount(kernels),
      formatCount(launches),
      formatCount(preparation),
      arenaBytes === undefined ? 'by sizes' : formatBytes(arenaBytes),
      formatBytes(constantBytes),
    ]);
  }
  return table.toString();
}

function kernelTable({ kernels }: ArtefactDescription): string {
  const table = newTable(['kernel', 'target', 'hash', 'code', 'programs'], ['left', 'left', 'left', 'right', 'right']);
  for (const { name, target, hash, codeBytes, programs } of kernels) {
    table.push([name, target, hash.slice(0, shownHash), formatBytes(codeBytes), formatCount(programs)]);
  }
  return table.toString();
}

/** Tensors that are shown one by one. */
const mostTensors = 40;

function weightsLines({ bytes, trees, tensors }: WeightsDescription): string[] {
  const table = newTable(['weight', 'type', 'bytes'], ['left', 'left', 'right']);
  for (const tensor of tensors.slice(0, mostTensors)) table.push([tensor.name, tensor.type, formatBytes(tensor.bytes)]);
  const more = tensors.length - mostTensors;
  return [
    `weights ${formatBytes(bytes)}: ${tensors.length} tensors${trees.length > 0 ? `, in ${trees.map(({ name }) => name).join(', ')}` : ''}`,
    table.toString(),
    ...(more > 0 ? [`and ${formatCount(more)} more; --json has them all`] : []),
  ];
}

const newTable = (head: string[], colAligns: ('left' | 'right')[]): InstanceType<typeof Table> =>
  new Table({ head, colAligns, style: { head: [], border: [], compact: true } });
