/** `kiln bake --check` over files that are no artefacts: texts may have other ends of lines, code may have nothing else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { assertFresh } from '../../cli/bake-check.ts';

const folder = mkdtempSync(join(tmpdir(), 'kiln-check-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const options = { artefact: join(folder, 'model.kiln'), isSigned: false, command: 'kiln bake model.ts -o model.kiln' };

/** Whether a file with these bytes passes for those that are wanted. */
function isFresh(name: string, there: Uint8Array, wanted: Uint8Array): boolean {
  const path = join(folder, name);
  writeFileSync(path, there);
  try {
    assertFresh(new Map([[path, wanted]]), options);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'stale_artefact', given: `${path} has other contents` });
    return false;
  }
}

describe('files beside an artefact', () => {
  it('are fresh as they were written, texts whatever a checkout has made of their lines', () => {
    const [unix, windows] = ['a;\nb;\n', 'a;\r\nb;\r\n'].map((text) => new TextEncoder().encode(text));
    expect(isFresh('index.js', unix, unix)).toBe(true);
    expect(isFresh('index.js', windows, unix)).toBe(true);
    expect(isFresh('index.js', unix.subarray(1), unix)).toBe(false);
  });

  it('are stale where one byte of code is another, also one that is no character', () => {
    expect(isFresh('driver.wasm', Uint8Array.of(0x41, 0x80), Uint8Array.of(0x41, 0x80))).toBe(true);
    expect(isFresh('driver.wasm', Uint8Array.of(0x41, 0x80), Uint8Array.of(0x41, 0x81))).toBe(false);
  });
});
