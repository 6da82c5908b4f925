import { afterEach, describe, expect, it, vi } from 'vitest';
import { debug, flag, flags, isDebugging, isFlagOn } from '../../base/flags.ts';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

describe('flags', () => {
  it('all say what they take, what holds without them, and what they do', () => {
    for (const [name, info] of Object.entries(flags)) {
      expect(name).toMatch(/^KILN_[A-Z_]+$/);
      for (const text of Object.values(info)) expect(text.length).toBeGreaterThan(0);
    }
  });

  it('are read anew each time, and empty is unset', () => {
    vi.stubEnv('KILN_DUMP', '');
    expect(flag('KILN_DUMP')).toBeUndefined();
    vi.stubEnv('KILN_DUMP', '/tmp/dump');
    expect(flag('KILN_DUMP')).toBe('/tmp/dump');
  });

  it.each([
    ['1', true],
    ['yes', true],
    ['0', false],
    ['off', false],
    ['FALSE', false],
    ['', false],
  ])('%o means %o', (text, on) => {
    vi.stubEnv('KILN_VERIFY', text);
    expect(isFlagOn('KILN_VERIFY')).toBe(on);
  });

  it('name the topics of debugging', () => {
    vi.stubEnv('KILN_DEBUG', 'passes, runtime');
    expect([isDebugging('passes'), isDebugging('runtime'), isDebugging('trace')]).toEqual([true, true, false]);
    vi.stubEnv('KILN_DEBUG', 'all');
    expect(isDebugging('trace')).toBe(true);
    vi.stubEnv('KILN_DEBUG', '');
    expect(isDebugging('trace')).toBe(false);
  });

  it('name topics of debugging that do not exist, once', () => {
    const lines: string[] = [];
    vi.spyOn(console, 'error').mockImplementation((text: string) => void lines.push(text));
    vi.stubEnv('KILN_DEBUG', 'fuson,passes');
    expect([isDebugging('passes'), isDebugging('fusion')]).toEqual([true, false]);
    expect(lines).toEqual([expect.stringMatching(/no topic fuson; .*fusion/)]);
  });

  it('mark each line of debugging output', () => {
    const lines: string[] = [];
    vi.spyOn(console, 'error').mockImplementation((text: string) => void lines.push(text));
    debug('passes', 'a\nb');
    expect(lines).toEqual(['[kiln passes] a\n[kiln passes] b']);
  });
});
