struct Sizes {
  n0: i32,
  n1: i32,
  n2: i32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> sizes: Sizes;

var<workgroup> tile0: array<u32, 1056>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let workgroup = workgroup_id.x + workgroup_id.y * num_workgroups.x;
  if (workgroup >= u32(sizes.n0)) {
    return;
  }
  let a_tile_j = i32(workgroup) % sizes.n1;
  let rest = i32(workgroup) / sizes.n1;
  let a_tile_i = rest;
  let first_i_ = a_tile_i * 32;
  let first_j_ = a_tile_j * 32;
  let column = i32(local) % 8 * 4;
  let row = i32(local) / 8;
  let i_ = first_i_ + column;
  let j_ = first_j_ + row;
  if (i_ < sizes.n0 && j_ < sizes.n2) {
    let v0 = x[(sizes.n0 * j_ + i_) / 4];
    tile0[row * 33 + column] = bitcast<u32>(v0[0]);
    tile0[row * 33 + column + 1] = bitcast<u32>(v0[1]);
    tile0[row * 33 + column + 2] = bitcast<u32>(v0[2]);
    tile0[row * 33 + column + 3] = bitcast<u32>(v0[3]);
  }
  workgroupBarrier();
  let column_1 = i32(local) % 8 * 4;
  let row_1 = i32(local) / 8;
  let j__1 = first_j_ + column_1;
  let i__1 = first_i_ + row_1;
  if (j__1 < sizes.n2 && i__1 < sizes.n0) {
    let v0_1 = vec4<f32>(bitcast<f32>(tile0[column_1 * 33 + row_1]), bitcast<f32>(tile0[(column_1 + 1) * 33 + row_1]), bitcast<f32>(tile0[(column_1 + 2) * 33 + row_1]), bitcast<f32>(tile0[(column_1 + 3) * 33 + row_1]));
    let v1 = -v0_1;
    y[(sizes.n2 * i__1 + j__1) / 4] = v1;
  }
}
