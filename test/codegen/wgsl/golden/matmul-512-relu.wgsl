struct Sizes {
  n0: i32,
  n1: i32,
  n2: i32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> sizes: Sizes;

// Two tiles of 16 steps, of 32 rows.
var<workgroup> left_tiles_16x32: array<vec4<f32>, 256>;

// Two tiles of 16 steps, of 32 columns.
var<workgroup> right_tiles_16x32: array<vec4<f32>, 256>;

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
  let v0 = vec4<f32>(a[sizes.n1 * i_ + depth], a[sizes.n1 * (i_ + 1) + depth], a[sizes.n1 * (i_ + 2) + depth], a[sizes.n1 * (i_ + 3) + depth]);
  return v0;
}

fn load_right_3(j_: i32, depth: i32) -> vec4<f32> {
  let v1 = b[(sizes.n1 * depth + j_) / 4];
  return v1;
}

fn finish_3(row: i32, column: i32, sum_3: vec4<f32>) {
  if (row >= sizes.n1 || column >= sizes.n1) {
    return;
  }
  let v4 = 0.0;
  let v5 = maximum_vec4f(sum_3, vec4<f32>(v4));
  y[(sizes.n1 * row + column) / 4] = v5;
}

@compute @workgroup_size(64)
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
  let in_group = 8 * 16;
  let group_row = i32(workgroup) / in_group * 8;
  let group_rows = min(16 - group_row, 8);
  let first_row = (group_row + i32(workgroup) % in_group % group_rows) * 32;
  let first_column = i32(workgroup) % in_group / group_rows * 32;
  let thread_row = i32(local) / 8;
  let thread_column = i32(local) % 8;
  var sum_3_0_0 = vec4<f32>();
  var sum_3_1_0 = vec4<f32>();
  var sum_3_2_0 = vec4<f32>();
  var sum_3_3_0 = vec4<f32>();
  // Which fours of rows this thread brings to the left tiles.
  let left_depth = i32(local) % 16;
  let left_group = i32(local) / 16;
  let left_slot = left_depth * 8 + (left_group ^ (left_depth & 7));
  let left_row = first_row + left_group * 4;
  let left_slot_1 = left_depth * 8 + ((left_group + 4) ^ (left_depth & 7));
  let left_row_1 = first_row + (left_group + 4) * 4;
  // Which fours of columns this thread brings to the right tiles.
  let right_group = i32(local) % 8;
  let right_depth = i32(local) / 8;
  let right_slot = right_depth * 8 + right_group;
  let right_column = first_column + right_group * 4;
  let right_slot_1 = (right_depth + 8) * 8 + right_group;
  var next_left = load_left_3(left_row, left_depth);
  var next_left_1 = load_left_3(left_row_1, left_depth);
  var next_right = load_right_3(right_column, right_depth);
  var next_right_1 = load_right_3(right_column, right_depth + 8);
  // Two tiles take turns: while one is multiplied, elements of the next are on their way.
  for (var step = 0; step < sizes.n2; step++) {
    let left_tile = (step & 1) * 128;
    left_tiles_16x32[left_tile + left_slot] = next_left;
    left_tiles_16x32[left_tile + left_slot_1] = next_left_1;
    let right_tile = (step & 1) * 128;
    right_tiles_16x32[right_tile + right_slot] = next_right;
    right_tiles_16x32[right_tile + right_slot_1] = next_right_1;
    workgroupBarrier();
    if (step + 1 < sizes.n2) {
      next_left = load_left_3(left_row, (step + 1) * 16 + left_depth);
      next_left_1 = load_left_3(left_row_1, (step + 1) * 16 + left_depth);
      next_right = load_right_3(right_column, (step + 1) * 16 + right_depth);
      next_right_1 = load_right_3(right_column, (step + 1) * 16 + right_depth + 8);
    }
    for (var k = 0; k < 16; k++) {
      let left_0 = left_tiles_16x32[left_tile + k * 8 + (thread_row ^ (k & 7))];
      let right_0 = right_tiles_16x32[right_tile + k * 8 + thread_column];
      sum_3_0_0 += left_0.x * right_0;
      sum_3_1_0 += left_0.y * right_0;
      sum_3_2_0 += left_0.z * right_0;
      sum_3_3_0 += left_0.w * right_0;
    }
  }
  let row = first_row + thread_row * 4;
  let column = first_column + thread_column * 4;
  finish_3(row, column, sum_3_0_0);
  finish_3(row + 1, column, sum_3_1_0);
  finish_3(row + 2, column, sum_3_2_0);
  finish_3(row + 3, column, sum_3_3_0);
}
