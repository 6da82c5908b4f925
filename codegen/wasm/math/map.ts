/**
 * Builds a module that maps one vector function over arrays: what the tests and the measurements of `vectorMath` run.
 * The module imports `env.memory` and exports `map(x, y, result, bytes)`: three addresses, and the size of each
 * array, a multiple of 16. For each vector, `result[i] = f(x[i], y[i])`.
 */
import { internalError } from '../../../base/error.ts';
import { type Binaryen, FunctionScope, reusable, type Vector, VectorEmitter } from './emitter.ts';

/** The code that maps `f`, `unroll` vectors a round; `bytes` must then be a multiple of 16 times that. */
export function buildMap(
  binaryen: Binaryen,
  f: (e: VectorEmitter, x: Vector, y: Vector) => Vector,
  { unroll = 1, isFused = false }: { readonly unroll?: number; readonly isFused?: boolean } = {},
): Uint8Array<ArrayBuffer> {
  const module = new binaryen.Module();
  const { SIMD128, RelaxedSIMD } = binaryen.Features;
  module.setFeatures(isFused ? SIMD128 | RelaxedSIMD : SIMD128);
  // At least one page, and no upper limit.
  module.setMemory(1, -1, null, [], false, false, 'memory');
  module.addMemoryImport('memory', 'env', 'memory');
  const scope = new FunctionScope({ binaryen, module, isFused }, ['i32', 'i32', 'i32', 'i32']);
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
  if (!module.validate()) throw internalError('the code that maps a vector function is not valid');
  const bytes = new Uint8Array(module.emitBinary());
  module.dispose();
  return bytes;
}
