/** Source locations: the user's line out of an engine's stack. */
import { describe, expect, it } from 'vitest';
import { SourceLocation } from '../../base/location.ts';

describe('SourceLocation', () => {
  it('is the line that captures, as a path', () => {
    expect(SourceLocation.capture().toString()).toMatch(/\/test\/base\/location\.test\.ts:7:\d+$/);
  });

  it('prints a file as people write it, also with spaces in its path', () => {
    expect(SourceLocation.of('file:///my%20app/a.ts?v=1', 3, 5).toString()).toBe('/my app/a.ts:3:5');
    expect(SourceLocation.of('/my app/a.ts', 3, 5).toString()).toBe('/my app/a.ts:3:5');
    expect(SourceLocation.of('file:///100%/a.ts', 3, 5).toString()).toBe('/100%/a.ts:3:5');
  });
});
