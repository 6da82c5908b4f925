/** `kiln bake --check`: whether committed files are what their sources bake to, and what differs. */
import { readFileSync } from 'node:fs';
import { KilnError } from '../index.ts';
import { differencesOf } from '../tracer/bake/differences.ts';
import { type OpenArtefact, openArtefact } from '../tracer/bake/open-artefact.ts';
import { withoutSignature } from '../tracer/bake/sign.ts';
import type { OutputFiles } from './output-files.ts';

export interface FreshnessOptions {
  /** Which of the files is the artefact. */
  readonly artefact: string;
  /** Whether it has just been signed; otherwise a signature is no difference. */
  readonly isSigned: boolean;
  /** The command that writes the files. */
  readonly command: string;
}

/**
 * @param files what they should be
 * @throws KilnError `stale_artefact`
 */
export function assertFresh(files: OutputFiles, { artefact, isSigned, command }: FreshnessOptions): void {
  const differences = [...files].flatMap(([path, bytes]) => {
    const there = contentOf(path);
    if (!there) return [`${path} is not there`];
    if (path === artefact) return ofArtefact(there, bytes, isSigned);
    const isSame = path.endsWith('.wasm') ? same : sameText;
    return isSame(there, bytes) ? [] : [`${path} has other contents`];
  });
  if (differences.length === 0) return;
  throw new KilnError('stale_artefact', `${artefact} is not what its sources bake to`, {
    given: differences.join('\n            '),
    expected: 'files as this version of kilnjs writes them from these sources',
    hint: command,
  });
}

function contentOf(path: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(readFileSync(path));
  } catch (error) {
    if ((error as { readonly code?: string }).code === 'ENOENT') return undefined;
    throw new KilnError('not_a_file', `${path} can not be read`, { given: String(error), cause: error });
  }
}

function ofArtefact(there: Uint8Array, wanted: Uint8Array, isSigned: boolean): string[] {
  const [before, after] = isSigned ? [there, wanted] : [withoutSignature(there), withoutSignature(wanted)];
  if (same(before, after)) return [];
  let open: OpenArtefact;
  try {
    open = openArtefact(there);
  } catch (error) {
    if (error instanceof KilnError) return [error.summary + (error.given === undefined ? '' : ` (${error.given})`)];
    throw error;
  }
  if (isSigned && same(withoutSignature(there), withoutSignature(wanted))) return ['its signature is by another key'];
  return differencesOf(open, openArtefact(wanted));
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Whether texts are the same, whatever a checkout has made of the ends of their lines. */
const sameText = (a: Uint8Array, b: Uint8Array): boolean =>
  same(a, b) || Buffer.from(a).toString().replaceAll('\r\n', '\n') === Buffer.from(b).toString();
