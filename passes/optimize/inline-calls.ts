/**
 * Writes out every call, so that one function is left. Functions come before their callers, so each body is complete
 * when it is copied.
 */
import { type Func, mainOf } from '../../ir/types.ts';
import type { Pass } from '../manager.ts';
import { inlineCallsOf } from '../rewrite-inline.ts';

export const inlineCalls: Pass = {
  name: 'inlineCalls',
  run: (module) => {
    if (module.functions.length === 1) return module;
    const written = new Map<string, Func>();
    for (const func of module.functions) {
      written.set(func.name, { ...func, graph: inlineCallsOf(func.graph, written, () => true) });
    }
    return { ...module, functions: [written.get(module.main) ?? mainOf(module)] };
  },
};
