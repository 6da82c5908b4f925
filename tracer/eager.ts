/**
 * Eager mode: operations outside `compile` run at once through the same pipeline, one cached program for each
 * operation and signature. The first call of a signature traces and compiles; later ones look the program up and
 * launch it.
 *
 *     softmax(x, -1)       // key 'f32[8,10]n-1,' → the program of softmax over the last of two axes
 *
 * `runPrimitive` does the same for a single op of the IR: what a gradient outside `compile` is made of.
 */
import type { DType } from '../base/dtype.ts';
import { internalError, KilnError } from '../base/error.ts';
import { GraphBuilder } from '../ir/builder.ts';
import { attributesKey } from '../ir/canonical.ts';
import { denseData } from '../ir/literal.ts';
import type { OpAttributes, Opcode } from '../ir/opcodes.ts';
import type { Graph, Literal } from '../ir/types.ts';
import type { ArraySpec, BufferHandle, Device } from '../runtime/device.ts';
import { encodeElements } from '../runtime/elements.ts';
import { tierKey } from '../runtime/program.ts';
import { currentDevice, deviceNamed } from '../runtime/session.ts';
import { assertOpen, sharedFunctions, Trace, withTrace } from './graph-trace.ts';
import { flattenOutputs } from './outputs.ts';
import { type CompiledSource, programFor } from './program-cache.ts';
import { mapLeaves, rebuild, type TreeStructure } from './pytree.ts';
import { defaultPrecision } from './settings.ts';
import { sign } from './signature.ts';
import { Tensor } from './tensor.ts';

/** An output of a program with fixed sizes; its signature is at hand so that the next key costs nothing. */
interface OutputType extends ArraySpec {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly signature: string;
}

interface EagerProgram {
  readonly source: CompiledSource;
  readonly outputs: readonly OutputType[];
  /** How results are put together; `undefined` for a single tensor. */
  readonly structure: TreeStructure | undefined;
}

/** Caches for the two precisions, by key. */
const newCaches = (): Record<'fast' | 'strict', Map<string, EagerProgram>> => ({ fast: new Map(), strict: new Map() });

/** One public operation outside all traces. */
export class EagerOperation {
  readonly name: string;
  readonly #implementation: (...args: readonly unknown[]) => unknown;
  readonly #caches = newCaches();

  constructor(name: string, implementation: (...args: readonly unknown[]) => unknown) {
    this.name = name;
    this.#implementation = implementation;
  }

  run(args: readonly unknown[]): unknown {
    const { key: argumentsKey, arrays } = sign(args);
    const tensors = arrays as readonly Tensor[];
    const device = deviceOf(tensors);
    const key = tierKey(device.tier) + argumentsKey;
    const cache = this.#caches[defaultPrecision()];
    let program = cache.get(key);
    if (!program) {
      program = this.#trace(args, device);
      cache.set(key, program);
    }
    const results = launch(program, tensors, device);
    if (!program.structure) return results[0];
    let at = 0;
    return rebuild(program.structure, () => results[at++]);
  }

  #trace(args: readonly unknown[], device: Device): EagerProgram {
    const { name } = this;
    const trace = new Trace('symbolic', name, device.name, sharedFunctions());
    const traced = args.map((arg) =>
      mapLeaves(arg, (leaf) => {
        if (!(leaf instanceof Tensor)) return leaf;
        assertOpen(leaf, name);
        return trace.parameter(leaf.type);
      }),
    );
    const { graph, structure } = withTrace(trace, () => {
      const outputs = flattenOutputs(this.#implementation(...traced), name);
      return { graph: trace.build(outputs.tensors), structure: outputs.structure };
    });
    if (trace.captures.length > 0) throw internalError(`operation ${name} uses a tensor that is not an argument`);
    return eagerProgram(name, graph, structure.kind === 'leaf' ? undefined : structure, device);
  }
}

function eagerProgram(name: string, graph: Graph, structure: TreeStructure | undefined, device: Device): EagerProgram {
  const module = { functions: [{ name, graph }], main: name };
  const donated = graph.parameters.map(() => false);
  const { source } = programFor(module, { name, precision: defaultPrecision(), donated, device });
  const outputs = graph.results.map(({ type }): OutputType => {
    const shape = Object.freeze(type.shape.map(Number));
    return { dtype: type.dtype, shape, signature: new Tensor(type.dtype, shape).signature };
  });
  return { source, outputs, structure };
}

/** Where an operation on these tensors runs. */
const deviceOf = (tensors: readonly Tensor[]): Device => tensors[0]?.handle?.device ?? currentDevice();

/** Launches a program of fixed sizes on concrete tensors. */
function launch({ source, outputs }: EagerProgram, tensors: readonly Tensor[], device: Device): Tensor[] {
  const handles: BufferHandle[] = [];
  for (let i = 0; i < tensors.length; i++) {
    const { handle } = tensors[i];
    if (!handle) {
      assertOpen(tensors[i], source.name);
      throw internalError(`${source.name}: an operand has no elements`);
    }
    handles.push(handle);
  }
  const results = device.run(source, handles, outputs);
  const made: Tensor[] = [];
  for (let i = 0; i < results.length; i++) {
    const { dtype, shape, signature } = outputs[i];
    made.push(Tensor.of(dtype, shape, results[i], signature));
  }
  return made;
}

const primitives = newCaches();

/**
 * Runs one op on concrete tensors.
 * @param deviceName where an op without operands runs; the session's device unless given
 * @throws KilnError whatever the op's type rule says, `use_after_dispose`, `device_mismatch`
 */
export function runPrimitive<K extends Opcode>(
  opcode: K,
  operands: readonly Tensor[],
  attributes: OpAttributes[K],
  deviceName?: string,
): Tensor {
  const device = operands.length > 0 ? deviceOf(operands) : deviceNamed(deviceName);
  if (opcode === 'constant') return uploadLiteral((attributes as OpAttributes['constant']).value, device);
  let key: string = tierKey(device.tier) + opcode + attributesKey(opcode, attributes);
  for (let i = 0; i < operands.length; i++) key += operands[i].signature;
  const cache = primitives[defaultPrecision()];
  let program = cache.get(key);
  if (!program) {
    const builder = new GraphBuilder();
    const parameters = operands.map((operand) => builder.parameter(operand.type));
    const result = builder.op(opcode, parameters, attributes);
    program = eagerProgram(opcode, builder.build([result]), undefined, device);
    cache.set(key, program);
  }
  return launch(program, operands, device)[0];
}

/** A literal as a tensor on a device. */
function uploadLiteral(literal: Literal, device: Device): Tensor {
  const { dtype, shape } = literal;
  if (!literal.shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw new KilnError('invalid_size', 'constant: a size is not a size', { given: `[${shape.join(',')}]` });
  }
  const bytes = encodeElements(dtype, denseData(literal) as ArrayLike<number>);
  return Tensor.of(dtype, shape, device.upload(dtype, shape, bytes));
}
