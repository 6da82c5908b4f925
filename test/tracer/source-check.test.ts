/**
 * Which truth tests are refused, and which are not. Each case is a function, its arguments, and the construct found.
 */
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../index.ts';
import { KilnError, relu, spec, tree, where } from '../../index.ts';
import { checkSource } from '../../tracer/source-check.ts';

type AnyFunction = (...args: never[]) => unknown;

const found = (fn: AnyFunction, args: readonly unknown[], receiver?: object): KilnError | undefined => {
  try {
    checkSource(fn, 'compile(f)', args, receiver && { receiver });
    return undefined;
  } catch (error) {
    if (error instanceof KilnError) return error;
    throw error;
  }
};

const x = spec([4]);
const flag = true as boolean;

// biome-ignore format: one case a line
const refused: readonly (readonly [string, string, AnyFunction, readonly unknown[]])[] = [
  ['if', 'if', (t: Tensor) => { if (t) return t; return x; }, [x]],
  ['if on a call', 'if', (t: Tensor) => { if (t.sum()) return t; return t.neg(); }, [x]],
  ['conditional', '?:', (t: Tensor) => (t.sum() ? t : t.neg()), [x]],
  ['and', '&&', (t: Tensor) => t.any() && t.neg(), [x]],
  ['or', '||', (t: Tensor, u: Tensor) => t.mul(u) || u, [x, x]],
  ['not', '!', (t: Tensor) => { if (!t.sum()) return t; return t.neg(); }, [x]],
  ['equal to a number', '===', (t: Tensor) => { if ((t.sum() as unknown) === 0) return t; return t.neg(); }, [x]],
  ['not equal', '!==', (t: Tensor, u: Tensor) => { if (t !== u) return t; return u; }, [x, x]],
  ['while', 'while', (t: Tensor) => { let u = t; while (u.sum()) u = u.sub(1); return u; }, [x]],
  ['do while', 'do while', (t: Tensor) => { let u = t; do { u = u.sub(1); } while (u.any()); return u; }, [x]],
  ['for', 'for', (t: Tensor) => { let u = t; for (let i = 0; u.any(); i++) u = u.sub(i); return u; }, [x]],
  ['switch', 'switch', (t: Tensor) => { switch (t.sum() as unknown) { case 0: return t; default: return t.neg(); } }, [x]],
  ['through a variable', 'if', (t: Tensor) => { const s = t.sum(); if (s) return t; return s; }, [x]],
  ['assigned later', 'if', (t: Tensor) => { let s: unknown = 1; for (let i = 0; i < 2; i++) { if (s) s = t; } return t; }, [x]],
  ['through a function of another module', 'if', (t: Tensor) => { const s = relu(t); if (s) return t; return s; }, [x]],
  ['destructured argument', 'if', ({ w }: { w: Tensor }) => { if (w) return w; return x; }, [{ w: x }]],
  ['a field of an argument', '?:', (p: { b?: Tensor; w: Tensor }) => (p.b ? p.w.add(p.b) : p.w), [{ w: x, b: x }]],
  ['element of an array', 'if', (ts: Tensor[]) => { for (const t of ts) if (t) return t; return ts[0]; }, [[x, x]]],
  ['element in a callback', '?:', (ts: Tensor[]) => ts.map((t) => (t.sum() ? t : t.neg())), [[x, x]]],
  ['local function', 'if', (t: Tensor) => { const test = (u: Tensor) => { if (u) return u; return x; }; return test(t); }, [x]],
  ['result of a local function', 'if', (t: Tensor) => { const sum = () => t.sum(); if (sum()) return t; return t.neg(); }, [x]],
  ['in a nested function', '?:', (t: Tensor) => [1, 2].map((n) => (t ? t.mul(n) : t)), [x]],
  ['pushed to an array', 'if', (t: Tensor) => { const all: Tensor[] = []; all.push(t.neg()); if (all[0]) return t; return all[0]; }, [x]],
  ['Boolean()', 'Boolean()', (t: Tensor) => { const yes = Boolean(t); return yes ? t : t.neg(); }, [x]],
  ['logical assignment', '||=', (t: Tensor) => { let u = t.neg(); u ||= t; return u; }, [x]],
  ['spread', 'if', (t: Tensor) => { const all = [...[t]]; if (all[0]) return t; return t.neg(); }, [x]],
  ['tree.map callback', '?:', (p: { w: Tensor }) => tree.map((t) => (t ? t.neg() : t), p), [{ w: x }]],
  ['default value', 'if', (t: Tensor, u: Tensor = t) => { if (u) return t; return t.neg(); }, [x]],
];

