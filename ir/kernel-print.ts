/**
 * The text of a kernel: for people to read, and canonical, so that equal kernels have equal text and the text can be a
 * cache key. The name is left out of the key; buffers, scratch and axes keep their names.
 *
 *     kernel relu(read x: f32[N], write y: f32[N]) {
 *       parallel i < N {
 *         %0: f32 = load x[i]
 *         %1: f32 = constant 0
 *         %2: f32 = maximum %0, %1
 *         store y[i] = %2
 *       }
 *     }
 */
import { type Dim, equalDims, isStatic, type SymbolRange, symbolsOf } from '../base/dim.ts';
import { type DType, dtypeInfo } from '../base/dtype.ts';
import type {
  Accumulator,
  Axis,
  IndexExpression,
  IndexFactor,
  IndexTerm,
  Kernel,
  KernelBuffer,
  KernelNode,
  Let,
  Loop,
  Reduce,
  Sort,
  Store,
} from './kernel.ts';

/** The text of a kernel with its name. */
export const printKernel = (kernel: Kernel): string => printAs(kernel, kernel.name);

/** The text that two kernels share exactly when they are the same, but for the name and the numbering of values. */
export const kernelKey = (kernel: Kernel): string => {
  const numbers = new Map<string, number>();
  const ranges = symbolsOfKernel(kernel).map(({ name, min, max }) => `${name} in ${min}..${max}\n`);
  const text = printAs(kernel, '_').replace(/%\d+/g, (id) => {
    const number = numbers.get(id) ?? numbers.size;
    numbers.set(id, number);
    return `%${number}`;
  });
  return ranges.join('') + text;
};

/** The symbols that sizes of a kernel are made of. */
function symbolsOfKernel({ buffers, scratch, body }: Kernel): SymbolRange[] {
  const sizes: Dim[] = [...buffers, ...scratch].map(({ size }) => size);
  const visit = (nodes: readonly KernelNode[]): void => {
    for (const node of nodes) {
      if (node.kind === 'let' && node.expression.kind === 'size') sizes.push(node.expression.size);
      if (node.kind === 'loop') sizes.push(node.axis.extent);
      if (node.kind === 'sort') sizes.push(node.length, node.count);
      if (node.kind === 'reduce') sizes.push(...node.axes.map(({ extent }) => extent));
      if (node.kind === 'loop' || node.kind === 'reduce') visit(node.body);
    }
  };
  visit(body);
  return symbolsOf(...sizes);
}

/** The text of one node and what is in it, without indentation. */
export const printNode = (node: KernelNode): string => nodeLines(node).join('\n');

function printAs(kernel: Kernel, name: string): string {
  const buffers = kernel.buffers.map((buffer) => bufferText(buffer, kernel.buffers)).join(', ');
  const scratch = kernel.scratch.map((s) => `  scratch ${s.name}: ${typeText(s.dtype, s.size)}`);
  const notes = `${kernel.independent ? 'independent ' : ''}${kernel.packed ? `packed ${kernel.packed} ` : ''}`;
  const head = `kernel ${name}(${buffers}) ${notes}{`;
  return [head, ...scratch, ...indented(kernel.body), '}'].join('\n');
}

function bufferText({ name, dtype, access, size, inPlaceOf }: KernelBuffer, all: readonly KernelBuffer[]): string {
  const shared = inPlaceOf === undefined ? '' : ` over ${all[inPlaceOf]?.name ?? inPlaceOf}`;
  return `${access} ${name}: ${typeText(dtype, size)}${shared}`;
}

const short = (dtype: DType): string => dtypeInfo(dtype).short;
const typeText = (dtype: DType, size: Dim): string => `${short(dtype)}[${size}]`;

const indented = (nodes: readonly KernelNode[]): string[] => nodes.flatMap(nodeLines).map((line) => `  ${line}`);

function nodeLines(node: KernelNode): string[] {
  switch (node.kind) {
    case 'let':
      return [letText(node)];
    case 'store':
      return [storeText(node)];
    case 'loop':
      return loopLines(node);
    case 'reduce':
      return reduceLines(node);
    case 'sort':
      return [sortText(node)];
  }
}

