/** WebAssembly code as text, by Binaryen, which is loaded for it. */
import { KilnError } from '../../base/error.ts';
import { loadBinaryen } from '../../codegen/wasm/load.ts';

/** @throws KilnError (as a rejection) `corrupt_artefact` for code that is none */
export async function disassembleWasm(code: Uint8Array): Promise<string> {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: { validate(code: Uint8Array): boolean } };
  // Binaryen ends the process over code that is none.
  if (!WebAssembly.validate(code)) {
    throw new KilnError('corrupt_artefact', 'the kernel is no WebAssembly that this engine knows');
  }
  const binaryen = await loadBinaryen();
  const module = binaryen.readBinary(code);
  const text = module.emitText();
  module.dispose();
  return text;
}
