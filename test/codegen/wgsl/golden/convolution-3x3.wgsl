struct Sizes {
  n0: i32,
  n1: i32,
  n2: i32,
  n3: i32,
  n4: i32,
  n5: i32,
  n6: i32,
  n7: i32,
  n8: i32,
}

@group(0) @binding(0) var<storage, read> x0: array<f32>;
@group(0) @binding(1) var<storage, read> x1: array<f32>;
@group(0) @binding(2) var<storage, read_write> y0: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> sizes: Sizes;

// Two tiles of 16 steps, of 64 rows.
var<workgroup> left_tiles_16x64: array<vec4<f32>, 512>;

// Two tiles of 16 steps, of 64 columns.
var<workgroup> right_tiles_16x64: array<vec4<f32>, 512>;

fn load_left_14(i1_: i32, depth: i32) -> vec4<f32> {
  let r6_ = depth % 3;
  let rest = depth / 3;
  let r5_ = rest % 3;
  let r4_ = rest / 3;
  let v12 = vec4<f32>(x1[sizes.n1 * i1_ + 9 * r4_ + 3 * r5_ + r6_], x1[sizes.n1 * (i1_ + 1) + 9 * r4_ + 3 * r5_ + r6_], x1[sizes.n1 * (i1_ + 2) + 9 * r4_ + 3 * r5_ + r6_], x1[sizes.n1 * (i1_ + 3) + 9 * r4_ + 3 * r5_ + r6_]);
  return v12;
}

fn load_right_14(i0_: i32, i2_: i32, i3_: i32, depth: i32) -> vec4<f32> {
  let r6_ = depth % 3;
  let rest = depth / 3;
  let r5_ = rest % 3;
  let r4_ = rest / 3;
  let v1 = 0i;
  let v3 = 56i;
  let v0 = i2_ + r5_ + (-1);
  let v2 = v0 >= v1;
  let v4 = v0 < v3;
  let v5 = v2 & v4;
  let v6 = i3_ + r6_ + (-1) + 1 * vec4<i32>(0, 1, 2, 3);
  let v7 = v6 >= vec4<i32>(v1);
  let v8 = v6 < vec4<i32>(v3);
  let v9 = v7 & v8;
  let v10 = vec4<bool>(v5) & v9;
  let v11 = select(vec4f(0.0), vec4<f32>(x0[select(0, sizes.n2 * i0_ + sizes.n3 * r4_ + sizes.n4 * i2_ + sizes.n4 * r5_ + i3_ + r6_ + sizes.n5, v10[0])], x0[select(0, sizes.n2 * i0_ + sizes.n3 * r4_ + sizes.n4 * i2_ + sizes.n4 * r5_ + (i3_ + 1) + r6_ + sizes.n5, v10[1])], x0[select(0, sizes.n2 * i0_ + sizes.n3 * r4_ + sizes.n4 * i2_ + sizes.n4 * r5_ + (i3_ + 2) + r6_ + sizes.n5, v10[2])], x0[select(0, sizes.n2 * i0_ + sizes.n3 * r4_ + sizes.n4 * i2_ + sizes.n4 * r5_ + (i3_ + 3) + r6_ + sizes.n5, v10[3])]), v10);
  return v11;
}

