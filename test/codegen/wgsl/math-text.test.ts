/** The text of scalar ops in WGSL: what people read in dumps. */
import { describe, expect, it } from 'vitest';
import { generateKernel } from '../../../codegen/wgsl/kernel.ts';
import { applyText, constantText, type MathContext, type ScalarOp } from '../../../codegen/wgsl/math/index.ts';
import { floatLiteral } from '../../../codegen/wgsl/math/writer.ts';
import { coreWebgpuTier } from '../../../runtime/program.ts';
import { at, KernelMaker, write } from '../../support/kernel-maker.ts';

const float = { dtype: 'float32', from: 'float32' } as const;

/** The expression of an op on x, y and z, and the functions that it needs. */
function textOf(op: ScalarOp, lanes: 1 | 4 = 1, precision: 'fast' | 'strict' = 'fast'): string {
  const helpers = new Map<string, string>();
  const context: MathContext = { precision, lanes, helper: (name, text) => helpers.set(name, text) };
  const expression = applyText(context, op, ['x', 'y', 'z']);
  return [...helpers.values(), expression].join('\n');
}

describe('expressions', () => {
  it.each<readonly [ScalarOp, string]>([
    [{ opcode: 'add', ...float }, 'x + y'],
    [{ opcode: 'select', ...float, from: 'bool' }, 'select(z, y, x)'],
    [{ opcode: 'compare', dtype: 'bool', from: 'float32', direction: 'LT' }, 'x < y'],
    [{ opcode: 'compare', dtype: 'bool', from: 'bool', direction: 'LT' }, '!x & y'],
    [{ opcode: 'multiply', dtype: 'int8', from: 'int8' }, 'extractBits(x * y, 0u, 8u)'],
    [{ opcode: 'add', dtype: 'uint16', from: 'uint16' }, '(x + y) & 0xffffu'],
    [{ opcode: 'convert', dtype: 'uint8', from: 'int32' }, 'u32(x) & 0xffu'],
    [{ opcode: 'convert', dtype: 'int32', from: 'int8' }, 'x'],
    [{ opcode: 'convert', dtype: 'bool', from: 'float32' }, '(bitcast<u32>(x) & 0x7fffffffu) != 0u'],
  ])('%o', (op, text) => {
    expect(textOf(op)).toBe(text);
  });

  it('are the same for vectors, with functions of vectors', () => {
    expect(textOf({ opcode: 'tanh', ...float }, 4)).toMatchInlineSnapshot(`
      "var<private> opaque_zero: u32;
      fn is_nan_vec4f(x: vec4f) -> vec4<bool> {
        return (bitcast<vec4u>(x) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
      }
      fn odd_of_vec4f(operand: vec4f, magnitude: vec4f) -> vec4f {
        let signed = bitcast<vec4u>(magnitude) | (bitcast<vec4u>(operand) & vec4u(0x80000000u));
        return bitcast<vec4f>(select(signed, vec4u(0x7fc00000u | opaque_zero), is_nan_vec4f(operand)));
      }
      fn tanh_vec4f(operand: vec4f) -> vec4f {
        let x = min(abs(operand), vec4f(9.02));
        let n = round(x * 2.88539);
        let w = fma(n, vec4f(-0.3465736), x);
        let square = w * w;
        var t = vec4f(0.131);
        t = fma(t, square, vec4f(-0.3333102));
        t = fma(t, square, vec4f(1.0));
        t *= w;
        let power = bitcast<vec4f>((bitcast<vec4u>(n + 12582912.0) << vec4u(23u)) + vec4u(0x3f800000u));
        let below = power - 1.0;
        let above = power + 1.0;
        return odd_of_vec4f(operand, fma(t, above, below) / fma(t, below, above));
      }
      tanh_vec4f(x)"
    `);
  });

  it('heed NaN by its bits where strict orders numbers', () => {
    const op: ScalarOp = { opcode: 'compare', dtype: 'bool', from: 'float32', direction: 'LE' };
    expect(textOf(op, 1, 'strict')).toMatchInlineSnapshot(`
      "fn is_nan_f32(x: f32) -> bool {
        return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
      }
      fn is_unordered_f32(a: f32, b: f32) -> bool {
        return is_nan_f32(a) | is_nan_f32(b);
      }
      fn less_or_equal_f32(a: f32, b: f32) -> bool {
        return (a <= b) & !is_unordered_f32(a, b);
      }
      less_or_equal_f32(x, y)"
    `);
  });
});

describe('constants', () => {
  const declared = new Map<string, string>();
  const context = (lanes: 1 | 4): MathContext => ({
    precision: 'fast',
    lanes,
    helper: (name, text) => declared.set(name, text),
  });

  it('are literals, but for what WGSL has none for', () => {
    expect(constantText(context(1), 'int32', -(2 ** 31))).toBe('i32(-2147483648)');
    expect(constantText(context(4), 'uint8', 7)).toBe('vec4u(7u)');
    expect(constantText(context(1), 'bool', 1)).toBe('true');
    expect(constantText(context(1), 'float16', 0.5)).toBe('0.5');
    expect(declared.size).toBe(0);
    expect(constantText(context(4), 'float32', -Infinity)).toBe('bitcast<vec4f>(vec4u(0xff800000u | opaque_zero))');
    expect(constantText(context(1), 'float32', -0)).toBe('bitcast<f32>(0x80000000u | opaque_zero)');
    expect([...declared.values()]).toEqual(['var<private> opaque_zero: u32;']);
  });

  it('that no compiler may know come from a variable that entry points set to zero, where there are any', () => {
    const textOfFill = (value: number): string => {
      const k = new KernelMaker('fill', [write('y', 8)]);
      k.parallel('i', 8, () => k.store('y', at('i'), k.constant(value)));
      return generateKernel(k.finish(), { precision: 'fast', tier: coreWebgpuTier }).code;
    };
    expect(textOfFill(Number.NaN)).toContain('  opaque_zero = num_workgroups.x >> 31u;');
    expect(textOfFill(1)).not.toContain('opaque_zero');
  });

  it('are the shortest decimals of a float32', () => {
    const literals = [0, 1, -2.5, 0.1, 1 / 3, 1e-7, 2 ** 40, 1e10, 2 ** -149].map(floatLiteral);
    expect(literals).toEqual(['0.0', '1.0', '-2.5', '0.1', '0.33333334', '1e-7', '1.0995116e12', '1e10', '1e-45']);
    // 3.4028235e38 is nearer to the greatest float32 than to any other, and above it.
    expect(Number(floatLiteral((2 - 2 ** -23) * 2 ** 127))).toBeLessThanOrEqual((2 - 2 ** -23) * 2 ** 127);
    expect(() => floatLiteral(Infinity)).toThrow('no literal');
    expect(() => floatLiteral(-0)).toThrow('no literal');
  });
});
