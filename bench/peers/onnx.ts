/**
 * Writes small ONNX models for peers to run: a graph of nodes over float32 tensors of fixed shape. Only the fields these
 * benchmarks need, by https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
 */

export interface OnnxNode {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export interface OnnxTensorType {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxTensorType[];
  readonly outputs: readonly OnnxTensorType[];
  /** Scalars that nodes name as inputs. */
  readonly scalars?: Readonly<Record<string, number>>;
}

const float32 = 1;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return [...bytes, rest];
}

/** A length-delimited field (wire type 2). */
const bytesField = (field: number, content: ArrayLike<number>): number[] => [
  ...varint(field * 8 + 2),
  ...varint(content.length),
  ...Array.from(content),
];
const textField = (field: number, text: string): number[] => bytesField(field, new TextEncoder().encode(text));
const numberField = (field: number, value: number): number[] => [...varint(field * 8), ...varint(value)];

const nodeProto = ({ type, inputs, outputs }: OnnxNode): number[] => [
  ...inputs.flatMap((name) => textField(1, name)),
  ...outputs.flatMap((name) => textField(2, name)),
  ...textField(4, type),
];

function valueInfo({ name, shape }: OnnxTensorType): number[] {
  const dimensions = shape.flatMap((size) => bytesField(1, numberField(1, size)));
  const tensorType = [...numberField(1, float32), ...bytesField(2, dimensions)];
  return [...textField(1, name), ...bytesField(2, bytesField(1, tensorType))];
}

const scalarTensor = (name: string, value: number): number[] => [
  ...numberField(2, float32),
  ...textField(8, name),
  ...bytesField(9, new Uint8Array(Float32Array.of(value).buffer)),
];

/** A model of one graph, operator set 20. */
export function onnxModel({ nodes, inputs, outputs, scalars = {} }: OnnxGraph): Uint8Array {
  const graph = [
    ...nodes.flatMap((node) => bytesField(1, nodeProto(node))),
    ...textField(2, 'bench'),
    ...Object.entries(scalars).flatMap(([name, value]) => bytesField(5, scalarTensor(name, value))),
    ...inputs.flatMap((input) => bytesField(11, valueInfo(input))),
    ...outputs.flatMap((output) => bytesField(12, valueInfo(output))),
  ];
  return Uint8Array.from([...numberField(1, 9), ...bytesField(7, graph), ...bytesField(8, numberField(2, 20))]);
}
