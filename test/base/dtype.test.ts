import { describe, expect, test } from 'vitest';
import {
  byteSize,
  type DType,
  dtypeFromShortName,
  dtypeInfo,
  dtypes,
  integerRange,
  isDType,
  isFloat,
  isInteger,
  isSigned,
  promoteTypes,
} from '../../base/dtype.ts';

describe('promotion', () => {
  test('is commutative and idempotent', () => {
    for (const a of dtypes) {
      expect(promoteTypes(a, a)).toBe(a);
      for (const b of dtypes) expect(promoteTypes(a, b)).toBe(promoteTypes(b, a));
    }
  });

  // JAX with 64-bit types on: jnp.promote_types(a, b).
  test.each<[DType, DType, DType]>([
    ['bool', 'uint8', 'uint8'],
    ['int8', 'uint8', 'int16'],
    ['int8', 'uint16', 'int32'],
    ['int32', 'uint32', 'int64'],
    ['int64', 'uint32', 'int64'],
    ['uint8', 'int32', 'int32'],
    ['int64', 'float16', 'float16'],
    ['int32', 'bfloat16', 'bfloat16'],
    ['float16', 'bfloat16', 'float32'],
    ['float32', 'float64', 'float64'],
    ['uint32', 'float32', 'float32'],
  ])('%s with %s is %s', (a, b, expected) => {
    expect(promoteTypes(a, b)).toBe(expected);
  });
});

describe('facts', () => {
  test('short names are distinct and read back', () => {
    for (const dtype of dtypes) expect(dtypeFromShortName(dtypeInfo(dtype).short)).toBe(dtype);
    expect(dtypeFromShortName('float32')).toBeUndefined();
  });

  test('kinds', () => {
    expect(dtypes.filter(isFloat)).toEqual(['float64', 'float32', 'float16', 'bfloat16']);
    expect(dtypes.filter(isInteger)).toHaveLength(7);
    expect(isSigned('uint8')).toBe(false);
    expect(isSigned('float16')).toBe(true);
    expect(isDType('toString')).toBe(false);
    expect(byteSize('bool')).toBe(1);
  });

  test('ranges', () => {
    expect(integerRange('int32')).toEqual([-2147483648, 2147483647]);
    expect(integerRange('uint8')).toEqual([0, 255]);
    expect(integerRange('bool')).toEqual([0, 1]);
  });
});
