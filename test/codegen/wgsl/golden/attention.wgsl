struct Sizes {
  n0: i32,
  n1: i32,
  n2: i32,
  n3: i32,
  n4: i32,
}

@group(0) @binding(0) var<storage, read> q: array<f32>;
@group(0) @binding(1) var<storage, read> k: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read_write> b_out: array<f32>;
@group(0) @binding(4) var<storage, read_write> m: array<f32>;
@group(0) @binding(5) var<storage, read_write> l: array<f32>;
@group(0) @binding(6) var<storage, read_write> scratch: array<u32>;
@group(0) @binding(7) var<uniform> sizes: Sizes;

var<workgroup> left_block: array<f32, 544>;

var<workgroup> right_block: array<f32, 1040>;

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

fn left_3(h_: i32, first: i32, group: i32, slot: i32, k_1: i32) -> f32 {
  if (k_1 >= sizes.n3) {
    return 0.0;
  }
  let i_ = min(first + slot, sizes.n2 - 1);
  let d_ = k_1;
  let v0 = q[sizes.n4 * h_ + sizes.n3 * i_ + d_];
  return v0;
}

fn right_3(h_: i32, first: i32, group: i32, column: i32, k_1: i32) -> f32 {
  if (k_1 >= sizes.n3 || column >= sizes.n2) {
    return 0.0;
  }
  let d_ = k_1;
  let v1 = k[sizes.n4 * h_ + sizes.n3 * column + d_];
  return v1;
}

fn finish_3(h_: i32, first: i32, group: i32, slot: i32, column: i32, sum_3: f32) {
  if (first + slot >= sizes.n2 || column >= sizes.n2) {
    return;
  }
  let i_ = min(first + slot, sizes.n2 - 1);
  let v4 = 0.125;
  let v5 = sum_3 * v4;
  let v6 = column;
  let v7 = i_;
  let v8 = v6 <= v7;
  let v9 = bitcast<f32>(0xff800000u | opaque_zero);
  let v10 = select(v9, v5, v8);
  scratch[(group * 32 + slot) * sizes.n2 + column] = bitcast<u32>(v10);
}

fn left_23(h_: i32, first: i32, group: i32, slot: i32, k_1: i32) -> f32 {
  if (k_1 >= sizes.n2) {
    return 0.0;
  }
  let i_ = min(first + slot, sizes.n2 - 1);
  let j_ = k_1;
  let v20 = bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + j_]);
  return v20;
}

fn right_23(h_: i32, first: i32, group: i32, column: i32, k_1: i32) -> f32 {
  if (k_1 >= sizes.n2 || column >= sizes.n3) {
    return 0.0;
  }
  let j_ = k_1;
  let v21 = v[sizes.n4 * h_ + sizes.n3 * j_ + column];
  return v21;
}

