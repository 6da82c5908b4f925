/**
 * A WGSL module in the making: what it binds, the sizes it reads, the helper functions it needs, its entry points.
 *
 *     shader.size(dim)                      'sizes.n0', or the number itself where it is small
 *     shader.helper('kiln_erf', text)       the text stands in the module once
 *     shader.render()                       the module as text
 *
 * Text depends on the kernel alone: equal kernels give equal text.
 */
import { type Dim, isStatic } from '../../base/dim.ts';
import { internalError } from '../../base/error.ts';
import type { Kernel } from '../../ir/kernel.ts';
import type { KernelOptions } from './kernel.ts';
import { opaqueZero } from './math/writer.ts';
import { nameOfBuffer, safeName } from './names.ts';
import type { LaunchArrays } from './scratch.ts';
import { type Storage, storageOf } from './storage.ts';

/** Numbers up to this stand in the code; greater ones are uniforms, so that shapes do not multiply pipelines. */
const largestLiteral = 16;

/** A storage buffer as the module declares it. */
export interface DeclaredBuffer {
  readonly name: string;
  readonly access: 'read' | 'read_write';
  readonly storage: Storage;
  /** Elements of the array are vectors of four. */
  isVector: boolean;
  /** Elements of the array are atomics, since several threads write into one word. */
  isAtomic: boolean;
}

interface EntryPoint {
  readonly name: string;
  readonly workgroupSize: number;
  readonly body: string;
}

export class Shader {
  readonly options: KernelOptions;
  readonly buffers: ReadonlyMap<string, DeclaredBuffer>;
  /** Arrays in scratch memory that stages hand to each other. */
  readonly arrays: LaunchArrays;
  readonly #sizes: Dim[] = [];
  readonly #sizeNames = new Map<string, string>();
  readonly #helpers = new Map<string, string>();
  readonly #declarations = new Map<string, string>();
  readonly #entryPoints: EntryPoint[] = [];
  readonly #functions: string[] = [];
  #usesScratch = false;

  constructor(kernel: Kernel, options: KernelOptions, arrays: LaunchArrays) {
    this.options = options;
    this.arrays = arrays;
    this.buffers = new Map(
      kernel.buffers.map(({ name, dtype, access }) => [
        name,
        {
          name: nameOfBuffer(name),
          access: access === 'read' ? 'read' : 'read_write',
          storage: storageOf(dtype, options.tier),
          isVector: false,
          isAtomic: false,
        },
      ]),
    );
  }

  buffer(memory: string): DeclaredBuffer {
    const buffer = this.buffers.get(memory);
    if (!buffer) throw internalError(`memory ${memory} is not in scope`);
    return buffer;
  }

  /** The sizes that the uniform block holds, in order. */
  get sizes(): readonly Dim[] {
    return this.#sizes;
  }

  get access(): readonly ('read' | 'read_write')[] {
    return [...this.buffers.values()].map(({ access }) => access);
  }

  /** An int32 expression for a size, which may be negative. */
  size(size: Dim): string {
    if (isStatic(size) && Math.abs(size) <= largestLiteral) return size < 0 ? `(${size})` : `${size}`;
    const key = String(size);
    let name = this.#sizeNames.get(key);
    if (name === undefined) {
      name = `n${this.#sizes.length}`;
      this.#sizeNames.set(key, name);
      this.#sizes.push(size);
    }
    return `sizes.${name}`;
  }

  /** Makes sure a helper function is in the module, behind those it needs. Its name. */
  helper(name: string, text: string): string {
    this.#helpers.set(name, this.#helpers.get(name) ?? text.trim());
    return name;
  }

  /** A declaration of the module: a workgroup or private variable, a constant, a structure. Its name. */
  declare(name: string, text: string): string {
    this.#declarations.set(name, text);
    return name;
  }

  /** Scratch memory of the launch as an `array<u32>`. Its name. */
  scratch(): string {
    this.#usesScratch = true;
    return 'scratch';
  }

  get usesScratch(): boolean {
    return this.#usesScratch;
  }

  /** A function of the kernel itself. */
  addFunction(text: string): void {
    this.#functions.push(text);
  }

  addEntryPoint(name: string, workgroupSize: number, body: string): void {
    this.#entryPoints.push({ name: safeName(name), workgroupSize, body });
  }

  render(): string {
    const setsZero = this.#helpers.has(opaqueZero);
    const entries = this.#entryPoints.map((entry) => entryPointText(entry, setsZero));
    const declared = [...this.buffers.values()];
    const bindings = declared.map(({ name, access, storage, isVector, isAtomic }, at) => {
      const element = isAtomic ? `atomic<${storage.element}>` : isVector ? `vec4<${storage.element}>` : storage.element;
      return `@group(0) @binding(${at}) var<storage, ${access}> ${name}: array<${element}>;`;
    });
    let next = declared.length;
    if (this.#usesScratch) bindings.push(`@group(0) @binding(${next++}) var<storage, read_write> scratch: array<u32>;`);
    const sizes: string[] = [];
    if (this.#sizes.length > 0) {
      sizes.push(`struct Sizes {\n${this.#sizes.map((_, i) => `  n${i}: i32,`).join('\n')}\n}`);
      bindings.push(`@group(0) @binding(${next}) var<uniform> sizes: Sizes;`);
    }
    const code = [...this.#declarations.values(), ...this.#helpers.values(), ...this.#functions, ...entries];
    const directives = this.#directives(declared, code);
    return `${[...directives, ...sizes, bindings.join('\n'), ...code].filter((part) => part !== '').join('\n\n')}\n`;
  }

  #directives(declared: readonly DeclaredBuffer[], code: readonly string[]): string[] {
    const { shaderF16, subgroups } = this.options.tier;
    const directives: string[] = [];
    const usesHalf =
      declared.some(({ storage }) => storage.element === 'f16') || code.some((text) => /\bf16\b/.test(text));
    if (shaderF16 && usesHalf) directives.push('enable f16;');
    if (subgroups && code.some((text) => /\bsubgroup/.test(text))) {
      directives.push('enable subgroups;', 'diagnostic(off, subgroup_uniformity);');
    }
    return directives.length > 0 ? [directives.join('\n')] : [];
  }
}

/**
 * An entry point around a body that knows `workgroup` (the number of the workgroup) and `local` (that of the thread in
 * it), and `subgroup_lane` and `subgroup_width` where it mentions them.
 */
function entryPointText({ name, workgroupSize, body }: EntryPoint, setsZero: boolean): string {
  const lane = /\bsubgroup_lane\b/.test(body) ? '\n  @builtin(subgroup_invocation_id) subgroup_lane: u32,' : '';
  const width = /\bsubgroup_width\b/.test(body) ? '\n  @builtin(subgroup_size) subgroup_width: u32,' : '';
  return [
    `@compute @workgroup_size(${workgroupSize})`,
    `fn ${name}(`,
    '  @builtin(workgroup_id) workgroup_id: vec3u,',
    '  @builtin(num_workgroups) num_workgroups: vec3u,',
    `  @builtin(local_invocation_index) local: u32,${lane}${width}`,
    ') {',
    // There are fewer workgroups than 2^31 in a row.
    ...(setsZero ? [`  ${opaqueZero} = num_workgroups.x >> 31u;`] : []),
    '  let workgroup = workgroup_id.x + workgroup_id.y * num_workgroups.x;',
    body.replace(/^(?=.)/gm, '  '),
    '}',
  ].join('\n');
}
