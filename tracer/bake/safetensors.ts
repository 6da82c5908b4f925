/**
 * Tensors in the format of safetensors (https://github.com/huggingface/safetensors): a length of 8 bytes, a header in
 * JSON, the data. As its own writer does, wide dtypes come first and names in order within a dtype, so the same
 * tensors give the same bytes. The header is padded so that the data begin at a multiple of 16.
 *
 *     writeSafetensors([{ name: 'w', dtype: 'float32', shape: [4, 2], bytes }])
 *       20 00 … 00  {"w":{"dtype":"F32","shape":[4,2],"data_offsets":[0,32]}}   …32 bytes
 */
import { byteSize, type DType } from '../../base/dtype.ts';
import { internalError } from '../../base/error.ts';
import { corrupt } from '../../runtime/artefact/container.ts';

export interface NamedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Dense little-endian elements; a bool is a byte. */
  readonly bytes: Uint8Array;
}

const dtypeNames: Readonly<Record<DType, string>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  bool: 'BOOL',
};

const alignment = 16;
/** Bytes of the length before the header. */
const lengthBytes = 8;

const order = (text: string, other: string): number => (text < other ? -1 : text > other ? 1 : 0);

/** Tensors as they lie in the file. Names are unique, and none is `__metadata__`. */
export const inFileOrder = <T extends Pick<NamedTensor, 'name' | 'dtype'>>(tensors: readonly T[]): T[] =>
  [...tensors].sort(
    (a, b) =>
      byteSize(b.dtype) - byteSize(a.dtype) || order(dtypeNames[a.dtype], dtypeNames[b.dtype]) || order(a.name, b.name),
  );

/** @param tensors in the order of `inFileOrder` */
export function writeSafetensors(tensors: readonly NamedTensor[]): Uint8Array<ArrayBuffer> {
  let end = 0;
  const entries = tensors.map(({ name, dtype, shape, bytes }) => {
    const expected = shape.reduce((product, size) => product * size, byteSize(dtype));
    if (bytes.length !== expected) throw internalError(`${name}: ${bytes.length} bytes instead of ${expected}`);
    const begin = end;
    end += bytes.length;
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype: dtypeNames[dtype], shape, data_offsets: [begin, end] })}`;
  });
  const json = new TextEncoder().encode(`{${entries.join(',')}}`);
  const start = Math.ceil((lengthBytes + json.length) / alignment) * alignment;
  const file = new Uint8Array(start + end).fill(0x20, lengthBytes, start);
  new DataView(file.buffer).setBigUint64(0, BigInt(start - lengthBytes), true);
  file.set(json, lengthBytes);
  let at = start;
  for (const { bytes } of tensors) {
    file.set(bytes, at);
    at += bytes.length;
  }
  return file;
}

/**
 * The tensors of a file with the bytes of each.
 * @param tensors in the order of the file, as `writeSafetensors` was given them
 * @throws KilnError `corrupt_artefact` for a file that is shorter or longer
 */
export function tensorsOf(tensors: readonly Omit<NamedTensor, 'bytes'>[], file: Uint8Array): NamedTensor[] {
  const sizes = tensors.map(({ dtype, shape }) => shape.reduce((product, size) => product * size, byteSize(dtype)));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const start = file.length < lengthBytes ? -1 : lengthBytes + Number(view.getBigUint64(0, true));
  if (start + total !== file.length) throw corrupt('weights that are shorter or longer than their tensors');
  let at = start;
  return tensors.map((tensor, i) => {
    const bytes = file.subarray(at, at + sizes[i]);
    at += sizes[i];
    return { ...tensor, bytes };
  });
}
