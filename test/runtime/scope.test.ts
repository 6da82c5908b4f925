import { describe, expect, it } from 'vitest';
import { DeviceArray } from '../../runtime/array.ts';
import { scoped } from '../../runtime/scope.ts';
import { WasmDevice } from '../../runtime/wasm/device.ts';
import { upload } from './support.ts';

const device = new WasmDevice();
const make = (): DeviceArray => new DeviceArray('float32', [1], upload(device, [1]));
const all = (result: DeviceArray | readonly DeviceArray[]) => [result].flat();

describe('scoped', () => {
  it('releases what was made inside but for what is kept, and nothing from outside', () => {
    const outside = make();
    let inside: DeviceArray | undefined;
    const kept = scoped(() => {
      inside = make();
      return [make(), outside];
    }, all);
    expect(inside?.isDisposed).toBe(true);
    expect(kept.map((each) => each.isDisposed)).toEqual([false, false]);
    expect(() => inside?.dataSync()).toThrow(/tidy\(\) scope released it[\s\S]*scope\.test\.ts[\s\S]*return it from/);
  });

  it('nests: what the inner scope keeps belongs to the outer one', () => {
    let inner: DeviceArray | undefined;
    const outer = scoped(() => {
      inner = scoped(make, all);
      expect(inner.isDisposed).toBe(false);
      return make();
    }, all);
    expect(inner?.isDisposed).toBe(true);
    expect(outer.isDisposed).toBe(false);
  });

  it('releases what was made before an error, and closes', () => {
    let inside: DeviceArray | undefined;
    const attempt = () =>
      scoped(() => {
        inside = make();
        throw new RangeError('user');
      }, all);
    expect(attempt).toThrow(RangeError);
    expect(inside?.isDisposed).toBe(true);
    expect(make().isDisposed).toBe(false);
  });

  it('refuses a promise, and releases nothing that it may still use', async () => {
    let inside: DeviceArray | undefined;
    const attempt = () =>
      scoped(
        async () => {
          inside = make();
          throw new Error('nobody waits for this');
        },
        () => [],
      );
    expect(attempt).toThrow(/async_function[\s\S]*using/);
    await new Promise((resolve) => setImmediate(resolve));
    expect(inside?.isDisposed).toBe(false);
  });
});
