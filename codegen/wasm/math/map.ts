/**
 * Builds a module that maps one vector function over arrays: what the tests and the measurements of `vectorMath` run.
 * The module imports `env.memory` and exports `map(x, y, result, bytes)`, all four in bytes: for each 16 bytes
 * `result[i] = f(x[i], y[i])`. The first `bytes` of each array are read in whole vectors of 16 bytes.
 */
import { type Binaryen, FunctionScope, reusable, type Vector, VectorEmitter } from './emitter.ts';

export interface MapOptions {
  /** How many vectors an iteration handles; `bytes` must be a multiple of 16 times it. */
  readonly unroll?: number;
  /** Pages of 64 KiB that the imported memory has at least. */
  readonly pages?: number;
}

/** The bytes of the module that maps `f`; throws if the module does not validate. */
export function buildMap(
  binaryen: Binaryen,
  f: (e: VectorEmitter, x: Vector, y: Vector) => Vector,
  options: MapOptions = {},
): Uint8Array<ArrayBuffer> {
  const { unroll = 1, pages = 1 } = options;
  const module = new binaryen.Module();
  module.setFeatures(binaryen.Features.SIMD128);

  module.setMemory(pages, -1, null, [], false, false, 'memory');
  module.addMemoryImport('memory', 'env', 'memory');
  const scope = new FunctionScope({ binaryen, module }, ['i32', 'i32', 'i32', 'i32']);
  const e = new VectorEmitter(scope);
  const offset = scope.newLocal(binaryen.i32);
  const at = (array: number) => module.i32.add(scope.parameter(array), module.local.get(offset, binaryen.i32));
  const body = scope.block(() => {
    const load = (array: number, byte: number): Vector => reusable(() => module.v128.load(byte, 4, at(array)));
    for (let i = 0; i < unroll; i++) {
      const x = e.let(load(0, 16 * i));
      scope.statement(module.v128.store(16 * i, 4, at(2), f(e, x, load(1, 16 * i)).take()));
    }
    const next = module.i32.add(module.local.get(offset, binaryen.i32), module.i32.const(16 * unroll));
    const more = module.i32.lt_u(module.local.tee(offset, next, binaryen.i32), scope.parameter(3));
    scope.statement(module.br('next', more));
  });
  scope.statement(module.if(scope.parameter(3), module.loop('next', body)));
  scope.finish('map', 'none');
  module.addFunctionExport('map', 'map');
  if (!module.validate()) throw new Error('the module that maps a vector function is not valid');
  const bytes = new Uint8Array(module.emitBinary());
  module.dispose();
  return bytes;
}
