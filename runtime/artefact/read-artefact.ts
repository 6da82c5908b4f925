/**
 * What an artefact holds, checked: every field that the loader reads has its kind, every number points at something,
 * trees are no deeper than anyone needs, names are only ever names. Programs are looked at as far as they are chosen by;
 * `validateProgram` checks those that are used. The work is linear in the header, whose length is bounded.
 */
import { byteSize, isDType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { type Check, type Fields, isObject, makeChecks, placeOf } from '../checks.ts';
import { corrupt } from './container.ts';
import type { ArtefactContent, TreeRecord } from './records.ts';
import { isKeyOfValue } from './static-values.ts';

/** The deepest tree that is read. */
const mostDepth = 200;
/** Targets of one function; eight have a name so far. Looking for those of all functions takes its square. */
const mostTargets = 64;
/** The highest rank of a tensor. */
const mostAxes = 32;

/**
 * @param content of a header
 * @param blobs how many blobs the container has
 * @throws KilnError `corrupt_artefact`; `not_an_artefact` for a container of something else
 */
export function readArtefact(content: unknown, blobs: number): ArtefactContent {
  if (!isObject(content) || content.kind !== 'artefact') {
    throw new KilnError('not_an_artefact', 'this is no baked artefact', {
      given: 'a container of something else, such as an entry of the cache',
      expected: 'what `kiln bake` has written',
    });
  }
  const { wrong, be, fields, list, oneOf, text, count } = makeChecks((path, what) => {
    throw corrupt(`${placeOf(path)}, which ${what}`);
  });
  const name = text();
  const blob = count(blobs);
  /** Records that a field tells apart. */
  const distinct =
    (field: string, check: Check, most?: number): Check =>
    (value) => {
      list(check, most)(value);
      const names = (value as readonly Fields[]).map((item) => item[field]);
      if (new Set(names).size < names.length) wrong('no list of different ones', names);
    };
  const optional =
    (check: Check): Check =>
    (value) => {
      if (value !== undefined) check(value);
    };
  const tree =
    (statics: 'signature' | 'values', depth = 0): Check =>
    (value) => {
      if (depth > mostDepth) wrong('beyond all bounds', depth);
      fields({ kind: oneOf('array', 'static', 'list', 'dict') })(value);
      const { kind, key, keys, children } = value as Fields;
      if (kind === 'static') {
        fields({ key: name })(value);
        if (statics === 'values' && !isKeyOfValue(key as string)) wrong('no value', key);
      } else if (kind !== 'array') {
        fields({ children: list(tree(statics, depth + 1)) })(value);
        if (kind !== 'dict') return;
        fields({ keys: list(name, (children as readonly unknown[]).length, (children as readonly unknown[]).length) })(
          value,
        );
        const names = keys as readonly string[];
        for (let i = 1; i < names.length; i++) if (names[i] <= names[i - 1]) wrong('out of order', names[i]);
      }
    };
  const tensor = (value: unknown): void => {
    fields({ name, dtype: be('no dtype', isDType), shape: list(count(), mostAxes) })(value);
    const { dtype, shape } = value as NonNullable<ArtefactContent['weights']>['tensors'][number];
    const size = shape.reduce((product, extent) => product * extent, byteSize(dtype));
    if (!Number.isSafeInteger(size)) wrong('beyond all bounds', size);
  };

  fields({
    programs: list(
      fields({
        // One that this release does not know is one that it does not run.
        tier: fields({ target: name }),
        kernels: list(fields({ name, hash: name })),
        constants: list(fields({ bytes: blob })),
      }),
    ),
    kernels: distinct('hash', fields({ hash: name, code: blob })),
    weights: optional(fields({ blob, tensors: list(tensor) })),
  })(content);
  const { programs, weights } = content as unknown as ArtefactContent;
  const tensors = list(count(weights?.tensors.length ?? 0));
  const record = fields({});
  fields({
    weights: optional(fields({ trees: distinct('name', fields({ name, tree: tree('values'), tensors })) })),
    functions: distinct(
      'name',
      fields({
        name,
        parameters: list(fields({ name: optional(name), tree: tree('signature') })),
        inputs: list(record),
        captures: tensors,
        results: list(record),
        result: tree('values'),
        symbols: list(record),
        programs: distinct('target', fields({ target: name, program: count(programs.length) }), mostTargets),
      }),
    ),
  })(content);

  const checked = content as unknown as ArtefactContent;
  for (const one of checked.weights?.trees ?? []) {
    if (arraysIn(one.tree) !== one.tensors.length) throw corrupt('a tree with more arrays than tensors, or fewer');
  }
  for (const { parameters, inputs, results, result } of checked.functions) {
    const given = parameters.reduce((sum, parameter) => sum + arraysIn(parameter.tree), 0);
    if (given !== inputs.length || arraysIn(result) !== results.length) {
      throw corrupt('a function whose arguments or results are not what its trees hold');
    }
  }
  return checked;
}

/** Arrays among the leaves of a tree. */
function arraysIn(tree: TreeRecord): number {
  if (tree.kind === 'array') return 1;
  return tree.kind === 'static' ? 0 : tree.children.reduce((sum, child) => sum + arraysIn(child), 0);
}
