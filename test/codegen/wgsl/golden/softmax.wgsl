struct Sizes {
  n0: i32,
  n1: i32,
}

@group(0) @binding(0) var<storage, read> x0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y0: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> sizes: Sizes;

var<workgroup> states_f32: array<f32, 256>;

var<private> opaque_zero: u32;

fn is_nan_vec4f(x: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(x) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
}

fn is_unordered_vec4f(a: vec4f, b: vec4f) -> vec4<bool> {
  return is_nan_vec4f(a) | is_nan_vec4f(b);
}

fn maximum_vec4f(a: vec4f, b: vec4f) -> vec4f {
  let bits_a = bitcast<vec4i>(a);
  let bits_b = bitcast<vec4i>(b);
  let is_reversed = (bits_a & bits_b) < vec4i(0i);
  let is_first = (bits_a > bits_b) != is_reversed;
  let chosen = select(bits_b, bits_a, is_first);
  return bitcast<vec4f>(select(chosen, bitcast<vec4i>(vec4u(0x7fc00000u | opaque_zero)), is_unordered_vec4f(a, b)));
}

fn is_nan_f32(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn is_unordered_f32(a: f32, b: f32) -> bool {
  return is_nan_f32(a) | is_nan_f32(b);
}

fn maximum_f32(a: f32, b: f32) -> f32 {
  let bits_a = bitcast<i32>(a);
  let bits_b = bitcast<i32>(b);
  let is_reversed = (bits_a & bits_b) < 0i;
  let is_first = (bits_a > bits_b) != is_reversed;
  let chosen = select(bits_b, bits_a, is_first);
  return bitcast<f32>(select(chosen, bitcast<i32>(0x7fc00000u | opaque_zero), is_unordered_f32(a, b)));
}

fn nan_of_vec4f(operand: vec4f, value: vec4f) -> vec4f {
  return bitcast<vec4f>(select(bitcast<vec4u>(value), vec4u(0x7fc00000u | opaque_zero), is_nan_vec4f(operand)));
}

fn fast_exponential_vec4f(x: vec4f) -> vec4f {
  return nan_of_vec4f(x, exp(x));
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  opaque_zero = num_workgroups.x >> 31u;
  let workgroup = workgroup_id.x + workgroup_id.y * num_workgroups.x;
  if (workgroup >= u32(sizes.n0)) {
    return;
  }
  let thread = i32(local);
  var row_s0: vec4<f32>;
  let row = i32(workgroup);
  let i0_ = row;
  var r2: vec4<f32> = bitcast<vec4f>(vec4u(0xff800000u | opaque_zero));
  var kept: vec4<f32>;
  let r3_ = 4 * thread;
  if (r3_ < sizes.n1) {
    let v1 = x0[(sizes.n1 * i0_ + r3_) / 4];
    kept = v1;
    r2 = maximum_vec4f(r2, v1);
  }
  var total2 = r2[0];
  total2 = maximum_f32(total2, r2[1]);
  total2 = maximum_f32(total2, r2[2]);
  total2 = maximum_f32(total2, r2[3]);
  states_f32[thread] = total2;
  for (var step = 128; step > 0; step /= 2) {
    workgroupBarrier();
    if (thread < step) {
      let other = states_f32[thread + step];
      total2 = maximum_f32(total2, other);
      states_f32[thread] = total2;
    }
  }
  workgroupBarrier();
  total2 = states_f32[0];
  workgroupBarrier();
  let i2_ = 4 * thread;
  if (i2_ < sizes.n1) {
    let v0 = kept;
    let v3 = v0 - vec4<f32>(total2);
    let v4 = fast_exponential_vec4f(v3);
    row_s0 = v4;
  }
  var r7: vec4<f32> = vec4f(0.0);
  let r4_ = 4 * thread;
  if (r4_ < sizes.n1) {
    let v6 = row_s0;
    r7 = r7 + v6;
  }
  var total7 = r7[0];
  total7 = total7 + r7[1];
  total7 = total7 + r7[2];
  total7 = total7 + r7[3];
  states_f32[thread] = total7;
  for (var step_1 = 128; step_1 > 0; step_1 /= 2) {
    workgroupBarrier();
    if (thread < step_1) {
      let other_1 = states_f32[thread + step_1];
      total7 = total7 + other_1;
      states_f32[thread] = total7;
    }
  }
  workgroupBarrier();
  total7 = states_f32[0];
  workgroupBarrier();
  let i1_ = 4 * thread;
  if (i1_ < sizes.n1) {
    let v5 = row_s0;
    let v8 = v5 / vec4<f32>(total7);
    y0[(sizes.n1 * i0_ + i1_) / 4] = v8;
  }
}
