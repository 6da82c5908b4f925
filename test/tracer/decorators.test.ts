/** `@compile` on methods: both kinds of decorators, fields of `this` as arguments, tensors written back. */
import { transformSync } from 'esbuild';
import { describe, expect, it, vi } from 'vitest';
import { compile, grad, type Tensor, tensor, tree } from '../../index.ts';
import { codeOf } from '../support/errors.ts';

class Linear {
  w: Tensor = tensor([[1], [2]]);
  scale = 1;
  steps: Tensor = tensor(0);
  history: Tensor[] = [];
  traces = { count: 0 };

  @compile
  forward(x: Tensor): Tensor {
    return x.matmul(this.w).mul(this.scale);
  }

  @compile({ name: 'linear_update' })
  update(x: Tensor): Tensor {
    const y = x.matmul(this.w);
    this.w = this.w.add(1);
    this.steps = this.steps.add(1);
    return y;
  }
}

const x = tensor([[1, 1]]);

describe('standard decorators', () => {
  it('read fields anew on each call', () => {
    vi.spyOn(console, 'warn').mockImplementation(() => {}); // scale has its third value in the next test
    const model = new Linear();
    expect(model.forward(x).arraySync()).toEqual([[3]]);
    model.w = tensor([[10], [20]]);
    expect(model.forward(x).arraySync()).toEqual([[30]]);
    model.scale = 2;
    expect(model.forward(x).arraySync()).toEqual([[60]]);
    const other = new Linear();
    expect(other.forward(x).arraySync()).toEqual([[3]]);
  });

  it('trace once for objects of the same structure', () => {
    const before = statsOf(Linear.prototype.forward).compiles;
    for (let i = 0; i < 3; i++) {
      const model = new Linear();
      model.scale = 7;
      model.forward(x);
    }
    vi.restoreAllMocks();
    expect(statsOf(Linear.prototype.forward).compiles).toBe(before + 1);
  });

  it('write assigned tensors back', () => {
    const model = new Linear();
    expect([1, 2, 3].map(() => model.update(x).itemSync())).toEqual([3, 5, 7]);
    expect(model.w.arraySync()).toEqual([[4], [5]]);
    expect(model.steps.itemSync()).toBe(3);
  });

  it('see the static fields of a class, when a class is what the method is called on', () => {
    const add = compile(function (this: { total: Tensor }, t: Tensor) {
      this.total = this.total.add(t);
      return this.total;
    });
    const shared = Object.assign(class Shared {}, { total: tensor([1]) as Tensor, add });
    expect([1, 2].map(() => shared.add(tensor([2])).itemSync())).toEqual([3, 5]);
    shared.total = tensor([10]);
    expect(shared.add(tensor([2])).itemSync()).toBe(12);
  });

  it('nest in compile and grad', () => {
    const model = new Linear();
    const f = compile((t: Tensor) => model.forward(t).sum());
    expect(f(x).itemSync()).toBe(3);
    expect(grad((t: Tensor) => model.forward(t).sum())(x).arraySync()).toEqual([[1, 2]]);
    expect(compile(grad((t: Tensor) => model.forward(t).sum()))(x).arraySync()).toEqual([[1, 2]]);
  });
});

const statsOf = (method: unknown) => (method as { stats(): { compiles: number } }).stats();

describe('objects of the same fields', () => {
  class Linearity {
    apply(value: Tensor): Tensor {
      return value;
    }
  }
  class Square extends Linearity {
    override apply(value: Tensor): Tensor {
      return value.mul(value);
    }
  }
  class Model {
    w: Tensor = tensor([2, 3]);
    readonly activation: Linearity;
    constructor(activation: Linearity) {
      this.activation = activation;
    }

    act(value: Tensor): Tensor {
      return this.activation.apply(value);
    }

    @compile
    forward(value: Tensor): Tensor {
      return this.act(value.mul(this.w));
    }

    @compile
    static describe(value: Tensor): Tensor {
      // biome-ignore lint/complexity/noThisInStatic: which class it is called on is what is tested
      return this.offset(value);
    }

    static offset(value: Tensor): Tensor {
      return value.add(1);
    }
  }
  class Negated extends Model {
    override act(value: Tensor): Tensor {
      return super.act(value).neg();
    }

    static override offset(value: Tensor): Tensor {
      return value.sub(1);
    }
  }

  it('are told apart by their classes, and by those of what they hold', () => {
    const ones = tensor([1, 1]);
    expect(new Model(new Linearity()).forward(ones).arraySync()).toEqual([2, 3]);
    expect(new Model(new Square()).forward(ones).arraySync()).toEqual([4, 9]);
    expect(new Negated(new Linearity()).forward(ones).arraySync()).toEqual([-2, -3]);
    expect(new Negated(new Square()).forward(ones).arraySync()).toEqual([-4, -9]);
    expect([Model.describe(ones).arraySync(), Negated.describe(ones).arraySync()]).toEqual([
      [2, 2],
      [0, 0],
    ]);
  });
});