// biome-ignore format: one case a line
const fine: readonly (readonly [string, AnyFunction, readonly unknown[]])[] = [
  ['shape', (t: Tensor) => (t.shape[0] > 1 && t.ndim === 1 && t.size ? t : t.neg()), [x]],
  ['dtype', (t: Tensor) => (t.dtype === 'float32' ? t : t.neg()), [x]],
  ['length of an argument', (ts: Tensor[]) => { if (ts.length === 2) return ts[0]; return ts[1]; }, [[x, x]]],
  ['null', (t: Tensor, u: Tensor | null) => (u !== null && u !== undefined && u != null ? t.add(u) : t), [x, x]],
  ['nullish', (t: Tensor, u?: Tensor) => t.add(u ?? 1), [x, x]],
  ['typeof and instanceof', (t: Tensor) => { if (typeof (t as unknown) === 'object' || (t as unknown) instanceof Object) return t; return x; }, [x]],
  ['Array.isArray', (t: Tensor | Tensor[]) => (Array.isArray(t) ? t[0] : t), [x]],
  ['static number', (t: Tensor, n: number) => (n ? t.mul(n) : t), [x, 3]],
  ['static option', (t: Tensor, { training }: { training: boolean }) => { if (training) return t; return t.neg(); }, [x, { training: true }]],
  ['option beside a tensor', (p: { w: Tensor; useBias: boolean }) => { if (p.useBias && !p.w.shape.length) return p.w; return p.w.neg(); }, [{ w: x, useBias: true }]],
  ['string comparison', (t: Tensor, mode: string) => (mode === 'relu' ? t.neg() : t), [x, 'relu']],
  ['switch on text', (t: Tensor, mode: string) => { switch (mode) { case 'a': return t; default: return t.neg(); } }, [x, 'a']],
  ['comparison traps by itself', (t: Tensor) => { if ((t as unknown as number) > 0) return t; return t.neg(); }, [x]],
  ['index of a callback', (ts: Tensor[]) => ts.map((t, i) => (i === 0 ? t : t.neg())), [[x, x]]],
  ['index of reduce', (ts: Tensor[]) => ts.reduce((sum, t, i) => (i % 2 ? sum.add(t) : sum.sub(t))), [[x, x]]],
  ['entries', (ts: Tensor[]) => { let u = ts[0]; for (const [i, t] of ts.entries()) u = i === 0 ? t : u.add(t); return u; }, [[x, x]]],
  ['for loop', (ts: Tensor[]) => { let u = ts[0]; for (let i = 0; i < ts.length; i++) if (i) u = u.add(ts[i]); return u; }, [[x, x]]],
  ['layer options', (p: { layers: { w: Tensor; act: boolean }[] }) => { for (const l of p.layers) if (l.act) return l.w; return p.layers[0].w; }, [{ layers: [{ w: x, act: true }] }]],
  ['absent optional argument', (t: Tensor, mask?: Tensor) => (mask ? t.mul(mask) : t), [x]],
  ['captured flag', (t: Tensor) => (flag ? t : t.neg()), [x]],
  ['where', (t: Tensor) => where(t.greater(0), t, t.neg()), [x]],
  ['Number() says it is plain', (t: Tensor, pick: (u: Tensor) => unknown) => (Number(pick(t)) === 1 ? t : t.neg()), [x, () => 1]],
  ['default parameter', (t: Tensor, training = false) => (training ? t : t.neg()), [x]],
  ['container literal', (t: Tensor) => { const all = [t]; return all.length && all ? all[0] : t; }, [x]],
  ['local predicate on sizes', (t: Tensor) => { const isLast = (i: number) => i === t.shape[0] - 1; return isLast(3) ? t : t.neg(); }, [x]],
];

describe('truth tests that are refused', () => {
  it.each(refused)('%s', (_, construct, fn, args) => {
    const error = found(fn, args);
    expect(error?.code).toBe('traced_branch');
    expect(error?.summary).toBe(`compile(f): ${construct} tests a value that is traced`);
  });
});

describe('tests that are fine', () => {
  it.each(fine)('%s', (_, fn, args) => {
    expect(found(fn, args)).toBeUndefined();
  });
});

describe('methods', () => {
  class Model {
    w = x;
    training = true;
    #secret = 1;
    ok(t: Tensor) {
      return this.training ? t : t.neg();
    }
    bad(t: Tensor) {
      return this.w ? t : t.neg();
    }
    hidden(t: Tensor) {
      return t.mul(this.#secret);
    }
    helper(t: Tensor) {
      return this.#help(t);
    }
    #help(t: Tensor) {
      return t.mul(this.#secret);
    }
  }
  const model = new Model();

  it('knows the fields of this', () => {
    expect(found(model.ok, [x], model)).toBeUndefined();
    expect(found(model.bad, [x], model)?.code).toBe('traced_branch');
  });

  it('refuses to read private fields, but not to call private methods', () => {
    expect(found(model.hidden, [x], model)?.code).toBe('invalid_argument');
    expect(found(model.helper, [x], model)).toBeUndefined();
  });
});

describe('what can not be read', () => {
  it('reports bound and native functions', () => {
    const bound = ((t: Tensor) => t).bind(null);
    expect(found(bound, [x])?.code).toBe('unreadable_source');
    expect(found(Math.max as AnyFunction, [x])?.code).toBe('unreadable_source');
    expect(found(bound, [x])?.hint).toMatch(/wrap it/);
  });

  it('reads what compilers make of functions', () => {
    const helper = 'const __name = (f) => f;';
    const make = (source: string) => new Function(`${helper} return ${source};`)() as AnyFunction;
    const named = '(t) => { const g = /* @__PURE__ */ __name((u) => u ? u : 1, "g"); return g(t); }';
    expect(found(make(named), [x])?.code).toBe('traced_branch');
    expect(found(make('(t) => { const r = (0, lib.relu)(t); if (r) return t; }'), [x])?.code).toBe('traced_branch');
    expect(found(make('({ "a-b"(t) { return t ? t : 1; } })["a-b"]'), [x])?.code).toBe('traced_branch');
    expect(found(make('({ get f() { return function (t) { if (t) return t; }; } }).f'), [x])?.code).toBe(
      'traced_branch',
    );
    expect(found(make('(class { static f(t) { if (t) return t; } }).f'), [x])?.code).toBe('traced_branch');
  });
});

describe('the message', () => {
  it('shows the line, marks the test and points into this file', () => {
    const fn = (t: Tensor) => {
      const total = t.sum();
      return total ? t : t.neg();
    };
    const error = found(fn, [x]);
    expect(error?.given).toMatch(/total \? t : t\.neg\(\)/);
    expect(error?.given?.split('\n')[1].trim()).toBe('^^^^^');
    expect(error?.message).toMatch(/source-check\.test\.ts:\d+:\d+/);
    expect(error?.hint).toMatch(/where\(/);
  });
});
