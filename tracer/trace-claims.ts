/**
 * Which functions of this process are kept under which text (`compile(fn, { cache: 'v1' })`). The user's word is about
 * one function: where two of one name claim a text, as arrow functions without names do, neither is taken at it. Both
 * are traced, and a notice says so.
 *
 *     claimTrace(fn, options);           // when it is compiled
 *     isContested(options)               // when its trace is looked for or kept
 */
import type { ResolvedOptions } from './compile-options.ts';

type Claim = Pick<ResolvedOptions, 'name' | 'traceKey'>;

/** The source of the function, by its claim; `undefined` once there are several. */
const claims = new Map<string, string | undefined>();

const claimOf = ({ name, traceKey }: Claim): string => JSON.stringify([name, traceKey]);

/** A function that is compiled again, say a closure, is the same by its source. */
export function claimTrace(fn: (...args: never[]) => unknown, options: Claim): void {
  if (options.traceKey === undefined) return;
  const claim = claimOf(options);
  const source = Function.prototype.toString.call(fn);
  if (!claims.has(claim)) claims.set(claim, source);
  const known = claims.get(claim);
  if (known === undefined || known === source) return;
  claims.set(claim, undefined);
  console.warn(
    `kiln: two functions called ${options.name} are compiled with cache: '${options.traceKey}'; ` +
      'both are traced as if without it. Give each a name or a text of its own.',
  );
}

/** Whether several functions of this process have claimed it. */
export const isContested = (options: Claim): boolean => {
  const claim = claimOf(options);
  return claims.has(claim) && claims.get(claim) === undefined;
};

/** Forgets all, as in another process. */
export const clearClaims = (): void => claims.clear();
