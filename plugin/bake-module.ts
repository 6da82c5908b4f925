/** Loads an entry, and bakes what it declares: what `kiln bake` does for one module, without its words. */
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { KilnError } from '../base/error.ts';
import { type LoadedModule, loadModule } from '../cli/load-module.ts';
import { bakeArtefact } from '../tracer/bake/bake.ts';
import { isBakeDefinition } from '../tracer/bake/define.ts';
import { reproducibly } from '../tracer/bake/reproducible.ts';
import { signArtefact } from '../tracer/bake/sign.ts';
import { artefactName } from './loader-module.ts';
import type { BakedArtefact } from './messages.ts';
import type { BakeSettings } from './options.ts';

/**
 * @param whileLoading is around the loading of the entry
 * @throws KilnError (as a rejection) `bake_failed`, `cli_usage` for what is no module, `invalid_argument` for the key;
 *   whatever the entry throws when it is loaded
 */
export async function bakeModule(
  entry: string,
  { targets, sign }: BakeSettings,
  whileLoading: (load: () => Promise<LoadedModule>) => Promise<LoadedModule>,
): Promise<BakedArtefact> {
  const { default: declared } = await whileLoading(() => reproducibly(() => loadModule(entry)));
  if (!isBakeDefinition(declared)) {
    throw new KilnError('bake_failed', `${entry} declares nothing to bake`, {
      expected: 'export default defineBake({ name: { fn, args: [spec([32, 784]), …] } })',
    });
  }
  const { bytes, report } = await bakeArtefact(
    { ...declared, source: entry },
    { name: artefactName(entry), ...(targets && { targets }) },
  );
  const { declarations } = report;
  if (sign === undefined) return { bytes, declarations };
  const key = readKey(sign);
  const signed = signArtefact(bytes, key);
  return {
    bytes: signed,
    declarations,
    publicKey: createPublicKey(key).export({ type: 'spki', format: 'pem' }) as string,
  };
}

function readKey(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new KilnError('invalid_argument', 'the key to sign with can not be read', {
      given: path,
      expected: 'a file with a private key for Ed25519 in PEM',
      hint: 'openssl genpkey -algorithm ed25519 -out private.pem',
      cause,
    });
  }
}