fn finish_14(row: i32, column: i32, sum_14: vec4<f32>) {
  if (row >= sizes.n7 || column >= sizes.n8) {
    return;
  }
  let i3_ = column % sizes.n4;
  let rest = column / sizes.n4;
  let i2_ = rest % sizes.n4;
  let i0_ = rest / sizes.n4;
  let v15 = sum_14 + sum_14;
  let v16 = abs(v15);
  y0[(sizes.n2 * i0_ + sizes.n3 * row + sizes.n4 * i2_ + i3_) / 4] = v16;
}

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let workgroup = workgroup_id.x + workgroup_id.y * num_workgroups.x;
  if (workgroup >= u32(sizes.n0)) {
    return;
  }
  let first_row = i32(workgroup) / sizes.n0 * 64;
  let first_column = i32(workgroup) % sizes.n0 * 64;
  let thread_row = i32(local) / 16;
  let thread_column = i32(local) % 16;
  var sum_14_0_0 = vec4<f32>();
  var sum_14_1_0 = vec4<f32>();
  var sum_14_2_0 = vec4<f32>();
  var sum_14_3_0 = vec4<f32>();
  var sum_14_4_0 = vec4<f32>();
  var sum_14_5_0 = vec4<f32>();
  var sum_14_6_0 = vec4<f32>();
  var sum_14_7_0 = vec4<f32>();
  // Which fours of rows this thread brings to the left tiles.
  let left_depth = i32(local) % 16;
  let left_group = i32(local) / 16;
  let left_slot = left_depth * 16 + (left_group ^ (left_depth & 7));
  let left_row = first_row + left_group * 4;
  let left_slot_1 = left_depth * 16 + ((left_group + 8) ^ (left_depth & 7));
  let left_row_1 = first_row + (left_group + 8) * 4;
  // Which fours of columns this thread brings to the right tiles.
  let right_group = i32(local) % 16;
  let right_depth = i32(local) / 16;
  let right_slot = right_depth * 16 + right_group;
  let right_column = first_column + right_group * 4;
  let right_i3_ = right_column % sizes.n4;
  let rest = right_column / sizes.n4;
  let right_i2_ = rest % sizes.n4;
  let right_i0_ = rest / sizes.n4;
  let right_slot_1 = (right_depth + 8) * 16 + right_group;
  var next_left = load_left_14(left_row, left_depth);
  var next_left_1 = load_left_14(left_row_1, left_depth);
  var next_right = load_right_14(right_i0_, right_i2_, right_i3_, right_depth);
  var next_right_1 = load_right_14(right_i0_, right_i2_, right_i3_, right_depth + 8);
  // Two tiles take turns: while one is multiplied, elements of the next are on their way.
  for (var step = 0; step < sizes.n6; step++) {
    let left_tile = (step & 1) * 256;
    left_tiles_16x64[left_tile + left_slot] = next_left;
    left_tiles_16x64[left_tile + left_slot_1] = next_left_1;
    let right_tile = (step & 1) * 256;
    right_tiles_16x64[right_tile + right_slot] = next_right;
    right_tiles_16x64[right_tile + right_slot_1] = next_right_1;
    workgroupBarrier();
    if (step + 1 < sizes.n6) {
      next_left = load_left_14(left_row, (step + 1) * 16 + left_depth);
      next_left_1 = load_left_14(left_row_1, (step + 1) * 16 + left_depth);
      next_right = load_right_14(right_i0_, right_i2_, right_i3_, (step + 1) * 16 + right_depth);
      next_right_1 = load_right_14(right_i0_, right_i2_, right_i3_, (step + 1) * 16 + right_depth + 8);
    }
    for (var k = 0; k < 16; k++) {
      let left_0 = left_tiles_16x64[left_tile + k * 16 + (thread_row ^ (k & 7))];
      let left_4 = left_tiles_16x64[left_tile + k * 16 + ((thread_row + 8) ^ (k & 7))];
      let right_0 = right_tiles_16x64[right_tile + k * 16 + thread_column];
      sum_14_0_0 += left_0.x * right_0;
      sum_14_1_0 += left_0.y * right_0;
      sum_14_2_0 += left_0.z * right_0;
      sum_14_3_0 += left_0.w * right_0;
      sum_14_4_0 += left_4.x * right_0;
      sum_14_5_0 += left_4.y * right_0;
      sum_14_6_0 += left_4.z * right_0;
      sum_14_7_0 += left_4.w * right_0;
    }
  }
  let row = first_row + thread_row * 4;
  let column = first_column + thread_column * 4;
  finish_14(row, column, sum_14_0_0);
  finish_14(row + 1, column, sum_14_1_0);
  finish_14(row + 2, column, sum_14_2_0);
  finish_14(row + 3, column, sum_14_3_0);
  finish_14(row + 32, column, sum_14_4_0);
  finish_14(row + 33, column, sum_14_5_0);
  finish_14(row + 34, column, sum_14_6_0);
  finish_14(row + 35, column, sum_14_7_0);
}
