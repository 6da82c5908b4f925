enable subgroups;
diagnostic(off, subgroup_uniformity);

struct Sizes {
  n0: i32,
}

@group(0) @binding(0) var<storage, read> x0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> x1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x2: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y0: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> sizes: Sizes;

var<workgroup> states_f32: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_size) subgroup_width: u32,
) {
  let workgroup = workgroup_id.x + workgroup_id.y * num_workgroups.x;
  if (workgroup >= u32(8)) {
    return;
  }
  let v3 = 768.0;
  let v11 = 1e-5;
  let thread = i32(local);
  let team = thread / 64;
  let member = thread % 64;
  let width = min(i32(subgroup_width), 64);
  let part = thread / width;
  let row = i32(workgroup) * 4 + team;
  let i1_ = row;
  var r2: vec4<f32> = vec4f(0.0);
  var kept: array<vec4<f32>, 3>;
  for (var step = 0; step < 3; step++) {
    let r3_ = 4 * (member + 64 * step);
    let v1 = x0[(sizes.n0 * i1_ + r3_) / 4];
    kept[step] = v1;
    r2 = r2 + v1;
  }
  var total2 = r2[0];
  total2 = total2 + r2[1];
  total2 = total2 + r2[2];
  total2 = total2 + r2[3];
  for (var step_1 = 1; step_1 < width; step_1 *= 2) {
    let other = subgroupShuffleXor(total2, u32(step_1));
    total2 = total2 + other;
  }
  if (thread % width == 0) {
    states_f32[part] = total2;
  }
  workgroupBarrier();
  let first = team * (64 / width);
  total2 = states_f32[first];
  for (var at = first + 1; at < first + 64 / width; at++) {
    let other_1 = states_f32[at];
    total2 = total2 + other_1;
  }
  workgroupBarrier();
  let v4 = total2 / v3;
  var r9: vec4<f32> = vec4f(0.0);
  for (var step_2 = 0; step_2 < 3; step_2++) {
    let r4_ = 4 * (member + 64 * step_2);
    let v6 = kept[step_2];
    let v7 = v6 - vec4<f32>(v4);
    let v8 = v7 * v7;
    r9 = r9 + v8;
  }
  var total9 = r9[0];
  total9 = total9 + r9[1];
  total9 = total9 + r9[2];
  total9 = total9 + r9[3];
  for (var step_3 = 1; step_3 < width; step_3 *= 2) {
    let other_2 = subgroupShuffleXor(total9, u32(step_3));
    total9 = total9 + other_2;
  }
  if (thread % width == 0) {
    states_f32[part] = total9;
  }
  workgroupBarrier();
  let first_1 = team * (64 / width);
  total9 = states_f32[first_1];
  for (var at_1 = first_1 + 1; at_1 < first_1 + 64 / width; at_1++) {
    let other_3 = states_f32[at_1];
    total9 = total9 + other_3;
  }
  workgroupBarrier();
  let v10 = total9 / v3;
  let v12 = v10 + v11;
  let v13 = inverseSqrt(v12);
  for (var step_4 = 0; step_4 < 3; step_4++) {
    let i2_ = 4 * (member + 64 * step_4);
    let v0 = kept[step_4];
    let v5 = v0 - vec4<f32>(v4);
    let v14 = v5 * vec4<f32>(v13);
    let v15 = x1[i2_ / 4];
    let v16 = v14 * v15;
    let v17 = x2[i2_ / 4];
    let v18 = v16 + v17;
    y0[(sizes.n0 * i1_ + i2_) / 4] = v18;
  }
}