function letText({ id, dtype, expression }: Let): string {
  return `%${id}: ${short(dtype)} = ${expressionText(expression)}`;
}

function expressionText(expression: Let['expression']): string {
  switch (expression.kind) {
    case 'constant':
      return `constant ${numberText(expression.value)}`;
    case 'size':
      return `size ${expression.size}`;
    case 'index':
      return `index ${indexText(expression.index)}`;
    case 'load': {
      const place = `load ${expression.memory}[${indexText(expression.index)}]`;
      if (expression.when === undefined) return place;
      return `${place} when %${expression.when} else ${numberText(expression.otherwise ?? 0)}`;
    }
    case 'apply': {
      const operands = expression.operands.map((id) => `%${id}`).join(', ');
      return `${expression.opcode}${expression.direction ? ` ${expression.direction}` : ''} ${operands}`;
    }
  }
}

/** Exact: every number prints as itself, -0, inf and nan too. */
function numberText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (value === Infinity) return 'inf';
  if (value === -Infinity) return '-inf';
  return Object.is(value, -0) ? '-0' : String(value);
}

function storeText({ memory, index, value, combine, when }: Store): string {
  const how = combine === 'assign' ? '=' : `${combine}=`;
  return `store ${memory}[${indexText(index)}] ${how} %${value}${when === undefined ? '' : ` when %${when}`}`;
}

function sortText({ keys, length, direction, values, positions, count }: Sort): string {
  const written = [values && `values ${values}`, positions && `positions ${positions}`].filter((part) => part);
  return `sort ${keys} < ${length} ${direction} -> ${written.join(', ')} < ${count}`;
}

const axisText = ({ name, extent }: Axis): string => `${name} < ${extent}`;

function loopLines({ mode, axis, body, carried = [] }: Loop): string[] {
  const values = carried.map((c) => `%${c.id}: ${short(c.dtype)} = %${c.initial} then %${c.next}`);
  const head = `${mode} ${axisText(axis)}${values.length ? ` carrying (${values.join(', ')})` : ''} {`;
  return [head, ...indented(body), '}'];
}

function reduceLines({ axes, body, accumulators, order }: Reduce): string[] {
  const head = `reduce ${axes.map(axisText).join(', ')} ${order} {`;
  const tails = accumulators.flatMap(accumulatorLines);
  return [head, ...indented(body), `} -> ${tails[0]}`, ...tails.slice(1)];
}

function accumulatorLines(accumulator: Accumulator, position: number): string[] {
  const lead = position === 0 ? '' : '  -> ';
  if (accumulator.kind !== 'tuple') {
    const { result, dtype, kind, value } = accumulator;
    return [`${lead}%${result}: ${short(dtype)} = ${kind}(%${value})`];
  }
  const { results, dtypes, identity, values, left, right, body, combined } = accumulator;
  const ids = (list: readonly number[]): string => list.map((id) => `%${id}`).join(', ');
  const typed = results.map((id, i) => `%${id}: ${short(dtypes[i])}`).join(', ');
  const start = identity.map(numberText).join(', ');
  return [
    `${lead}${typed} = tuple(${ids(values)}) from (${start}) by (${ids(left)}), (${ids(right)}) {`,
    ...indented(body),
    `} yielding (${ids(combined)})`,
  ];
}

/** An index as text, such as `N*i + j + floordiv(k + 1, 2)`. */
export function indexText({ offset, terms }: IndexExpression): string {
  const parts = terms.map(termText);
  if (parts.length === 0 || !equalDims(offset, 0)) parts.push(String(offset));
  return parts.join(' + ');
}

function termText({ coefficient, factor }: IndexTerm): string {
  if (equalDims(coefficient, 1)) return factorText(factor);
  const by = isStatic(coefficient) || coefficient.terms.length + (coefficient.constant === 0 ? 0 : 1) === 1;
  return `${by ? coefficient : `(${coefficient})`}*${factorText(factor)}`;
}

function factorText(factor: IndexFactor): string {
  if (factor.kind === 'axis') return factor.axis;
  if (factor.kind === 'value') return `%${factor.id}`;
  return `${factor.kind}(${indexText(factor.dividend)}, ${factor.divisor})`;
}
