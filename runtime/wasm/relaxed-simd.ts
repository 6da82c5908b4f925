/**
 * Relaxed SIMD: whether this engine has it, found out by running it, and compiling code that uses it.
 *
 * V8 ships it since 11.4. V8 11.3, the one of Node 20, has it finished behind a flag: staged in 11.2, with the opcodes
 * and the order of operands that were standardised (`src/wasm/wasm-feature-flags.h` of V8 11.4). The engine reads the
 * flag when it begins to compile a module, never again for that module: code that it optimises later, and other threads
 * that are sent the module, do without. So the flag is on only inside `compileModule`. Left on, it would change V8's
 * hash of all flags, for which the code caches of Node's own modules no longer count (they then load three times as
 * slowly).
 */
import { isFlagOff } from '../../base/flags.ts';
import { engine, type KernelModule } from './engine.ts';

/** The part of Node's `process` that is needed here. */
interface NodeProcess {
  readonly versions?: { readonly v8?: string };
  getBuiltinModule?(name: 'node:v8'): { setFlagsFromString(flag: string): void } | undefined;
}

let isFound: boolean | undefined;

/** Whether kernels of `fast` precision may use relaxed SIMD here; asked of the engine once. */
export function hasRelaxedSimd(): boolean {
  isFound ??= !isFlagOff('KILN_RELAXED_SIMD') && passesProbe();
  return isFound;
}

function passesProbe(): boolean {
  try {
    const { exports } = new (engine().Instance)(compileModule(probeModule()), {});
    return (exports as unknown as { probe(): number }).probe() === 1;
  } catch {
    // The engine does not know the instructions.
    return false;
  }
}

/** Sets the flag of an engine that has relaxed SIMD behind one, on or off; `undefined` elsewhere. */
function flagSetter(): ((isOn: boolean) => void) | undefined {
  const { process } = globalThis as { process?: NodeProcess };
  if (!process?.versions?.v8?.startsWith('11.3.')) return undefined;
  const v8 = process.getBuiltinModule?.('node:v8');
  return v8 && ((isOn) => v8.setFlagsFromString(`--${isOn ? '' : 'no-'}experimental-wasm-relaxed-simd`));
}

/** Another thread that compiles may switch the flag, which is the process's, between the two lines that need it. */
const attempts = 3;

/** Compiles code on this thread. @throws the engine's error where it refuses the code */
export function compileModule(code: Uint8Array): KernelModule {
  const { Module } = engine();
  const setFlag = isFlagOff('KILN_RELAXED_SIMD') ? undefined : flagSetter();
  if (!setFlag) return new Module(code);
  for (let attempt = 1; ; attempt++) {
    setFlag(true);
    try {
      return new Module(code);
    } catch (error) {
      if (attempt === attempts) throw error;
    } finally {
      setFlag(false);
    }
  }
}

/**
 * Compiles code off this thread. An engine that needs its flag reads it too late for that, and refuses most kernels: there
 * they are compiled at once, which takes a tenth of a millisecond each.
 */
export async function compileModuleAside(code: Uint8Array): Promise<KernelModule> {
  return flagSetter() ? compileModule(code) : engine().compile(code);
}

/**
 * A module whose `probe` gives 1 where all of these hold: 3 * 5 + 7 is 22 and 7 - 3 * 5 is -8 in each lane of
 * `relaxed_madd` and `relaxed_nmadd`, of `f32x4` and of `f64x2`; and (1 + 2^-12)^2 - (1 + 2^-11) is 2^-24, as when
 * fused. An engine may round twice and give 0, where the processor has no such instruction: then nothing is gained, and
 * code that counts on exact products would be wrong. Its bytes are by https://webassembly.github.io/spec/core/binary/.
 */
function probeModule(): Uint8Array<ArrayBuffer> {
  const section = (id: number, content: readonly number[]): number[] => [id, ...leb(content.length), ...content];
  const code = [0, ...probeBody(), 0x0b];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [1, 0x60, 0, 1, 0x7f]),
    ...section(3, [1, 0]),
    ...section(7, [1, 5, ...[...'probe'].map((letter) => letter.charCodeAt(0)), 0, 0]),
    ...section(10, [1, ...leb(code.length), ...code]),
  ]);
}

function probeBody(): number[] {
  const simd = (op: number): number[] => [0xfd, ...leb(op)];
  const single = (value: number): number[] => [
    ...simd(0x0c),
    ...new Uint8Array(new Float32Array(4).fill(value).buffer),
  ];
  const double = (value: number): number[] => [
    ...simd(0x0c),
    ...new Uint8Array(new Float64Array(2).fill(value).buffer),
  ];
  const equals = { f32x4: simd(0x41), f64x2: simd(0x47) };
  const madd = { f32x4: simd(0x105), f64x2: simd(0x107) };
  const nmadd = { f32x4: simd(0x106), f64x2: simd(0x108) };
  const allTrue = simd(0xa3);
  const and = [0x71];
  const close = [...single(1 + 2 ** -12), ...single(1 + 2 ** -12), ...single(-1 - 2 ** -11), ...madd.f32x4];
  const checks = [
    [...single(3), ...single(5), ...single(7), ...madd.f32x4, ...single(22), ...equals.f32x4],
    [...single(3), ...single(5), ...single(7), ...nmadd.f32x4, ...single(-8), ...equals.f32x4],
    [...double(3), ...double(5), ...double(7), ...madd.f64x2, ...double(22), ...equals.f64x2],
    [...double(3), ...double(5), ...double(7), ...nmadd.f64x2, ...double(-8), ...equals.f64x2],
    [...close, ...single(2 ** -24), ...equals.f32x4],
  ];
  return checks.flatMap((check, i) => [...check, ...allTrue, ...(i > 0 ? and : [])]);
}

/** An unsigned number, seven bits a byte. */
function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)];
}
