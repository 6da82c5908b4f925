/**
 * What `vitest` is to test files that run in a page: its own runner and assertions, which know nothing of Node. Bundles
 * of tests resolve `vitest` to this file.
 */
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  chai,
  customMatchers,
  type ExpectStatic,
  GLOBAL_EXPECT,
  getState,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  type MatcherState,
  setState,
} from '@vitest/expect';

export { afterAll, afterEach, beforeAll, beforeEach, describe, it, test } from '@vitest/runner';

for (const plugin of [JestExtend, JestChaiExpect, JestAsymmetricMatchers]) chai.use(plugin);

const made = ((value: unknown, message?: string) => chai.expect(value, message)) as ExpectStatic;
const globals = globalThis as unknown as Record<PropertyKey, object>;

/** As vitest makes its own, without snapshots and polling. */
export const expect: ExpectStatic = Object.assign(made, chai.expect, globals[ASYMMETRIC_MATCHERS_OBJECT], {
  getState: (): MatcherState => getState(made),
  setState: (state: Partial<MatcherState>): void => setState(state, made),
  extend: (matchers: Parameters<ExpectStatic['extend']>[0]): void =>
    (chai.expect as unknown as { extend(target: unknown, given: unknown): void }).extend(made, matchers),
});
Object.defineProperty(globalThis, GLOBAL_EXPECT, { value: expect, writable: true, configurable: true });
setState({ assertionCalls: 0, isExpectingAssertions: false, testPath: '' } as Partial<MatcherState>, expect);
expect.extend(customMatchers);
