/**
 * Attributes as data: text, checks and keys of every attribute kind, so that printer, verifier and keys need no code
 * for single ops.
 *
 *     printAttributes('reduce', { kind: 'sum', axes: [1] })       // '{kind=sum, axes=[1]}'
 */
import { type Dim, SymbolicDim } from '../base/dim.ts';
import { dtypeInfo, isDType } from '../base/dtype.ts';
import type { OpAttributes, Opcode } from './opcodes.ts';
import type { AttributeKind, AttributeValues } from './ops/definition.ts';
import { definitions, isOpcode } from './ops/index.ts';
import type { Literal } from './types.ts';

type Kind = keyof AttributeValues;

/** One attribute of an op: its name, kind, and the allowed names for kind `name`. */
export interface AttributeEntry {
  readonly name: string;
  readonly kind: Kind;
  readonly names: readonly string[];
}

const entriesByOpcode = new Map<Opcode, readonly AttributeEntry[]>();

/** The attributes of an opcode in their printed order. */
export function attributeEntries(opcode: Opcode): readonly AttributeEntry[] {
  let entries = entriesByOpcode.get(opcode);
  if (!entries) {
    const schema = definitions[opcode].attributes as Readonly<Record<string, AttributeKind>>;
    entries = Object.entries(schema).map(([name, kind]) =>
      typeof kind === 'string' ? { name, kind, names: [] } : { name, kind: 'name', names: kind },
    );
    entriesByOpcode.set(opcode, entries);
  }
  return entries;
}

/** A number so that it reads back exactly: shortest digits, `-0`, `inf`, `-inf`, `nan`. */
export function printNumber(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
}

/** Nested lists by shape; one element alone is repeated everywhere. */
function printLiteralData({ dtype, shape, data }: Literal): string {
  const print = dtype === 'bool' ? (value: number) => (value === 0 ? 'false' : 'true') : printNumber;
  if (data.length === 1) return print(data[0]);
  let at = 0;
  const nested = (axis: number): string => {
    if (axis === shape.length) return print(data[at++]);
    return `[${Array.from({ length: shape[axis] }, () => nested(axis + 1)).join(', ')}]`;
  };
  return nested(0);
}

/** `@name`, in quotes when it is no identifier. */
export const printFunctionName = (name: string): string =>
  /^[A-Za-z_][A-Za-z0-9_.]*$/.test(name) ? `@${name}` : `@${JSON.stringify(name)}`;

const list = (values: readonly (number | Dim)[]): string => `[${values.join(',')}]`;

const printers: { readonly [K in Kind]: (value: AttributeValues[K]) => string } = {
  dtype: (value) => dtypeInfo(value).short,
  dim: String,
  dims: list,
  integer: String,
  integers: list,
  integer_lists: (value) => `[${value.map(list).join(',')}]`,
  dim_pairs: (value) => `[${value.map(list).join(',')}]`,
  literal: printLiteralData,
  function: printFunctionName,
  name: String,
};

export const printAttribute = (kind: Kind, value: unknown): string =>
  (printers[kind] as (value: unknown) => string)(value);

const isInteger = (value: unknown): boolean => Number.isSafeInteger(value);
const isSize = (value: unknown): boolean => value instanceof SymbolicDim || isInteger(value);
const isList = (value: unknown, test: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every((item) => test(item));
const isPairOf = (value: unknown, test: (item: unknown) => boolean): boolean =>
  isList(value, test) && (value as readonly unknown[]).length === 2;

const isLiteral = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return false;
  const { dtype, shape, data } = value as Partial<Literal>;
  return isDType(dtype) && isList(shape, isInteger) && typeof data?.length === 'number';
};

const checks: { readonly [K in Kind]: (value: unknown, names: readonly string[]) => boolean } = {
  dtype: isDType,
  dim: isSize,
  dims: (value) => isList(value, isSize),
  integer: isInteger,
  integers: (value) => isList(value, isInteger),
  integer_lists: (value) => isPairOf(value, (item) => isList(item, isInteger)),
  dim_pairs: (value) => isList(value, (item) => isPairOf(item, isSize)),
  literal: isLiteral,
  function: (value) => typeof value === 'string',
  name: (value, names) => names.includes(value as string),
};

/** `{kind=sum, axes=[1]}`, or the empty string for ops without attributes. What is broken prints as `?`. */
export function printAttributes<K extends Opcode>(opcode: K, attributes: OpAttributes[K]): string {
  if (!isOpcode(opcode)) return '';
  const entries = attributeEntries(opcode);
  if (entries.length === 0) return '';
  const values = attributes as Readonly<Record<string, unknown>>;
  const print = ({ name, kind, names }: AttributeEntry): string =>
    `${name}=${checks[kind](values[name], names) ? printAttribute(kind, values[name]) : '?'}`;
  return `{${entries.map(print).join(', ')}}`;
}

/**
 * What is wrong with an op's attributes as data: one that is missing, of another kind, or unknown; `undefined` when
 * they are in order. Values are the type rule's to judge.
 */
export function attributeFault(opcode: Opcode, attributes: object): string | undefined {
  const entries = attributeEntries(opcode);
  for (const { name, kind, names } of entries) {
    if (!Object.hasOwn(attributes, name)) return `attribute ${name} is missing`;
    const value: unknown = (attributes as Readonly<Record<string, unknown>>)[name];
    if (!checks[kind](value, names)) {
      return `attribute ${name} is no ${kind === 'name' ? `one of ${names.join(', ')}` : kind}`;
    }
  }
  const unknown = Object.keys(attributes).find((key) => !entries.some(({ name }) => name === key));
  return unknown === undefined ? undefined : `attribute ${unknown} is unknown`;
}
