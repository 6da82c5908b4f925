/**
 * The processes of a run: Kiln once for each number of threads and kind of SIMD, and every rival that can be had, once
 * for each number of threads it knows.
 *
 *     hostsOf({ peers: ['kiln', 'onnxruntime-web'], threads: [1], simd: ['plain'] })
 *       kiln, 1 thread, plain; onnxruntime-web, 1 thread
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** By the names that the command line takes and the tables show. */
export const peers = [
  'kiln',
  'onnxruntime-web',
  'onnxruntime-node',
  'jax-js',
  'tfjs',
  'torch',
  'torch.compile',
  'jax',
  'tensorflow',
] as const;
export type Peer = (typeof peers)[number];

export const simdKinds = ['plain', 'relaxed'] as const;
export type Simd = (typeof simdKinds)[number];
export const threadCounts = [1, 2] as const;
export type Threads = (typeof threadCounts)[number];

export interface HostSpec {
  readonly id: string;
  readonly peer: Peer;
  readonly threads: Threads;
  /** Kiln's only: what the others use is their own choice. */
  readonly simd?: Simd;
  /** What is timed of it: Kiln's two precisions, one thing of all others. */
  readonly modes: readonly string[];
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface Selection {
  readonly peers: readonly Peer[];
  readonly threads: readonly Threads[];
  readonly simd: readonly Simd[];
  readonly modes: readonly string[];
  /** The interpreter with PyTorch, JAX and TensorFlow, or as many of them as there are. */
  readonly python: string;
}

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Where `bench/peers/README.md` says to install the packages. */
export const defaultPython = fileOf('python/.venv/bin/python');

/** The loaders of this process, which a host in TypeScript needs too. */
const script = (name: string, ...args: string[]): string[] => [...process.execArgv, fileOf(`hosts/${name}`), ...args];

const olderThan = (version: number): boolean => Number(process.versions.node.split('.')[0]) < version;

function kilnHost(threads: Threads, simd: Simd, modes: readonly string[]): HostSpec {
  return {
    id: `kiln-${threads}-${simd}`,
    peer: 'kiln',
    threads,
    simd,
    modes,
    command: process.execPath,
    args: script('kiln.ts'),
    env: { KILN_THREADS: String(threads), KILN_RELAXED_SIMD: simd === 'relaxed' ? '1' : '0' },
  };
}

function onnxruntime(flavour: 'web' | 'node', threads: Threads): HostSpec {
  const peer = `onnxruntime-${flavour}` as const;
  const args = script('onnxruntime.ts', flavour, String(threads));
  return { id: `${peer}-${threads}`, peer, threads, modes: [''], command: process.execPath, args, env: {} };
}

/** Runtimes in JavaScript that know one thread in Node. */
function singleThreaded(peer: 'jax-js' | 'tfjs'): HostSpec {
  // jax-js takes fused multiplication and addition where the engine has it, which is behind a flag before Node 22.
  const flags = peer === 'jax-js' && olderThan(22) ? ['--experimental-wasm-relaxed-simd'] : [];
  const args = [...flags, ...script(`${peer}.ts`)];
  return { id: peer, peer, threads: 1, modes: [''], command: process.execPath, args, env: {} };
}

function pythonHost(
  peer: 'torch' | 'torch.compile' | 'jax' | 'tensorflow',
  threads: Threads,
  python: string,
): HostSpec {
  return {
    id: `${peer}-${threads}`,
    peer,
    threads,
    modes: [''],
    command: python,
    args: [fileOf('python/host.py'), peer, String(threads)],
    env: {
      OMP_NUM_THREADS: String(threads),
      TF_CPP_MIN_LOG_LEVEL: '3',
      CUDA_VISIBLE_DEVICES: '',
      JAX_PLATFORMS: 'cpu',
    },
  };
}

/** One host for each thing to be timed in a process of its own. Whether a rival is installed, its host says. */
export function hostsOf({ peers: chosen, threads, simd, modes, python }: Selection): HostSpec[] {
  const of = (peer: Peer): HostSpec[] => {
    switch (peer) {
      case 'kiln':
        return threads.flatMap((count) => simd.map((kind) => kilnHost(count, kind, modes)));
      case 'onnxruntime-web':
        return threads.map((count) => onnxruntime('web', count));
      case 'onnxruntime-node':
        return threads.map((count) => onnxruntime('node', count));
      case 'jax-js':
      case 'tfjs':
        return [singleThreaded(peer)];
      default:
        return existsSync(python) ? threads.map((count) => pythonHost(peer, count, python)) : [];
    }
  };
  return peers.filter((peer) => chosen.includes(peer)).flatMap(of);
}
