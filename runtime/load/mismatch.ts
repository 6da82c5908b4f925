/** Why arguments are not those that a function was baked for: looked for when a call does not fit, and not before. */
import { dtypeInfo } from '../../base/dtype.ts';
import { type ErrorDetails, internalError, KilnError } from '../../base/error.ts';
import { isPlainObject, sortedKeys, staticKey } from '../../base/static-key.ts';
import { DeviceArray } from '../array.ts';
import type { FunctionRecord, TreeRecord } from '../artefact/records.ts';
import { isKeyOfValue, valueOfKey } from '../artefact/static-values.ts';
import { part } from '../parts.ts';
import type { TensorSpec } from '../program.ts';
import { isArrayArgument, specOfArray } from './trees.ts';

const typeText = ({ dtype, shape }: TensorSpec): string => `${dtypeInfo(dtype).short}[${shape.join(',')}]`;

/** The error of a call whose arguments do not fit: `spec_mismatch`, or `guard_failed` for a fixed value. */
export function argumentError(record: FunctionRecord, args: readonly unknown[]): KilnError {
  return new Comparison(record).compare(args);
}

class Comparison {
  readonly #record: FunctionRecord;
  readonly #given: TensorSpec[] = [];

  constructor(record: FunctionRecord) {
    this.#record = record;
  }

  compare(args: readonly unknown[]): KilnError {
    const { parameters, name } = this.#record;
    const required = parameters.findLastIndex(({ tree }) => tree.kind !== 'static' || tree.key !== 'U') + 1;
    if (args.length < required || args.length > parameters.length) {
      const names = parameters.map((parameter, i) => parameter.name ?? `argument ${i}`);
      return this.#error('spec_mismatch', 'another number of arguments than it was baked for', {
        given: String(args.length),
        expected: `${parameters.length}${names.length > 0 ? `: ${names.join(', ')}` : ''}`,
      });
    }
    for (const [i, { name: label, tree }] of parameters.entries()) {
      const error = this.#tree(args[i], tree, label ?? `argument ${i}`);
      if (error) return error;
    }
    return this.#sizes() ?? internalError(`${name}: arguments that fit were refused`);
  }

  #tree(value: unknown, tree: TreeRecord, path: string): KilnError | undefined {
    switch (tree.kind) {
      case 'array':
        return this.#array(value, path);
      case 'static':
        return this.#fixed(value, tree.key, path);
      case 'list':
        return this.#list(value, tree.children, path);
      case 'dict':
        return this.#dict(value, tree, path);
    }
  }

  #array(value: unknown, path: string): KilnError | undefined {
    const expected = this.#record.inputs[this.#given.length];
    if (!isArrayArgument(value)) {
      return this.#error('spec_mismatch', `${path} is no array`, {
        given: describe(value),
        expected: typeText(expected),
        hint: 'pass a tensor, or a typed array for one axis; tensor(data) makes one',
      });
    }
    const given = specOfArray(value);
    this.#given.push(given);
    const fits =
      given.dtype === expected.dtype &&
      given.shape.length === expected.shape.length &&
      expected.shape.every((size, axis) => typeof size === 'string' || size === given.shape[axis]);
    if (fits) return undefined;
    const isFlat = !(value instanceof DeviceArray) && expected.shape.length !== 1;
    return this.#error('spec_mismatch', `${path} is not of the type that it was baked for`, {
      given: typeText(given),
      expected: typeText(expected),
      hint: isFlat
        ? 'a typed array is an array of one axis: tensor(data, { shape }) makes one of more'
        : 'convert it, or bake the function for this type too; dim(name) stands for a size that varies',
    });
  }

  #fixed(value: unknown, key: string, path: string): KilnError | undefined {
    if (staticKey(value) === key) return undefined;
    const code = isArrayArgument(value) ? 'spec_mismatch' : 'guard_failed';
    return this.#error(code, `${path} is not the value that it was baked with`, {
      given: describe(value),
      expected: isKeyOfValue(key) ? describe(valueOfKey(key)) : key,
      hint: 'bake the function with this value too, under another name, or make it a tensor',
    });
  }

  #list(value: unknown, children: readonly TreeRecord[], path: string): KilnError | undefined {
    if (!Array.isArray(value) || value.length !== children.length) {
      return this.#structure(path, describe(value), `an array of ${children.length}`);
    }
    for (const [i, child] of children.entries()) {
      const error = this.#tree(value[i], child, `${path}[${i}]`);
      if (error) return error;
    }
    return undefined;
  }

  #dict(value: unknown, tree: TreeRecord & { readonly kind: 'dict' }, path: string): KilnError | undefined {
    const wanted = `an object with ${tree.keys.join(', ') || 'nothing in it'}`;
    if (typeof value !== 'object' || value === null || isArrayArgument(value) || !isPlainObject(value)) {
      return this.#structure(path, describe(value), wanted);
    }
    const given = sortedKeys(value);
    if (given.length !== tree.keys.length || given.some((key, i) => key !== tree.keys[i])) {
      return this.#structure(path, `an object with ${given.join(', ') || 'nothing in it'}`, wanted);
    }
    for (const [i, key] of tree.keys.entries()) {
      const step = /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
      const error = this.#tree(value[key], tree.children[i], path + step);
      if (error) return error;
    }
    return undefined;
  }

  /** Sizes that vary, which must agree with each other and lie within their bounds. */
  #sizes(): KilnError | undefined {
    if (this.#record.symbols.length === 0) return undefined;
    try {
      part('bindSymbols')(
        this.#record,
        this.#given.map(({ shape }) => shape.map(Number)),
      );
      return undefined;
    } catch (cause) {
      if (!(cause instanceof KilnError)) throw cause;
      return this.#error('spec_mismatch', cause.summary, {
        ...(cause.given !== undefined && { given: cause.given }),
        ...(cause.expected !== undefined && { expected: cause.expected }),
        hint: `it was baked for ${this.#record.inputs.map(typeText).join(', ')}`,
        cause,
      });
    }
  }

  #structure(path: string, given: string, expected: string): KilnError {
    return this.#error('spec_mismatch', `${path} is not of the structure that it was baked for`, { given, expected });
  }

  #error(code: 'spec_mismatch' | 'guard_failed', what: string, details: ErrorDetails): KilnError {
    return new KilnError(code, `${this.#record.name}: ${what}`, details);
  }
}

/** A value in a few words. */
function describe(value: unknown): string {
  if (isArrayArgument(value)) return typeText(specOfArray(value));
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? '-0' : String(value);
  return isPlainObject(value)
    ? `an object with ${sortedKeys(value).join(', ') || 'nothing in it'}`
    : 'an instance of a class';
}
