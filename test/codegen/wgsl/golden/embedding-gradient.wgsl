struct Sizes {
  n0: i32,
  n1: i32,
  n2: i32,
  n3: i32,
  n4: i32,
  n5: i32,
  n6: i32,
  n7: i32,
}

@group(0) @binding(0) var<storage, read> b_index: array<i32>;
@group(0) @binding(1) var<storage, read> b_update: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> scratch: array<u32>;
@group(0) @binding(5) var<uniform> sizes: Sizes;

var<workgroup> keys0_1024: array<u32, 1024>;

var<workgroup> tags1_1024: array<u32, 1024>;

fn key_uint32_ascending(value: u32) -> u32 {
  return value;
}

// Puts two elements in order.
fn order_keys0_1024_tags1_1024(low: i32, high: i32) {
  let a = keys0_1024[low];
  let b = keys0_1024[high];
  let a_tag = tags1_1024[low];
  let b_tag = tags1_1024[high];
  if (b < a || (b == a && b_tag < a_tag)) {
    keys0_1024[low] = b;
    keys0_1024[high] = a;
    tags1_1024[low] = b_tag;
    tags1_1024[high] = a_tag;
  }
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let workgroup = workgroup_id.x + workgroup_id.y * num_workgroups.x;
  let thread = i32(workgroup * 256u + local);
  if (thread >= sizes.n0) {
    return;
  }
  let i_ = thread * 4;
  let v0 = x[i_ / 4];
  y[i_ / 4] = v0;
}

@compute @workgroup_size(256)
fn main_1(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let workgroup = workgroup_id.x + workgroup_id.y * num_workgroups.x;
  if (workgroup >= u32(4)) {
    return;
  }
  let update = i32(workgroup * 256u + local);
  if (update >= sizes.n1) {
    return;
  }
  let u_ = update;
  let size = sizes.n2;
  let v1 = size;
  let v2 = b_index[u_];
  let v3 = 0i;
  let v4 = v2 <= v1;
  let v5 = v2 >= v3;
  let v6 = v4 & v5;
  let v7 = max(v2, v3);
  let v8 = min(v7, v1);
  scratch[update] = u32(select(sizes.n4, sizes.n3 * v8, v6));
}

@compute @workgroup_size(256)
fn main_2(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let workgroup = workgroup_id.x + workgroup_id.y * num_workgroups.x;
  if (workgroup >= u32(1)) {
    return;
  }
  for (var element_ = i32(local); element_ < sizes.n1; element_ += 256) {
    let v10 = scratch[element_];
    keys0_1024[element_] = v10;
  }
  workgroupBarrier();
  for (var at = i32(local); at < 1024; at += 256) {
    let value = keys0_1024[at];
    keys0_1024[at] = select(0xffffffffu, key_uint32_ascending(value), at < sizes.n1);
    tags1_1024[at] = select(0xffffffffu, u32(at) * 2u, at < sizes.n1);
  }
  workgroupBarrier();
  for (var size = 2; size <= 1024; size *= 2) {
    for (var distance = size / 2; distance > 0; distance /= 2) {
      for (var at_1 = i32(local); at_1 < 512; at_1 += 256) {
        let low = at_1 + (at_1 & ~(distance - 1));
        let high = select(low + distance, low ^ (size - 1), distance == size / 2);
        order_keys0_1024_tags1_1024(low, high);
      }
      workgroupBarrier();
    }
  }
  for (var at_2 = i32(local); at_2 < 1024; at_2 += 256) {
    tags1_1024[at_2] = tags1_1024[at_2] >> 1u;
  }
  workgroupBarrier();
  for (var element__1 = i32(local); element__1 < sizes.n1; element__1 += 256) {
    let v11 = keys0_1024[element__1];
    scratch[sizes.n1 + element__1] = v11;
  }
  workgroupBarrier();
  for (var element__2 = i32(local); element__2 < sizes.n1; element__2 += 256) {
    let v12 = bitcast<i32>(tags1_1024[element__2]);
    scratch[sizes.n5 + element__2] = bitcast<u32>(v12);
  }
}

@compute @workgroup_size(256)
fn main_3(
  @builtin(workgroup_id) workgroup_id: vec3u,
  @builtin(num_workgroups) num_workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let workgroup = workgroup_id.x + workgroup_id.y * num_workgroups.x;
  if (workgroup >= u32(sizes.n3)) {
    return;
  }
  let thread = i32(workgroup * 256u + local);
  if (thread >= sizes.n6) {
    return;
  }
  let first = thread / sizes.n7;
  let element = thread % sizes.n7;
  let w_ = element * 4;
  let number = scratch[sizes.n1 + first];
  // Only the first update of a place goes on.
  if (number >= u32(sizes.n4) || (first > 0 && scratch[sizes.n1 + max(first - 1, 0)] == number)) {
    return;
  }
  let place = i32(number) + w_;
  var total = y[place / 4];
  for (var next = first; next < sizes.n1 && scratch[sizes.n1 + min(next, sizes.n1 - 1)] == number; next++) {
    let update = bitcast<i32>(scratch[sizes.n5 + next]);
    let u_ = update;
    let v9 = b_update[(sizes.n3 * u_ + w_) / 4];
    total = total + v9;
  }
  y[place / 4] = total;
}
