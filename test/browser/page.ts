/**
 * The page that runs test files: `runFile` is called from Node for one after the other, and tells how each test ended.
 * `test-files` is made with the bundle: a function for each file that imports it.
 */
import { type File, startTests, type Task, type TaskResult, type VitestRunner } from '@vitest/runner';
import fc from 'fast-check';
import testFiles from 'test-files';
import { init } from '../../index.ts';
import { costModel } from '../../runtime/wasm/cost.ts';
import { loadCompiler } from '../../tracer/compiler-client.ts';

export interface TestOutcome {
  readonly name: string;
  readonly state: 'passed' | 'failed' | 'skipped';
  /** Why it failed or was skipped. */
  readonly text?: string;
}

export interface FileOutcome {
  readonly tests: readonly TestOutcome[];
  readonly isIsolated: boolean;
}

export interface PageSettings {
  readonly device: 'wasm' | 'webgpu';
  /** Threads of the wasm device; with more than one, every launch is shared. */
  readonly threads: number;
  readonly seed: number;
}

/** Chooses the device, once more where a file has ended the session. */
let choose = async (): Promise<void> => {
  throw new Error('runFile before setUp');
};

/** What `test/setup.ts` and `test/share-all.ts` do in Node. */
export async function setUp({ device, threads, seed }: PageSettings): Promise<void> {
  fc.configureGlobal({ seed });
  await loadCompiler(device);
  // A page keeps nothing for the next one: it tests what is compiled.
  choose = () => init({ device, cache: false, ...(device === 'wasm' && { threads }) });
  await choose();
  if (threads > 1) Object.assign(costModel, { leastMicroseconds: 0, grainMicroseconds: 0, wakeMicroseconds: 0 });
}

const runner: VitestRunner = {
  config: {
    root: '/',
    setupFiles: [],
    name: 'page',
    passWithNoTests: false,
    testNamePattern: undefined,
    allowOnly: false,
    sequence: { seed: 0, hooks: 'stack', setupFiles: 'list' },
    chaiConfig: undefined,
    maxConcurrency: 1,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    retry: 0,
    includeTaskLocation: false,
    tags: [],
    tagsFilter: undefined,
    strictTags: false,
  },
  importFile: (path) => testFiles[path](),
};

/** @param path as the bundle was told of it */
export async function runFile(path: string): Promise<FileOutcome> {
  await choose();
  const files = await startTests([path], runner);
  return {
    tests: files.flatMap((file) => outcomes(file, '')),
    isIsolated: (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true,
  };
}

function outcomes(task: File | Task, within: string): TestOutcome[] {
  const name = within ? `${within} > ${task.name}` : task.name;
  const { state, errors, note } = (task.result ?? {}) as TaskResult & { readonly note?: string };
  const text = errors?.map(({ message, stack }) => `${message}\n${stack ?? ''}`).join('\n');
  if (task.type === 'test') {
    if (state === 'pass') return [{ name, state: 'passed' }];
    return [state === 'fail' ? { name, state: 'failed', text } : { name, state: 'skipped', text: note }];
  }
  const inside = task.tasks.flatMap((child) => outcomes(child, 'filepath' in task ? '' : name));
  // A file that can not be imported, or a hook that fails, is a failure of its own.
  return state === 'fail' && errors?.length ? [{ name, state: 'failed', text }, ...inside] : inside;
}