fn finish_23(h_: i32, first: i32, group: i32, slot: i32, column: i32, sum_23: f32) {
  if (first + slot >= sizes.n2 || column >= sizes.n3) {
    return;
  }
  let i_ = min(first + slot, sizes.n2 - 1);
  b_out[sizes.n4 * h_ + sizes.n3 * i_ + column] = sum_23;
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
  let slot = i32(local) / 8;
  let member = i32(local) % 8;
  let group = i32(workgroup);
  let outer = group / sizes.n1;
  let h_ = outer;
  let first = group % sizes.n1 * 32;
  let exists = first + slot < sizes.n2;
  let i_ = min(first + slot, sizes.n2 - 1);
  storageBarrier();
  workgroupBarrier();
  for (var first_column = 0; first_column < sizes.n2; first_column += 64) {
    let slot = i32(local) / 16;
    let column = i32(local) % 16;
    var sum_3_00 = 0.0;
    var sum_3_01 = 0.0;
    var sum_3_02 = 0.0;
    var sum_3_03 = 0.0;
    var sum_3_10 = 0.0;
    var sum_3_11 = 0.0;
    var sum_3_12 = 0.0;
    var sum_3_13 = 0.0;
    if (first_column - (first + 31) <= 0) {
      for (var depth = 0; depth < sizes.n3; depth += 16) {
        for (var at = i32(local); at < 512; at += 256) {
          let side = at / 16;
          let k = at % 16;
          left_block[side * 17 + k] = left_3(h_, first, group, side, depth + k);
        }
        for (var at = i32(local); at < 1024; at += 256) {
          let side = at / 16;
          let k = at % 16;
          right_block[k * 65 + side] = right_3(h_, first, group, first_column + side, depth + k);
        }
        workgroupBarrier();
        for (var k = 0; k < 16; k++) {
          let row_0 = left_block[slot * 17 + k];
          let row_1 = left_block[(slot + 16) * 17 + k];
          let column_0 = right_block[k * 65 + column];
          let column_1 = right_block[k * 65 + column + 16];
          let column_2 = right_block[k * 65 + column + 32];
          let column_3 = right_block[k * 65 + column + 48];
          sum_3_00 += row_0 * column_0;
          sum_3_01 += row_0 * column_1;
          sum_3_02 += row_0 * column_2;
          sum_3_03 += row_0 * column_3;
          sum_3_10 += row_1 * column_0;
          sum_3_11 += row_1 * column_1;
          sum_3_12 += row_1 * column_2;
          sum_3_13 += row_1 * column_3;
        }
        workgroupBarrier();
      }
    }
    finish_3(h_, first, group, slot, first_column + column, sum_3_00);
    finish_3(h_, first, group, slot, first_column + column + 16, sum_3_01);
    finish_3(h_, first, group, slot, first_column + column + 32, sum_3_02);
    finish_3(h_, first, group, slot, first_column + column + 48, sum_3_03);
    finish_3(h_, first, group, slot + 16, first_column + column, sum_3_10);
    finish_3(h_, first, group, slot + 16, first_column + column + 16, sum_3_11);
    finish_3(h_, first, group, slot + 16, first_column + column + 32, sum_3_12);
    finish_3(h_, first, group, slot + 16, first_column + column + 48, sum_3_13);
  }
  storageBarrier();
  workgroupBarrier();
  var r12: vec4<f32> = bitcast<vec4f>(vec4u(0xff800000u | opaque_zero));
  for (var j_ = 4 * member; j_ < sizes.n2; j_ += 32) {
    let v11 = vec4<f32>(bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + j_]), bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + (j_ + 1)]), bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + (j_ + 2)]), bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + (j_ + 3)]));
    r12 = maximum_vec4f(r12, v11);
  }
  var total12 = r12[0];
  total12 = maximum_f32(total12, r12[1]);
  total12 = maximum_f32(total12, r12[2]);
  total12 = maximum_f32(total12, r12[3]);
  states_f32[i32(local)] = total12;
  for (var step = 4; step > 0; step /= 2) {
    workgroupBarrier();
    if (member < step) {
      let other = states_f32[i32(local) + step];
      total12 = maximum_f32(total12, other);
      states_f32[i32(local)] = total12;
    }
  }
  workgroupBarrier();
  total12 = states_f32[slot * 8];
  workgroupBarrier();
  storageBarrier();
  for (var j__1 = 4 * member; j__1 < sizes.n2; j__1 += 32) {
    let v13 = vec4<f32>(bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + j__1]), bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + (j__1 + 1)]), bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + (j__1 + 2)]), bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + (j__1 + 3)]));
    let v14 = v13 - vec4<f32>(total12);
    let v15 = fast_exponential_vec4f(v14);
    scratch[(group * 32 + slot) * sizes.n2 + j__1] = bitcast<u32>(v15[0]);
    scratch[(group * 32 + slot) * sizes.n2 + (j__1 + 1)] = bitcast<u32>(v15[1]);
    scratch[(group * 32 + slot) * sizes.n2 + (j__1 + 2)] = bitcast<u32>(v15[2]);
    scratch[(group * 32 + slot) * sizes.n2 + (j__1 + 3)] = bitcast<u32>(v15[3]);
  }
  storageBarrier();
  var r17: vec4<f32> = vec4f(0.0);
  for (var j__2 = 4 * member; j__2 < sizes.n2; j__2 += 32) {
    let v16 = vec4<f32>(bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + j__2]), bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + (j__2 + 1)]), bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + (j__2 + 2)]), bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + (j__2 + 3)]));
    r17 = r17 + v16;
  }
  var total17 = r17[0];
  total17 = total17 + r17[1];
  total17 = total17 + r17[2];
  total17 = total17 + r17[3];
  states_f32[i32(local)] = total17;
  for (var step_1 = 4; step_1 > 0; step_1 /= 2) {
    workgroupBarrier();
    if (member < step_1) {
      let other_1 = states_f32[i32(local) + step_1];
      total17 = total17 + other_1;
      states_f32[i32(local)] = total17;
    }
  }
  workgroupBarrier();
  total17 = states_f32[slot * 8];
  workgroupBarrier();
  storageBarrier();
  for (var j__3 = 4 * member; j__3 < sizes.n2; j__3 += 32) {
    let v18 = vec4<f32>(bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + j__3]), bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + (j__3 + 1)]), bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + (j__3 + 2)]), bitcast<f32>(scratch[(group * 32 + slot) * sizes.n2 + (j__3 + 3)]));
    let v19 = v18 / vec4<f32>(total17);
    scratch[(group * 32 + slot) * sizes.n2 + j__3] = bitcast<u32>(v19[0]);
    scratch[(group * 32 + slot) * sizes.n2 + (j__3 + 1)] = bitcast<u32>(v19[1]);
    scratch[(group * 32 + slot) * sizes.n2 + (j__3 + 2)] = bitcast<u32>(v19[2]);
    scratch[(group * 32 + slot) * sizes.n2 + (j__3 + 3)] = bitcast<u32>(v19[3]);
  }
  storageBarrier();
  workgroupBarrier();
  for (var first_column = 0; first_column < sizes.n3; first_column += 64) {
    let slot = i32(local) / 16;
    let column = i32(local) % 16;
    var sum_23_00 = 0.0;
    var sum_23_01 = 0.0;
    var sum_23_02 = 0.0;
    var sum_23_03 = 0.0;
    var sum_23_10 = 0.0;
    var sum_23_11 = 0.0;
    var sum_23_12 = 0.0;
    var sum_23_13 = 0.0;
    for (var depth = 0; depth < sizes.n2; depth += 16) {
      for (var at = i32(local); at < 512; at += 256) {
        let side = at / 16;
        let k = at % 16;
        left_block[side * 17 + k] = left_23(h_, first, group, side, depth + k);
      }
      for (var at = i32(local); at < 1024; at += 256) {
        let side = at % 64;
        let k = at / 64;
        right_block[k * 65 + side] = right_23(h_, first, group, first_column + side, depth + k);
      }
      workgroupBarrier();
      for (var k = 0; k < 16; k++) {
        let row_0 = left_block[slot * 17 + k];
        let row_1 = left_block[(slot + 16) * 17 + k];
        let column_0 = right_block[k * 65 + column];
        let column_1 = right_block[k * 65 + column + 16];
        let column_2 = right_block[k * 65 + column + 32];
        let column_3 = right_block[k * 65 + column + 48];
        sum_23_00 += row_0 * column_0;
        sum_23_01 += row_0 * column_1;
        sum_23_02 += row_0 * column_2;
        sum_23_03 += row_0 * column_3;
        sum_23_10 += row_1 * column_0;
        sum_23_11 += row_1 * column_1;
        sum_23_12 += row_1 * column_2;
        sum_23_13 += row_1 * column_3;
      }
      workgroupBarrier();
    }
    finish_23(h_, first, group, slot, first_column + column, sum_23_00);
    finish_23(h_, first, group, slot, first_column + column + 16, sum_23_01);
    finish_23(h_, first, group, slot, first_column + column + 32, sum_23_02);
    finish_23(h_, first, group, slot, first_column + column + 48, sum_23_03);
    finish_23(h_, first, group, slot + 16, first_column + column, sum_23_10);
    finish_23(h_, first, group, slot + 16, first_column + column + 16, sum_23_11);
    finish_23(h_, first, group, slot + 16, first_column + column + 32, sum_23_12);
    finish_23(h_, first, group, slot + 16, first_column + column + 48, sum_23_13);
  }
  storageBarrier();
  workgroupBarrier();
  if (member == 0 && exists) {
    m[sizes.n2 * h_ + i_] = total12;
  }
  if (member == 0 && exists) {
    l[sizes.n2 * h_ + i_] = total17;
  }
}
