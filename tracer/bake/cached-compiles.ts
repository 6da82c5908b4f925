/**
 * Compiles for a bake as far as they are not in the session's cache, where earlier bakes have left theirs: what has not
 * changed is baked again at once, with the same bytes and without the compiler.
 *
 *     const results = await compileCached(requests, { onDone });      // as compileAll
 */
import { hashOf } from '../../base/hash.ts';
import { printModule } from '../../ir/printer.ts';
import { tierName } from '../../runtime/program.ts';
import type { CompileRequest } from '../compiler.ts';
import { cacheSettings, readableCache, writableCache } from '../session-cache.ts';
import { type CompileAllOptions, type Compiled, compileAll } from './compile-pool.ts';

/** Failures are results like others: none stops the rest, and none is kept. */
export async function compileCached(
  requests: readonly CompileRequest[],
  { onDone, ...options }: CompileAllOptions = {},
): Promise<readonly Compiled[]> {
  const keys = requests.map(keyOf);
  const results = await Promise.all(keys.map(findResult));
  const missing = requests.flatMap((_, i) => (results[i] ? [] : [i]));
  let done = 0;
  results.forEach((result, i) => {
    if (result) onDone?.(++done, i);
  });
  const cache = cacheSettings();
  const compiled = await compileAll(
    missing.map((i) => ({ ...requests[i], ...(cache && { cache }) })),
    { ...options, ...(onDone && { onDone: (count: number, i: number) => onDone(done + count, missing[i]) }) },
  );
  compiled.forEach((outcome, i) => {
    const at = missing[i];
    results[at] = outcome;
    const key = keys[at];
    if ('result' in outcome && key !== undefined) writableCache(true)?.keepProgram(key, outcome.result.program);
  });
  return results.map((result) => result!);
}

/** Of everything that the program follows from; `undefined` where measured schedules are part of that. */
function keyOf(request: CompileRequest): string | undefined {
  const { module, name, precision, donated, held = [], tier, threads, memoryBudget, tuning, without } = request;
  if (tuning || without) return undefined;
  const flags = [donated, held].map((of) => of.map(Number).join(''));
  const parts = [
    name,
    precision,
    tierName(tier),
    ...flags,
    memoryBudget === undefined ? '' : `${memoryBudget}/${threads}`,
  ];
  return hashOf(`kiln bake ${JSON.stringify(parts)}\n${printModule(module, { locations: false })}`);
}

async function findResult(key: string | undefined): Promise<Compiled | undefined> {
  const program = key === undefined ? undefined : await readableCache('bake', true)?.findProgram(key);
  if (!program) return undefined;
  const unknown = { originOf: () => undefined, tunables: [], tuned: [], kernels: { generated: 0, found: 0 } };
  return { result: { ...unknown, program, milliseconds: 0 } };
}
