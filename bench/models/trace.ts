/** A bench graph as the compiler gets it: the module that tracing its function gives. */
import { compile } from '../../index.ts';
import type { Module } from '../../ir/types.ts';
import { typeOfArray } from '../../tracer/array-leaf.ts';
import { compilations } from '../../tracer/compiled-functions.ts';
import type { Model } from './model.ts';

export function traceModel(model: Model): Module {
  const compilation = compilations.get(compile(model.fn, { name: model.name }));
  if (!compilation) throw new Error(`${model.name} is not a compiled function`);
  const signed = compilation.sign(undefined, model.specs());
  return compilation.traceModule(signed, signed.arrays.map(typeOfArray), 'wasm').module;
}
