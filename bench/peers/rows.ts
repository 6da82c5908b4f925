/**
 * The rows of the table: what is computed, as plain data that every runtime's host builds its own program from.
 *
 *     { name: 'matmul 512', group: 'matmul', work: { kind: 'matmul', m: 512, k: 512, n: 512 } }
 */
import type { Expression } from './expression.ts';

export interface MatmulWork {
  readonly kind: 'matmul' | 'int8Matmul';
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

/** Over one image in NCHW; the kernel is square, `groups` is 1 or the number of channels. */
export interface ConvolutionWork {
  readonly kind: 'convolution';
  readonly channels: number;
  readonly image: number;
  readonly filters: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: 'same' | 'valid';
  readonly groups: number;
}

/**
 * Over the rows of `f32[rows, size]`; `crossEntropy` gives a loss for each row, `topk` the `leaders` greatest elements.
 */
export interface RowWork {
  readonly kind:
    | 'softmax'
    | 'layerNorm'
    | 'rmsNorm'
    | 'crossEntropy'
    | 'transpose'
    | 'sumRows'
    | 'sumColumns'
    | 'sort'
    | 'topk';
  readonly rows: number;
  readonly size: number;
}

export interface ElementwiseWork {
  readonly kind: 'elementwise';
  readonly expression: Exclude<Expression, number>;
  readonly elements: number;
}

/** Loss, gradient and update by SGD of a classifier. */
export interface MlpWork {
  readonly kind: 'mlpStep';
  readonly batch: number;
  readonly sizes: readonly number[];
}

export interface ResNetWork {
  readonly kind: 'resnet50';
  readonly image: number;
}

export interface BlockWork {
  readonly kind: 'gptBlock';
  readonly time: number;
  readonly width: number;
  readonly heads: number;
}

/**
 * The forward pass of a classifier, 50 times: each call awaited before the next, or all begun before any is awaited.
 */
export interface FlightWork {
  readonly kind: 'inTurn' | 'inFlight';
  readonly calls: number;
}

/** `tiny` is `a * b + a` of four elements; the register tile of a product runs on operands in the first cache. */
export interface MachineWork {
  readonly kind: 'tiny' | 'registerTile';
}

/** What the machine does by itself. */
export interface CopyWork {
  readonly kind: 'copy' | 'read';
  readonly bytes: number;
}

export type Work =
  | MatmulWork
  | ConvolutionWork
  | RowWork
  | ElementwiseWork
  | MlpWork
  | ResNetWork
  | BlockWork
  | FlightWork
  | MachineWork
  | CopyWork;

export type Kind = Work['kind'];
/** The work whose kind may be `K`. */
export type WorkOf<K extends Kind> = Work extends infer W
  ? W extends { kind: Kind }
    ? K extends W['kind']
      ? W
      : never
    : never
  : never;

export interface Row {
  readonly name: string;
  /** Rows of a unit are measured interleaved, so that they may be compared. */
  readonly unit: string;
  readonly group: Group;
  readonly work: Work;
  /** What a FLOP of this row is held against: the row of that name, in the same unit. */
  readonly round?: string;
}

export type Group =
  | 'machine'
  | 'matmul'
  | 'odd sizes'
  | 'convolution'
  | 'rows'
  | 'chains'
  | 'single ops'
  | 'training'
  | 'models'
  | 'calls'
  | 'others';

/** What `topk` asks for. */
export const leaders = 50;

const elements = 4 * 2 ** 20;

const product = (m: number, k: number, n: number): MatmulWork => ({ kind: 'matmul', m, k, n });
const square = (n: number): MatmulWork => product(n, n, n);

const odd = (work: MatmulWork, unit: string, round?: string): Row => {
  const { m, k, n } = work;
  const name = m === k && k === n ? `matmul ${n}` : `matmul ${m}x${k}x${n}`;
  return { name, unit, group: 'odd sizes', work, ...(round === undefined ? {} : { round }) };
};

type ConvolutionShape = Omit<ConvolutionWork, 'kind' | 'padding'>;

const convolutions = (name: string, shape: ConvolutionShape): Row[] =>
  (['same', 'valid'] as const)
    // Without reach there is nothing to pad.
    .filter((padding) => padding === 'same' || shape.kernel > 1)
    .map((padding) => {
      const full = shape.kernel > 1 ? `${name}, ${padding.toUpperCase()}` : name;
      return { name: full, unit: full, group: 'convolution', work: { kind: 'convolution', ...shape, padding } };
    });

const overRows = (name: string, group: Group, work: RowWork): Row => ({ name, unit: name, group, work });

const elementwise = (name: string, group: Group, expression: Exclude<Expression, number>): Row => ({
  name,
  unit: name,
  group,
  work: { kind: 'elementwise', expression, elements },
});

const square2 = (e: Expression): Expression => ['mul', e, e];

export const rows: readonly Row[] = [
  { name: 'register tile', unit: 'matmul 512', group: 'machine', work: { kind: 'registerTile' } },
  { name: 'plain copy, 16 MiB', unit: 'copy', group: 'machine', work: { kind: 'copy', bytes: 2 ** 24 } },
  { name: 'plain read, 64 MiB', unit: 'matmul 1x4096x4096', group: 'machine', work: { kind: 'read', bytes: 2 ** 26 } },

  ...[256, 512, 1024, 2048].map(
    (n): Row => ({ name: `matmul ${n}`, unit: `matmul ${n}`, group: 'matmul', work: square(n) }),
  ),
  odd(square(511), 'matmul 512', 'matmul 512'),
  odd(square(513), 'matmul 512', 'matmul 512'),
  odd(product(1000, 37, 129), 'matmul 1000x37x129', 'matmul 1024x32x128'),
  odd(product(1024, 32, 128), 'matmul 1000x37x129'),
  odd(product(1, 4096, 4096), 'matmul 1x4096x4096'),
  odd(product(4096, 64, 4096), 'matmul 1024', 'matmul 1024'),

  ...convolutions('conv 3x3, 64 to 64, 56x56', {
    channels: 64,
    image: 56,
    filters: 64,
    kernel: 3,
    stride: 1,
    groups: 1,
  }),
  ...convolutions('conv 1x1, 256 to 64, 56x56', {
    channels: 256,
    image: 56,
    filters: 64,
    kernel: 1,
    stride: 1,
    groups: 1,
  }),
  ...convolutions('conv 7x7/2, 3 to 64, 224x224', {
    channels: 3,
    image: 224,
    filters: 64,
    kernel: 7,
    stride: 2,
    groups: 1,
  }),
  ...convolutions('depthwise 3x3, 128, 56x56', {
    channels: 128,
    image: 56,
    filters: 128,
    kernel: 3,
    stride: 1,
    groups: 128,
  }),

  overRows('softmax 1024x1024', 'rows', { kind: 'softmax', rows: 1024, size: 1024 }),
  overRows('layerNorm 1024x1024', 'rows', { kind: 'layerNorm', rows: 1024, size: 1024 }),
  overRows('rmsNorm 1024x1024', 'rows', { kind: 'rmsNorm', rows: 1024, size: 1024 }),
  overRows('cross-entropy 1024x1024', 'rows', { kind: 'crossEntropy', rows: 1024, size: 1024 }),

  elementwise('relu(tanh(2x+1)*x), 4M', 'chains', ['relu', ['mul', ['tanh', ['add', ['mul', 2, 'x'], 1]], 'x']]),
  elementwise('tanh(exp(x)*sin(x))*x+1, 4M', 'chains', [
    'add',
    ['mul', ['tanh', ['mul', ['exp', 'x'], ['sin', 'x']]], 'x'],
    1,
  ]),
  elementwise('erf(x)*exp(-x)/(1+exp(-x)), 4M', 'chains', [
    'div',
    ['mul', ['erf', 'x'], ['exp', ['mul', -1, 'x']]],
    ['add', 1, ['exp', ['mul', -1, 'x']]],
  ]),
  elementwise('(xy+1)/(xx+yy+1)-x/2, 4M', 'chains', [
    'sub',
    ['div', ['add', ['mul', 'x', 'y'], 1], ['add', ['add', square2('x'), square2('y')], 1]],
    ['mul', 0.5, 'x'],
  ]),
  elementwise('exp, sin, erf, division, tanh, sqrt, 4M', 'chains', [
    'sub',
    [
      'tanh',
      ['div', ['mul', ['sin', ['add', ['exp', ['mul', 0.5, 'x']], 'y']], ['erf', 'x']], ['add', square2('y'), 1]],
    ],
    ['sqrt', ['abs', 'y']],
  ]),
  elementwise('gelu, 4M', 'single ops', ['gelu', 'x']),
  elementwise('erf, 4M', 'single ops', ['erf', 'x']),
  elementwise('silu, 4M', 'single ops', ['silu', 'x']),

  {
    name: 'MLP 784-256-10, batch 64, step',
    unit: 'mlp',
    group: 'training',
    work: { kind: 'mlpStep', batch: 64, sizes: [784, 256, 10] },
  },
  { name: 'ResNet-50, batch 1', unit: 'resnet', group: 'models', work: { kind: 'resnet50', image: 224 } },
  {
    name: 'GPT block, 512 wide, 128 tokens',
    unit: 'gpt',
    group: 'models',
    work: { kind: 'gptBlock', time: 128, width: 512, heads: 8 },
  },

  { name: 'tiny call', unit: 'tiny', group: 'calls', work: { kind: 'tiny' } },
  { name: '50 calls in turn', unit: 'flight', group: 'calls', work: { kind: 'inTurn', calls: 50 } },
  { name: '50 calls in flight', unit: 'flight', group: 'calls', work: { kind: 'inFlight', calls: 50 } },

  elementwise('relu(2x+1), 4M', 'others', ['relu', ['add', ['mul', 2, 'x'], 1]]),
  overRows('sum of rows 4096x1024', 'others', { kind: 'sumRows', rows: 4096, size: 1024 }),
  overRows('sum of columns 4096x1024', 'others', { kind: 'sumColumns', rows: 4096, size: 1024 }),
  overRows('transpose + 1, 4096x1024', 'others', { kind: 'transpose', rows: 4096, size: 1024 }),
  overRows('sort rows, 1024x1024', 'others', { kind: 'sort', rows: 1024, size: 1024 }),
  overRows('top 50 of rows, 1024x1024', 'others', { kind: 'topk', rows: 1024, size: 1024 }),
  { name: 'int8 matmul 512', unit: 'int8', group: 'others', work: { kind: 'int8Matmul', m: 512, k: 512, n: 512 } },
];
