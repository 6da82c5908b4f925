enable subgroups;
diagnostic(off, subgroup_uniformity);

struct Sizes {
  n0: i32,
  n1: i32,
  n2: i32,
}

@group(0) @binding(0) var<storage, read> x0: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y0: array<f32>;
@group(0) @binding(2) var<storage, read_write> scratch: array<u32>;
@group(0) @binding(3) var<uniform> sizes: Sizes;

var<workgroup> states_f32: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_size) subgroup_width: u32,
) {
  let workgroup = workgroup_id.x + workgroup_id.y * num_workgroups.x;
  if (workgroup >= u32(sizes.n0)) {
    return;
  }
  let thread = i32(local);
  let width = i32(subgroup_width);
  let part = thread / width;
  let strip = i32(workgroup);
  let row = 0;
  var r1: vec4<f32> = vec4f(0.0);
  let first = strip * sizes.n1;
  let end = min(first + sizes.n1, sizes.n2);
  for (var r1_ = first + 4 * thread; r1_ < end; r1_ += 1024) {
    let v0 = x0[r1_ / 4];
    r1 = r1 + v0;
  }
  var total1 = r1[0];
  total1 = total1 + r1[1];
  total1 = total1 + r1[2];
  total1 = total1 + r1[3];
  total1 = subgroupAdd(total1);
  if (thread % width == 0) {
    states_f32[part] = total1;
  }
  workgroupBarrier();
  total1 = states_f32[0];
  for (var at = 1; at < 256 / width; at++) {
    let other = states_f32[at];
    total1 = total1 + other;
  }
  workgroupBarrier();
  if (thread == 0) {
    scratch[strip] = bitcast<u32>(total1);
  }
}

@compute @workgroup_size(256)
fn main_1(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_size) subgroup_width: u32,
) {
  let workgroup = workgroup_id.x + workgroup_id.y * num_workgroups.x;
  if (workgroup >= u32(1)) {
    return;
  }
  let thread = i32(local);
  let width = i32(subgroup_width);
  let part = thread / width;
  let row = i32(workgroup);
  var r1: f32 = 0.0;
  for (var strip = thread; strip < sizes.n0; strip += 256) {
    let other = bitcast<f32>(scratch[strip]);
    r1 = r1 + other;
  }
  r1 = subgroupAdd(r1);
  if (thread % width == 0) {
    states_f32[part] = r1;
  }
  workgroupBarrier();
  r1 = states_f32[0];
  for (var at = 1; at < 256 / width; at++) {
    let other_1 = states_f32[at];
    r1 = r1 + other_1;
  }
  workgroupBarrier();
  if (thread == 0) {
    y0[0] = r1;
  }
}
