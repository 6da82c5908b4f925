/**
 * When kernels first run. On WASM all launches of a program are one call of the driver, an instance that imports
 * `kiln.ask`; its `run` is watched from outside, so that every mode is measured at the same place.
 *
 *     const launch = watchFirstLaunch();
 *     step(...);
 *     launch.at                            // as `performance.now()`
 */
interface Engine {
  Instance: new (module: unknown, imports?: Imports) => { readonly exports: object };
}

type Imports = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

export interface FirstLaunch {
  /** `undefined` until kernels have run. */
  readonly at: number | undefined;
}

/** Watches the devices that are made from now on. */
export function watchFirstLaunch(): FirstLaunch {
  const { WebAssembly: engine } = globalThis as unknown as { readonly WebAssembly: Engine };
  const { Instance } = engine;
  const launch: { at: number | undefined } = { at: undefined };
  engine.Instance = new Proxy(Instance, {
    construct(_, [module, imports]: [unknown, Imports?]) {
      const instance = new Instance(module, imports);
      if (!imports?.kiln?.ask) return instance;
      const exports = instance.exports as { readonly run: (launch: number, count: number) => void };
      const run = (first: number, count: number): void => {
        launch.at ??= performance.now();
        exports.run(first, count);
      };
      return { exports: { ...exports, run } };
    },
  });
  return launch;
}
