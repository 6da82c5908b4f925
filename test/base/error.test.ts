import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { errorCodes, internalError, KilnError } from '../../base/error.ts';
import { SourceLocation } from '../../base/location.ts';

describe('KilnError', () => {
  test('the message has every part on its line', () => {
    const error = new KilnError('shape_mismatch', 'matmul: inner sizes differ', {
      given: 'f32[2,3] and f32[4,5]',
      expected: '3 = 4',
      hint: 'transpose',
      location: SourceLocation.of('model.ts', 12, 14),
    });
    expect(error.message).toBe(
      [
        '[shape_mismatch] matmul: inner sizes differ',
        '  given:    f32[2,3] and f32[4,5]',
        '  expected: 3 = 4',
        '  hint:     transpose',
        '  at:       model.ts:12:14',
      ].join('\n'),
    );
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe('KilnError');
  });

  test('prints what was said and nothing else', () => {
    const text = inspect(new KilnError('invalid_argument', 'x', { location: SourceLocation.of('a.ts', 1, 2) }));
    expect(text).toContain('location: a.ts:1:2');
    expect(text).not.toContain('undefined');
  });

  test('a place is added once and keeps everything else', () => {
    const cause = new Error('below');
    const bare = new KilnError('invalid_argument', 'x', { given: 'y', cause });
    const placed = bare.at(SourceLocation.of('a.ts', 1, 2));
    expect(placed.message).toContain('at:       a.ts:1:2');
    expect(placed.given).toBe('y');
    expect(placed.cause).toBe(cause);
    expect(placed.at(SourceLocation.of('b.ts', 3, 4))).toBe(placed);
    expect(bare.at(undefined)).toBe(bare);
  });

  test('internal errors ask for a report', () => {
    expect(internalError('broken').code).toBe('internal');
    expect(internalError('broken').hint).toContain('report');
  });

  test('every code has a sentence', () => {
    for (const [code, text] of Object.entries(errorCodes)) expect(text, code).toMatch(/^\S.*\.$/);
  });
});

describe('SourceLocation', () => {
  test('names the line that captured it', () => {
    const location = SourceLocation.capture();
    expect(location.toString()).toMatch(/error\.test\.ts:\d+:\d+$/);
    expect(location.frames[0].line).toBeGreaterThan(1);
  });

  test('a given place', () => {
    expect(String(SourceLocation.of('file:///x/model.ts', 3, 4))).toBe('/x/model.ts:3:4');
  });
});
