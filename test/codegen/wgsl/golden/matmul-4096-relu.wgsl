struct Sizes {
  n0: i32,
  n1: i32,
  n2: i32,
  n3: i32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> sizes: Sizes;

// Two tiles of 8 steps, of 128 rows.
var<workgroup> left_tiles_8x128: array<vec4<f32>, 512>;

// Two tiles of 8 steps, of 128 columns.
var<workgroup> right_tiles_8x128: array<vec4<f32>, 512>;

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

fn load_left_3(i_: i32, depth: i32) -> vec4<f32> {
  let v0 = vec4<f32>(a[sizes.n2 * i_ + depth], a[sizes.n2 * (i_ + 1) + depth], a[sizes.n2 * (i_ + 2) + depth], a[sizes.n2 * (i_ + 3) + depth]);
  return v0;
}

fn load_right_3(j_: i32, depth: i32) -> vec4<f32> {
  let v1 = b[(sizes.n2 * depth + j_) / 4];
  return v1;
}

fn finish_3(row: i32, column: i32, sum_3: vec4<f32>) {
  if (row >= sizes.n2 || column >= sizes.n2) {
    return;
  }
  let v4 = 0.0;
  let v5 = maximum_vec4f(sum_3, vec4<f32>(v4));
  y[(sizes.n2 * row + column) / 4] = v5;
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
  // Tiles are counted down 8 rows of them at a time, so that neighbours share factors in the cache.
  let in_group = 8 * sizes.n1;
  let group_row = i32(workgroup) / in_group * 8;
  let group_rows = min(sizes.n1 - group_row, 8);
  let first_row = (group_row + i32(workgroup) % in_group % group_rows) * 128;
  let first_column = i32(workgroup) % in_group / group_rows * 128;
  let thread_row = i32(local) / 16;
  let thread_column = i32(local) % 16;
  var sum_3_0_0 = vec4<f32>();
  var sum_3_0_4 = vec4<f32>();
  var sum_3_1_0 = vec4<f32>();
  var sum_3_1_4 = vec4<f32>();
  var sum_3_2_0 = vec4<f32>();
  var sum_3_2_4 = vec4<f32>();
  var sum_3_3_0 = vec4<f32>();
  var sum_3_3_4 = vec4<f32>();
  var sum_3_4_0 = vec4<f32>();
  var sum_3_4_4 = vec4<f32>();
  var sum_3_5_0 = vec4<f32>();
  var sum_3_5_4 = vec4<f32>();
  var sum_3_6_0 = vec4<f32>();
  var sum_3_6_4 = vec4<f32>();
  var sum_3_7_0 = vec4<f32>();
  var sum_3_7_4 = vec4<f32>();
  // Which fours of rows this thread brings to the left tiles.
  let left_depth = i32(local) % 8;
  let left_group = i32(local) / 8;
  let left_slot = left_depth * 32 + (left_group ^ left_depth);
  let left_row = first_row + left_group * 4;
  // Which fours of columns this thread brings to the right tiles.
  let right_group = i32(local) % 32;
  let right_depth = i32(local) / 32;
  let right_slot = right_depth * 32 + right_group;
  let right_column = first_column + right_group * 4;
  var next_left = load_left_3(left_row, left_depth);
  var next_right = load_right_3(right_column, right_depth);
  // Two tiles take turns: while one is multiplied, elements of the next are on their way.
  for (var step = 0; step < sizes.n3; step++) {
    let left_tile = (step & 1) * 256;
    left_tiles_8x128[left_tile + left_slot] = next_left;
    let right_tile = (step & 1) * 256;
    right_tiles_8x128[right_tile + right_slot] = next_right;
    workgroupBarrier();
    if (step + 1 < sizes.n3) {
      next_left = load_left_3(left_row, (step + 1) * 8 + left_depth);
      next_right = load_right_3(right_column, (step + 1) * 8 + right_depth);
    }
    for (var k = 0; k < 8; k++) {
      let left_0 = left_tiles_8x128[left_tile + k * 32 + (thread_row ^ k)];
      let left_4 = left_tiles_8x128[left_tile + k * 32 + ((thread_row + 16) ^ k)];
      let right_0 = right_tiles_8x128[right_tile + k * 32 + thread_column];
      let right_4 = right_tiles_8x128[right_tile + k * 32 + thread_column + 16];
      sum_3_0_0 += left_0.x * right_0;
      sum_3_0_4 += left_0.x * right_4;
      sum_3_1_0 += left_0.y * right_0;
      sum_3_1_4 += left_0.y * right_4;
      sum_3_2_0 += left_0.z * right_0;
      sum_3_2_4 += left_0.z * right_4;
      sum_3_3_0 += left_0.w * right_0;
      sum_3_3_4 += left_0.w * right_4;
      sum_3_4_0 += left_4.x * right_0;
      sum_3_4_4 += left_4.x * right_4;
      sum_3_5_0 += left_4.y * right_0;
      sum_3_5_4 += left_4.y * right_4;
      sum_3_6_0 += left_4.z * right_0;
      sum_3_6_4 += left_4.z * right_4;
      sum_3_7_0 += left_4.w * right_0;
      sum_3_7_4 += left_4.w * right_4;
    }
  }
  let row = first_row + thread_row * 4;
  let column = first_column + thread_column * 4;
  finish_3(row, column, sum_3_0_0);
  finish_3(row, column + 64, sum_3_0_4);
  finish_3(row + 1, column, sum_3_1_0);
  finish_3(row + 1, column + 64, sum_3_1_4);
  finish_3(row + 2, column, sum_3_2_0);
  finish_3(row + 2, column + 64, sum_3_2_4);
  finish_3(row + 3, column, sum_3_3_0);
  finish_3(row + 3, column + 64, sum_3_3_4);
  finish_3(row + 64, column, sum_3_4_0);
  finish_3(row + 64, column + 64, sum_3_4_4);
  finish_3(row + 65, column, sum_3_5_0);
  finish_3(row + 65, column + 64, sum_3_5_4);
  finish_3(row + 66, column, sum_3_6_0);
  finish_3(row + 66, column + 64, sum_3_6_4);
  finish_3(row + 67, column, sum_3_7_0);
  finish_3(row + 67, column + 64, sum_3_7_4);
}
