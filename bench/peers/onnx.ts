/**
 * Writes ONNX models for peers to run: a graph of nodes over tensors of fixed shape. Only the fields these benchmarks
 * need, by https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
 *
 *     onnxModel({
 *       inputs: [{ name: 'a', shape: [8, 4] }],
 *       outputs: [{ name: 'b', shape: [4, 8] }],
 *       nodes: [{ type: 'Transpose', inputs: ['a'], outputs: ['b'], attributes: { perm: [1, 0] } }],
 *     })
 */

export interface OnnxNode {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Numbers are integers; floats are wrapped as `{ float }`. */
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

export type OnnxAttribute = number | string | readonly number[] | { readonly float: number };

export interface OnnxTensorType {
  readonly name: string;
  readonly shape: readonly number[];
  /** `float32` unless given. */
  readonly dtype?: OnnxDType;
}

export type OnnxArray = Float32Array | Int32Array | Int8Array | BigInt64Array;

/** A constant: weights. */
export interface OnnxInitializer {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: OnnxArray;
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxTensorType[];
  readonly outputs: readonly OnnxTensorType[];
  /** Float32 scalars that nodes name as inputs. */
  readonly scalars?: Readonly<Record<string, number>>;
  readonly initializers?: readonly OnnxInitializer[];
}

/** Numbers of `TensorProto.DataType`. */
const dataTypes = { float32: 1, int8: 3, int32: 6, int64: 7 } as const;

export type OnnxDType = keyof typeof dataTypes;

/** Numbers of `AttributeProto.AttributeType`. */
const attributeTypes = { float: 1, int: 2, string: 3, ints: 7 } as const;

/** A message in the making: pieces of bytes and how many they are together. Weights are not copied until the end. */
interface Message {
  readonly pieces: readonly Uint8Array[];
  readonly length: number;
}

const join = (parts: readonly Message[]): Message => ({
  pieces: parts.flatMap(({ pieces }) => pieces),
  length: parts.reduce((length, part) => length + part.length, 0),
});

const bytes = (content: Uint8Array): Message => ({ pieces: [content], length: content.length });

/** Base-128 digits, the lowest first; no negative numbers. */
function varint(value: number): Uint8Array {
  const digits: number[] = [];
  let rest = value;
  while (rest >= 128) {
    digits.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return Uint8Array.of(...digits, rest);
}

/** A length-delimited field (wire type 2). */
const field = (number: number, content: Message): Message =>
  join([bytes(varint(number * 8 + 2)), bytes(varint(content.length)), content]);
const textField = (number: number, text: string): Message => field(number, bytes(new TextEncoder().encode(text)));
const numberField = (number: number, value: number): Message => join([bytes(varint(number * 8)), bytes(varint(value))]);
/** Four bytes (wire type 5). */
const floatField = (number: number, value: number): Message =>
  join([bytes(varint(number * 8 + 5)), bytes(new Uint8Array(Float32Array.of(value).buffer))]);

function attribute(name: string, value: OnnxAttribute): Message {
  const typed = (type: keyof typeof attributeTypes, content: readonly Message[]): Message =>
    join([textField(1, name), ...content, numberField(20, attributeTypes[type])]);
  if (typeof value === 'number') return typed('int', [numberField(3, value)]);
  if (typeof value === 'string') return typed('string', [textField(4, value)]);
  if ('float' in value) return typed('float', [floatField(2, value.float)]);
  return typed(
    'ints',
    value.map((n) => numberField(8, n)),
  );
}

const nodeProto = ({ type, inputs, outputs, attributes = {} }: OnnxNode): Message =>
  join([
    ...inputs.map((name) => textField(1, name)),
    ...outputs.map((name) => textField(2, name)),
    textField(4, type),
    ...Object.entries(attributes).map(([name, value]) => field(5, attribute(name, value))),
  ]);

function valueInfo({ name, shape, dtype = 'float32' }: OnnxTensorType): Message {
  const dimensions = join(shape.map((size) => field(1, numberField(1, size))));
  const tensorType = join([numberField(1, dataTypes[dtype]), field(2, dimensions)]);
  return join([textField(1, name), field(2, field(1, tensorType))]);
}

function dtypeOf(data: OnnxArray): OnnxDType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Int32Array) return 'int32';
  return data instanceof Int8Array ? 'int8' : 'int64';
}

const tensorProto = ({ name, shape, data }: OnnxInitializer): Message =>
  join([
    ...shape.map((size) => numberField(1, size)),
    numberField(2, dataTypes[dtypeOf(data)]),
    textField(8, name),
    field(9, bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))),
  ]);

/** A model of one graph, operator set 20. */
export function onnxModel({ nodes, inputs, outputs, scalars = {}, initializers = [] }: OnnxGraph): Uint8Array {
  const constants = Object.entries(scalars).map(([name, value]) => ({ name, shape: [], data: Float32Array.of(value) }));
  const graph = join([
    ...nodes.map((node) => field(1, nodeProto(node))),
    textField(2, 'bench'),
    ...[...constants, ...initializers].map((constant) => field(5, tensorProto(constant))),
    ...inputs.map((input) => field(11, valueInfo(input))),
    ...outputs.map((output) => field(12, valueInfo(output))),
  ]);
  const { pieces, length } = join([numberField(1, 9), field(7, graph), field(8, numberField(2, 20))]);
  const model = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    model.set(piece, at);
    at += piece.length;
  }
  return model;
}
