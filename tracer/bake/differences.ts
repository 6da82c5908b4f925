/**
 * What distinguishes a committed artefact from the one that its sources bake to now, in words.
 *
 *     differencesOf(committed, fresh)     // ['step: its code for wasm', 'the weight params.w: its numbers']
 */
import { hashOf } from '../../base/hash.ts';
import { formatVersion } from '../../runtime/artefact/container.ts';
import type { ArtefactContent, FunctionRecord } from '../../runtime/artefact/records.ts';
import { canonicalJson } from '../../runtime/artefact/write-container.ts';
import type { OpenArtefact } from './open-artefact.ts';
import { tensorsOf } from './safetensors.ts';

export function differencesOf(before: OpenArtefact, after: OpenArtefact): string[] {
  const found: string[] = [];
  const { major, minor } = before.preamble;
  if (minor !== formatVersion.minor)
    found.push(`the format: ${major}.${minor}, now ${formatVersion.major}.${formatVersion.minor}`);
  if (before.content.kiln !== after.content.kiln) {
    found.push(`the version of kilnjs: ${before.content.kiln}, now ${after.content.kiln}`);
  }
  found.push(...functionDifferences(before, after), ...weightDifferences(before, after));
  if (canonicalJson(before.content.schedules ?? []) !== canonicalJson(after.content.schedules ?? [])) {
    found.push('the schedules that were measured');
  }
  return found.length > 0 ? found : ['the order of what is in it'];
}

function functionDifferences(before: OpenArtefact, after: OpenArtefact): string[] {
  const [old, now] = [before, after].map(({ content }) => new Map(content.functions.map((each) => [each.name, each])));
  const found: string[] = [];
  for (const name of new Set([...old.keys(), ...now.keys()])) {
    const [was, is] = [old.get(name), now.get(name)];
    if (!was) found.push(`${name}: it is new`);
    else if (!is) found.push(`${name}: it is gone`);
    else found.push(...ofFunction(name, [was, before], [is, after]));
  }
  return found;
}

type FunctionOf = readonly [record: FunctionRecord, artefact: OpenArtefact];

function ofFunction(name: string, before: FunctionOf, after: FunctionOf): string[] {
  const found: string[] = [];
  const [was, is] = [before, after].map(([{ programs: _, captures: __, ...signature }]) => canonicalJson(signature));
  if (was !== is) found.push(`${name}: its parameters, guards or results`);
  const [old, now] = [before, after].map(([record, artefact]) => codeOf(record, artefact));
  for (const target of new Set([...old.keys(), ...now.keys()])) {
    if (!old.has(target)) found.push(`${name}: the target ${target} is new`);
    else if (!now.has(target)) found.push(`${name}: the target ${target} is gone`);
    else if (old.get(target) !== now.get(target)) found.push(`${name}: its code for ${target}`);
  }
  return found;
}

/** Each target's program with its kernels and constants, as a hash. */
function codeOf({ programs }: FunctionRecord, { content, header }: OpenArtefact): Map<string, string> {
  const kernels = new Map(content.kernels.map((kernel) => [kernel.hash, kernel]));
  const blob = (at: number): string => header.blobs[at].sha256;
  return new Map(
    programs.map(({ target, program }) => {
      const record = content.programs[program];
      const code = record.kernels.map(({ hash }) => blob(kernels.get(hash)!.code));
      const constants = record.constants.map((constant) => ({ ...constant, bytes: blob(constant.bytes) }));
      return [target, hashOf(canonicalJson({ ...record, constants, code }))];
    }),
  );
}

function weightDifferences(before: OpenArtefact, after: OpenArtefact): string[] {
  const found: string[] = [];
  if (canonicalJson(treesOf(before.content)) !== canonicalJson(treesOf(after.content))) {
    found.push('the trees of weights');
  }
  const [old, now] = [before, after].map(weightsOf);
  for (const name of new Set([...old.keys(), ...now.keys()])) {
    const [was, is] = [old.get(name), now.get(name)];
    if (!was) found.push(`the weight ${name}: it is new`);
    else if (!is) found.push(`the weight ${name}: it is gone`);
    else if (was.type !== is.type) found.push(`the weight ${name}: ${was.type}, now ${is.type}`);
    else if (was.hash !== is.hash) found.push(`the weight ${name}: its numbers`);
  }
  return found;
}

const treesOf = ({ weights }: ArtefactContent): unknown =>
  weights?.trees.map(({ name, tree }) => ({ name, tree })) ?? [];

function weightsOf({ content, blobs }: OpenArtefact): Map<string, { readonly type: string; readonly hash: string }> {
  const { weights } = content;
  if (!weights) return new Map();
  return new Map(
    tensorsOf(weights.tensors, blobs[weights.blob]).map(({ name, dtype, shape, bytes }) => [
      name,
      { type: `${dtype}[${shape.join(', ')}]`, hash: hashOf(bytes) },
    ]),
  );
}
