/**
 * What an artefact holds, checked: every field that the loader reads has its kind, every number points at something,
 * trees are no deeper than anyone needs, names are only ever names. Programs are looked at as far as they are chosen by;
 * `validateProgram` checks those that are used. The work is linear in the header, whose length is bounded.
 */
import { byteSize, type DType, isDType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { corrupt } from './container.ts';
import type { ArtefactContent, WeightsRecord } from './records.ts';
import { isKeyOfValue } from './static-values.ts';

/** The deepest tree that is read. */
const mostDepth = 200;
/** Targets of one function; eight have a name so far. Looking for those of all functions takes its square. */
const mostTargets = 64;
/** The highest rank of a tensor. */
const mostAxes = 32;

type Fields = { readonly [name: string]: unknown };

const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function record(value: unknown, what: string): Fields {
  if (!isRecord(value)) throw corrupt(`${what} that is no record`);
  return value;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw corrupt(`${what} that are no list`);
  return value;
}

function records(value: unknown, what: string): readonly Fields[] {
  return list(value, what).map((item) => record(item, `one of ${what}`));
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string') throw corrupt(`${what} that is no text`);
  return value;
}

/** A whole number from 0 to before `end`. */
function number(value: unknown, what: string, end: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value >= end) {
    throw corrupt(`${what} out of range`);
  }
  return value;
}

function distinct(names: readonly unknown[], what: string): void {
  if (new Set(names.map((name) => text(name, what))).size < names.length) throw corrupt(`${what} that is there twice`);
}

/**
 * @param content of a header
 * @param blobs how many blobs the container has
 * @throws KilnError `corrupt_artefact`; `not_an_artefact` for a container of something else
 */
export function readArtefact(content: unknown, blobs: number): ArtefactContent {
  if (!isRecord(content) || content.kind !== 'artefact') {
    throw new KilnError('not_an_artefact', 'this is no baked artefact', {
      given: 'a container of something else, such as an entry of the cache',
      expected: 'what `kiln bake` has written',
    });
  }
  const programs = records(content.programs, 'programs');
  for (const program of programs) checkProgram(program, blobs);
  const kernels = records(content.kernels, 'kernels');
  for (const kernel of kernels) {
    text(kernel.hash, "a kernel's hash");
    number(kernel.code, "a kernel's code", blobs);
  }
  distinct(
    kernels.map(({ hash }) => hash),
    'a kernel',
  );
  if (content.weights !== undefined) checkWeights(record(content.weights, 'weights'), blobs);
  const { weights } = content as { readonly weights?: WeightsRecord };
  const functions = records(content.functions, 'functions');
  distinct(
    functions.map(({ name }) => name),
    'the name of a function',
  );
  for (const one of functions) checkFunction(one, programs.length, weights?.tensors.length ?? 0);
  return content as unknown as ArtefactContent;
}

/** What a program is chosen and put together by. */
function checkProgram(program: Fields, blobs: number): void {
  const { target } = record(program.tier, 'a tier');
  if (target !== 'wasm' && target !== 'webgpu') throw corrupt('a program for no target');
  for (const { name, hash } of records(program.kernels, "a program's kernels")) {
    text(name, "a kernel's name");
    text(hash, "a kernel's hash");
  }
  for (const { bytes } of records(program.constants, "a program's constants")) number(bytes, 'a constant', blobs);
}

function checkFunction(one: Fields, programs: number, tensors: number): void {
  const parameters = records(one.parameters, 'parameters');
  let arrays = 0;
  for (const { name, tree } of parameters) {
    if (name !== undefined) text(name, "a parameter's name");
    arrays += checkTree(tree, 'signature');
  }
  if (records(one.inputs, 'inputs').length !== arrays) throw corrupt('a function whose inputs are not its arguments');
  for (const capture of list(one.captures, 'captures')) number(capture, 'a capture', tensors);
  if (records(one.results, 'results').length !== checkTree(one.result, 'values')) {
    throw corrupt('a function whose results are not what it returns');
  }
  records(one.symbols, 'symbols');
  const choices = records(one.programs, "a function's programs");
  if (choices.length > mostTargets) throw corrupt(`a function for more than ${mostTargets} targets`);
  for (const { program } of choices) number(program, "a function's program", programs);
  distinct(
    choices.map(({ target }) => target),
    'a target',
  );
}

/**
 * @param statics whether fixed values are compared with what is given, or given
 * @returns the number of arrays in the tree
 */
function checkTree(tree: unknown, statics: 'signature' | 'values', depth = 0): number {
  if (depth > mostDepth) throw corrupt('a tree beyond all bounds');
  const { kind, key, keys, children } = record(tree, 'a tree');
  if (kind === 'array') return 1;
  if (kind === 'static') {
    const isValue = isKeyOfValue(text(key, 'a fixed value'));
    if (statics === 'values' && !isValue) throw corrupt('a fixed value that is none');
    return 0;
  }
  if (kind !== 'list' && kind !== 'dict') throw corrupt('a tree of no kind');
  const inside = list(children, 'children');
  if (kind === 'dict') {
    const names = list(keys, 'keys').map((name) => text(name, 'a key'));
    if (names.length !== inside.length) throw corrupt('a tree with more keys than children, or fewer');
    for (let i = 1; i < names.length; i++) if (names[i] <= names[i - 1]) throw corrupt('keys out of order');
  }
  return inside.reduce<number>((sum, child) => sum + checkTree(child, statics, depth + 1), 0);
}

function checkWeights(weights: Fields, blobs: number): void {
  number(weights.blob, 'the blob of the weights', blobs);
  const tensors = records(weights.tensors, 'tensors');
  for (const { name, dtype, shape } of tensors) {
    text(name, "a tensor's name");
    if (!isDType(dtype)) throw corrupt('a tensor without a dtype');
    sizeOf(dtype, list(shape, 'sizes'));
  }
  const trees = records(weights.trees, 'trees');
  distinct(
    trees.map(({ name }) => name),
    'the name of a tree',
  );
  for (const { tree, tensors: used } of trees) {
    const numbers = list(used, 'the tensors of a tree');
    for (const at of numbers) number(at, 'a tensor', tensors.length);
    if (numbers.length !== checkTree(tree, 'values')) throw corrupt('a tree with more arrays than tensors, or fewer');
  }
}

function sizeOf(dtype: DType, shape: readonly unknown[]): number {
  if (shape.length > mostAxes) throw corrupt(`a tensor with more than ${mostAxes} axes`);
  return shape.reduce<number>((size, extent) => {
    const product = size * number(extent, 'a size', Number.MAX_SAFE_INTEGER);
    if (!Number.isSafeInteger(product)) throw corrupt('a tensor beyond all bounds');
    return product;
  }, byteSize(dtype));
}