describe('the state of this', () => {
  it('may be nested in arrays, objects and other classes', () => {
    class Layer {
      w: Tensor;
      constructor(n: number) {
        this.w = tensor([n]);
      }
    }
    class Net {
      layers = [new Layer(2), new Layer(3)];
      state: { mean: Tensor; count: number } = { mean: tensor([0]), count: 0 };
      extra?: Tensor;
      @compile
      run(t: Tensor): void {
        let h = t;
        for (const layer of this.layers) h = h.mul(layer.w);
        this.layers[0].w = h;
        this.state = { ...this.state, mean: h.mul(0.5) };
        this.extra = t;
      }
    }
    const net = new Net();
    expect(net.run(tensor([1]))).toBeUndefined();
    expect(net.layers[0].w.arraySync()).toEqual([6]);
    expect(net.state.mean.arraySync()).toEqual([3]);
    expect(net.state.count).toBe(0);
    expect(net.extra?.arraySync()).toEqual([1]);
    net.run(tensor([1]));
    expect(net.layers[0].w.arraySync()).toEqual([18]);
  });

  it('is as before when the method throws', () => {
    class Broken {
      w: Tensor = tensor([1]);
      list: Tensor[] = [tensor([2])];
      @compile
      run(t: Tensor): Tensor {
        this.w = t.mul(2);
        this.list.push(t);
        return t.matmul(this.w);
      }
    }
    const broken = new Broken();
    const { w } = broken;
    expect(codeOf(() => broken.run(tensor([[1, 2, 3]])))).toBe('shape_mismatch');
    expect(broken.w).toBe(w);
    expect(broken.list).toHaveLength(1);
  });

  it('compiles again when a plain field changes, and says so', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    class Counter {
      count = 0;
      total: Tensor = tensor([0]);
      @compile
      step(t: Tensor): Tensor {
        this.count += 1;
        this.total = this.total.add(t.mul(this.count));
        return this.total;
      }
    }
    const counter = new Counter();
    for (let i = 0; i < 3; i++) counter.step(tensor([1]));
    expect(counter.total.arraySync()).toEqual([6]);
    expect(counter.count).toBe(3);
    expect(warn.mock.calls.map(([text]) => text)).toEqual([
      expect.stringMatching(/number this\.count has had 3 values/),
    ]);
    vi.restoreAllMocks();
  });

  it('refuses private fields, lower without an object, and decorated fields', () => {
    class Hidden {
      #w: Tensor = tensor([2]);
      @compile
      run(t: Tensor): Tensor {
        return t.mul(this.#w);
      }
    }
    expect(codeOf(() => new Hidden().run(tensor([1])))).toBe('invalid_argument');
    const method = new Linear().forward as unknown as { lower(t: Tensor): unknown };
    expect(codeOf(() => method.lower(x))).toBe('invalid_argument');
    const context = { kind: 'field', name: 'w', addInitializer: () => {} };
    expect(codeOf(() => compile((() => {}) as never, context as never))).toBe('invalid_argument');
  });

  it('belongs to plain functions that use this, too', () => {
    const model = {
      w: tensor([3]),
      run: compile(function (this: { w: Tensor }, t: Tensor) {
        return t.mul(this.w);
      }),
    };
    expect(model.run(tensor([2])).itemSync()).toBe(6);
    model.w = tensor([5]);
    expect(model.run(tensor([2])).itemSync()).toBe(10);
    const library = { twice: compile((t: Tensor) => t.mul(2)), unrelated: new Map() };
    expect(library.twice(tensor([2])).itemSync()).toBe(4);
  });
});

describe('experimentalDecorators', () => {
  it('work the same', () => {
    const source = `
      class Model {
        w = tensor([2]);
        @compile forward(t) { return t.mul(this.w); }
        @compile({ name: 'old_update' }) update(t) { this.w = this.w.add(t); }
      }
      return new Model();`;
    const { code } = transformSync(`function make(compile, tensor) { ${source} } make;`, {
      loader: 'ts',
      tsconfigRaw: { compilerOptions: { experimentalDecorators: true, useDefineForClassFields: true } },
    });
    const make = new Function(`${code}; return make;`)() as (
      c: typeof compile,
      t: typeof tensor,
    ) => {
      w: Tensor;
      forward(t: Tensor): Tensor;
      update(t: Tensor): void;
    };
    const model = make(compile, tensor);
    expect(model.forward(tensor([3])).itemSync()).toBe(6);
    model.update(tensor([5]));
    expect(model.w.itemSync()).toBe(7);
    expect(model.forward(tensor([3])).itemSync()).toBe(21);
    expect(code).toMatch(/__decorateClass/);
  });
});

describe('registered classes as receivers', () => {
  it('are visited like any other', () => {
    class Pair {
      a: Tensor = tensor([1]);
      @compile
      grow(): Tensor {
        this.a = this.a.mul(2);
        return this.a;
      }
    }
    tree.register(Pair);
    const pair = new Pair();
    expect([1, 2].map(() => pair.grow().itemSync())).toEqual([2, 4]);
  });
});
