/**
 * The types of an artefact's functions and weights as a TypeScript declaration file, which stands beside it.
 *
 *     export type Functions = {
 *       readonly forward: (
 *         params: { readonly w: DeviceArray<'float32'> /* [784, 10] *\/ },
 *         x: DeviceArray<'float32'> /* [B, 784] *\/,
 *       ) => DeviceArray<'float32'> /* [B, 10] *\/;
 *     };
 *
 * Sizes are no part of the types: what does not fit is found when a function is called.
 */
import type { SymbolRange } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import { internalError } from '../../base/error.ts';
import type { ArtefactContent, FunctionRecord, TreeRecord, WeightsRecord } from '../../runtime/artefact/records.ts';
import type { TensorSpec } from '../../runtime/program.ts';
import { keyText, typeOfKey } from './key-type.ts';

/** Typed arrays that stand for an array of one axis, as far as every version of TypeScript knows them. */
const typedArrays: Readonly<Record<DType, readonly string[]>> = {
  float64: ['Float64Array'],
  float32: ['Float32Array'],
  float16: [],
  bfloat16: [],
  int64: [],
  int32: ['Int32Array', 'BigInt64Array'],
  int16: ['Int16Array'],
  int8: ['Int8Array'],
  uint32: ['Uint32Array'],
  uint16: ['Uint16Array'],
  uint8: ['Uint8Array', 'Uint8ClampedArray'],
  bool: [],
};

const lineWidth = 110;
/** The upper bound of a size that has none. */
const longest = 2 ** 31 - 1;

/** @param artefact the name of the file that it describes */
export function declarationsOf({ functions, weights }: ArtefactContent, artefact: string): string {
  return [
    `// What ${artefact} holds. Written by \`kiln bake\`; do not edit.`,
    "import type { DeviceArray } from 'kilnjs/runtime';",
    '',
    `export type Functions = ${block(functions.map(functionText))};`,
    '',
    `export type Weights = ${block((weights?.trees ?? []).map((tree) => weightText(tree, weights!)))};`,
    '',
  ].join('\n');
}

/** Lines of a type with one member a line. */
const block = (members: readonly string[]): string =>
  members.length === 0 ? 'Record<never, never>' : `{\n${members.map((member) => indented(`${member};`)).join('\n')}\n}`;

const indented = (text: string): string => text.replace(/^(?!$)/gm, '  ');

function functionText(record: FunctionRecord): string {
  const { name, parameters, inputs, symbols, results, result } = record;
  const arrays = inputs[Symbol.iterator]();
  const required = parameters.findLastIndex(({ tree }) => !isKey(tree, 'U')) + 1;
  const given = parameters.map(({ name: label = '', tree }, i) => {
    const type = typeText(tree, () => arrayText(next(arrays), 'argument'), 'argument');
    return `${isNameOf(parameters, i) ? label : `argument${i}`}${i < required ? '' : '?'}: ${type}`;
  });
  const returned = results[Symbol.iterator]();
  const back = typeText(result, () => arrayText(next(returned), 'result'), 'result');
  const head = `readonly ${keyText(name)}: `;
  const short = `${head}(${given.join(', ')}) => ${back}`;
  const long = `${head}(\n${given.map((each) => indented(`${each},`)).join('\n')}\n) => ${back}`;
  const fits = short.length <= lineWidth && !short.includes('\n');
  return `${symbolsText(symbols)}${fits || given.length === 0 ? short : long}`;
}

/** Whether the name of a parameter can be used as it is. */
const isNameOf = (parameters: FunctionRecord['parameters'], position: number): boolean => {
  const { name } = parameters[position];
  return (
    name !== undefined &&
    /^[A-Za-z_$][\w$]*$/.test(name) &&
    parameters.findIndex((other) => other.name === name) === position
  );
};

const symbolsText = (symbols: FunctionRecord['symbols']): string =>
  symbols.length === 0 ? '' : `/** ${symbols.map(symbolText).join('; ')}. */\n`;

const symbolText = ({ name, min, max }: SymbolRange): string =>
  `${name} is any size from ${min} ${max === longest ? 'on' : `to ${max}`}`;

function weightText(
  { name, tree, tensors }: WeightsRecord['trees'][number],
  { tensors: types }: Pick<WeightsRecord, 'tensors'>,
): string {
  const numbers = tensors[Symbol.iterator]();
  return `readonly ${keyText(name)}: ${typeText(tree, () => arrayText(types[next(numbers)], 'result'), 'result')}`;
}

/** Whether a value goes in, where more is allowed, or comes out. */
type Direction = 'argument' | 'result';

function typeText(tree: TreeRecord, array: () => string, direction: Direction): string {
  switch (tree.kind) {
    case 'array':
      return array();
    case 'static':
      return typeOfKey(tree.key);
    case 'list': {
      const children = tree.children.map((child) => typeText(child, array, direction));
      return `${direction === 'argument' ? 'readonly ' : ''}${bracketed('[', children, ',', ']')}`;
    }
    case 'dict': {
      const readonly = direction === 'argument' ? 'readonly ' : '';
      const members = tree.keys.map(
        (key, i) => `${readonly}${keyText(key)}: ${typeText(tree.children[i], array, direction)}`,
      );
      return members.length === 0 ? 'Record<never, never>' : bracketed('{', members, ';', '}');
    }
  }
}

/** Members on one line where they fit, else one a line. */
function bracketed(open: string, members: readonly string[], separator: string, close: string): string {
  const space = open === '{' ? ' ' : '';
  const short = `${open}${space}${members.join(`${separator} `)}${space}${close}`;
  if (short.length <= lineWidth && !short.includes('\n')) return short;
  return `${open}\n${members.map((member) => indented(`${member}${separator}`)).join('\n')}\n${close}`;
}

function arrayText({ dtype, shape }: TensorSpec, direction: Direction): string {
  const views = direction === 'argument' && shape.length === 1 ? typedArrays[dtype] : [];
  return `${[`DeviceArray<'${dtype}'>`, ...views].join(' | ')} /* [${shape.join(', ')}] */`;
}

const isKey = (tree: TreeRecord, key: string): boolean => tree.kind === 'static' && tree.key === key;

function next<T>(values: Iterator<T>): T {
  const { done, value } = values.next();
  if (done) throw internalError('a tree with more arrays than types');
  return value;
}
