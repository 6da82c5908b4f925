/** Whether WebGPU is worth trying: known without its code, which is loaded when it is opened. */

const globals = globalThis as {
  readonly navigator?: { readonly gpu?: unknown };
  readonly process?: { readonly versions?: { readonly node?: string } };
};

export const isNode = (): boolean => globals.process?.versions?.node !== undefined;

/** Whether it is worth asking for an adapter here. */
export const mayHaveWebgpu = (): boolean => globals.navigator?.gpu !== undefined || isNode();
