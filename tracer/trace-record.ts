/**
 * What a trace came to, as plain data: which program, how its outputs become the function's result, and what is
 * assigned to `this`. Registered classes go by their names, static values by their keys.
 *
 *     { program: '6b1c…', result: { kind: 'list', children: [{ kind: 'array' }] }, effects: [] }
 *
 * A record comes from a file: `readTrace` takes nothing for granted but that it is plain data.
 */
import { KilnError } from '../base/error.ts';
import { staticKey } from '../base/static-key.ts';
import { countLeaves, type Registered, registeredClass, type TreeStructure } from './pytree.ts';
import type { Effect } from './receiver.ts';
import { staticValue } from './static-value.ts';
import { recordStructure, type StructureRecord } from './structure-record.ts';

/** An instance of a registered class: the class by name, `aux` by its key. */
interface InstanceRecord {
  readonly kind: 'instance';
  readonly name: string;
  readonly aux: string;
  readonly child: TraceTree;
}

type TraceTree = StructureRecord<InstanceRecord>;

interface EffectRecord {
  readonly holder: readonly string[];
  readonly key: string;
  readonly tree: TraceTree;
  /** For each leaf, an output by position or the key of a value. */
  readonly leaves: readonly (number | string)[];
}

export interface TraceRecord {
  /** Key of the program. */
  readonly program: string;
  readonly result: TraceTree;
  readonly effects: readonly EffectRecord[];
}

/** What a call needs beside the program. */
export interface Traced {
  readonly structure: TreeStructure;
  /** Number of outputs that belong to the function's result; those after it belong to effects. */
  readonly resultCount: number;
  readonly effects: readonly Effect[];
}

/** Notes what other processes can not know: what is known by identity here, and classes whose name is not theirs alone. */
export class PortableNames {
  /** The first thing that is not portable, in a few words. */
  obstacle: string | undefined;

  readonly identify = (value: object | symbol): number => {
    this.obstacle ??= `${nameOf(value)} is known by its identity`;
    return 0;
  };

  classOf({ name }: Registered): string {
    if (!registeredClass(name)) this.obstacle ??= `several registered classes are called ${name || '(nothing)'}`;
    return `${name.length}:${name}`;
  }
}

const nameOf = (value: object | symbol): string =>
  typeof value === 'symbol'
    ? String(value)
    : typeof value === 'function'
      ? `the function ${(value as { readonly name?: string }).name || '(anonymous)'}`
      : `an object of class ${value.constructor?.name || '(anonymous)'}`;

/** @param names notes what no record can hold; then the record is none */
export function recordTrace(program: string, { structure, effects }: Traced, names: PortableNames): TraceRecord {
  return {
    program,
    result: recordTree(structure, names),
    effects: effects.map((effect) => ({
      holder: effect.holder,
      key: effect.key,
      tree: recordTree(effect.structure, names),
      leaves: effect.leaves.map((leaf) => ('output' in leaf ? leaf.output : staticKey(leaf.value, names.identify))),
    })),
  };
}

const recordTree = (structure: TreeStructure, names: PortableNames): TraceTree =>
  recordStructure(structure, ({ of, aux, children }): InstanceRecord => {
    names.classOf(of);
    return {
      kind: 'instance',
      name: of.name,
      aux: staticKey(aux, names.identify),
      child: recordTree(children[0], names),
    };
  });

/** The program's key in a record. @throws KilnError `invalid_program` */
export const programOfTrace = (record: unknown): string => text(fields(record).program);

/**
 * What a record says.
 * @param outputs how many outputs the program has
 * @throws KilnError `invalid_program` for what is no record; `unregistered_class` for one of classes that this process
 *   does not know, or knows several of by that name
 */
export function readTrace(record: unknown, outputs: number): Traced {
  const { result, effects } = fields(record);
  const structure = readTree(result);
  const resultCount = countLeaves(structure);
  const read = list(effects).map((effect) => readEffect(effect, outputs - resultCount, resultCount));
  const used = read.reduce((sum, { leaves }) => sum + leaves.filter((leaf) => 'output' in leaf).length, resultCount);
  if (used !== outputs) fail(`${used} outputs of ${outputs}`);
  return { structure, resultCount, effects: read };
}

function readEffect(effect: unknown, further: number, from: number): Effect {
  const { holder, key, tree, leaves } = fields(effect);
  const structure = readTree(tree);
  const values = list(leaves);
  if (values.length !== countLeaves(structure)) fail(`${values.length} leaves of ${countLeaves(structure)}`);
  return {
    holder: list(holder).map(text),
    key: text(key),
    structure,
    leaves: values.map((leaf) => {
      if (typeof leaf === 'string') return { value: staticValue(leaf) };
      if (!Number.isSafeInteger(leaf) || (leaf as number) < from || (leaf as number) >= from + further) {
        fail(`an output that is none of ${further}`);
      }
      return { output: leaf as number };
    }),
  };
}

/** The deepest tree that is read, as of an artefact. */
const mostDepth = 200;

function readTree(tree: unknown, depth = 0): TreeStructure {
  if (depth > mostDepth) fail('a tree beyond all bounds');
  const readChildren = (of: unknown): readonly TreeStructure[] => list(of).map((each) => readTree(each, depth + 1));
  const { kind, key, keys, children, name, aux, child } = fields(tree);
  switch (kind as TraceTree['kind']) {
    case 'array':
      return { kind: 'leaf' };
    case 'static': {
      const value = staticValue(text(key));
      return value === null || value === undefined ? { kind: 'nothing', value } : fail('a value among the results');
    }
    case 'list':
      return { kind: 'list', children: readChildren(children) };
    case 'dict': {
      const [names, trees] = [list(keys).map(text), readChildren(children)];
      if (names.length !== trees.length) fail('keys without trees');
      return { kind: 'dict', keys: names, children: trees };
    }
    case 'instance': {
      const of = registeredClass(text(name));
      if (!of) throw new KilnError('unregistered_class', `not one class of the name ${text(name)} is registered`);
      return { kind: 'instance', of, aux: staticValue(text(aux)), children: [readTree(child, depth + 1)] };
    }
    default:
      return fail('a tree of no kind');
  }
}

function fail(given: string): never {
  throw new KilnError('invalid_program', 'not a trace that this process can use', { given });
}

function fields(value: unknown): { readonly [name: string]: unknown } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail('no record');
  return value as { readonly [name: string]: unknown };
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : fail('no list'));
const text = (value: unknown): string => (typeof value === 'string' ? value : fail('no text'));
