struct Sizes {
  n0: i32,
  n1: i32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> v: array<f32>;
@group(0) @binding(2) var<storage, read_write> p: array<i32>;
@group(0) @binding(3) var<uniform> sizes: Sizes;

var<workgroup> keys0_1024: array<u32, 1024>;

var<workgroup> tags1_1024: array<u32, 1024>;

fn key_float_descending(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  let magnitude = bits & 0x7fffffffu;
  var key = bits ^ select(0x80000000u, 0xffffffffu, bits != magnitude);
  if (magnitude > 0x7f800000u) {
    key = 0xffffffffu;
  }
  if (magnitude == 0u) {
    key = 0x80000000u;
  }
  return key ^ 0xffffffffu;
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

// The float that a key stands for.
fn float_of_key(key: u32) -> f32 {
  return bitcast<f32>(key ^ select(0xffffffffu, 0x80000000u, key >= 0x80000000u));
}

// Gives a zero its sign back, which the lowest bit of the tag tells.
fn with_zero_sign(value: f32, tag: u32) -> f32 {
  return bitcast<f32>(bitcast<u32>(value) | ((tag & 1u) << 31u));
}

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
  let first = i32(workgroup);
  for (var j_ = i32(local); j_ < sizes.n1; j_ += 256) {
    let i_ = first;
    let v0 = x[sizes.n1 * i_ + j_];
    keys0_1024[j_] = bitcast<u32>(v0);
  }
  workgroupBarrier();
  for (var at = i32(local); at < 1024; at += 256) {
    let value = bitcast<f32>(keys0_1024[at]);
    keys0_1024[at] = select(0xffffffffu, key_float_descending(value), at < sizes.n1);
    tags1_1024[at] = select(0xffffffffu, u32(at) * 2u + u32(bitcast<u32>(value) == 0x80000000u), at < sizes.n1);
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
    let value_1 = with_zero_sign(float_of_key((keys0_1024[at_2] ^ 0xffffffffu)), tags1_1024[at_2]);
    keys0_1024[at_2] = bitcast<u32>(value_1);
    tags1_1024[at_2] = tags1_1024[at_2] >> 1u;
  }
  workgroupBarrier();
  for (var l_ = i32(local); l_ < 10; l_ += 256) {
    let i__1 = first;
    let v1 = bitcast<f32>(keys0_1024[l_]);
    v[10 * i__1 + l_] = v1;
    let v2 = bitcast<i32>(tags1_1024[l_]);
    p[10 * i__1 + l_] = v2;
  }
}
