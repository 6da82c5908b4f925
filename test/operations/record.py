"""Records what NumPy and JAX give for each operation, as the expectations of recorded.test.ts.

    python3 -m venv /tmp/jax && /tmp/jax/bin/pip install jax && /tmp/jax/bin/python test/operations/record.py

writes recorded.jsonl beside this file: one case a line, with inputs, further arguments, expected results and, where
`grad` is asked for, the gradient of the sum of the first result with respect to the float inputs. Floats are computed
in double precision. Made with JAX 0.10.2 and NumPy 2.
"""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

cases = []
inf, nan = float("inf"), float("nan")


def encode_number(value):
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, (bool, int)):
        return int(value)
    if value != value:
        return "nan"
    if value in (inf, -inf):
        return "inf" if value > 0 else "-inf"
    if value == 0 and np.signbit(value):
        return "-0"
    return float("%.12g" % value)


def encode(array):
    array = np.asarray(array)
    names = {"float64": "float32", "int64": "int32"}
    name = names.get(array.dtype.name, array.dtype.name)
    return {"dtype": name, "shape": list(array.shape), "data": [encode_number(v) for v in array.reshape(-1)]}


def case(op, inputs, expected, args=(), grad=None):
    """`args` follow the inputs; `expected` is an array or a list of them; `grad` a function of the inputs."""
    inputs = [np.asarray(x) for x in inputs]
    expected = expected if isinstance(expected, list) else [expected]
    entry = {"op": op, "inputs": [encode(x) for x in inputs], "args": list(args), "expected": [encode(x) for x in expected]}
    if grad is not None:
        wrt = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]
        total = lambda *xs: jnp.sum(grad(*xs))
        entry["gradients"] = [encode(g) for g in jax.grad(total, argnums=wrt)(*[jnp.asarray(x) for x in inputs])]
    cases.append(entry)


def both(op, fn, inputs, args=()):
    """A smooth operation: value and gradient."""
    case(op, inputs, fn(*[jnp.asarray(x) for x in inputs]), args, grad=fn)


random = np.random.default_rng(7)
floats = lambda *shape: np.round(random.normal(size=shape) * 2, 3)
ints = lambda *shape, low=-9, high=10: random.integers(low, high, size=shape).astype(np.int32)

# Elementwise, one operand.

special = np.array([nan, inf, -inf, -0.0, 0.0, 1e-30, 1e-6, -1e-6, 0.3, -0.3, 0.5, -0.5, 1.0, -1.0, 1.5, -1.5, 2.5, -2.5, 3.5, 10.25, -10.25, 60.0, -60.0, 1e6, -1e6, 2e30])
points = np.array([-60.0, -3.5, -1.25, -0.75, -1e-3, 0.0, 1e-3, 0.25, 0.75, 1.25, 3.5, 60.0])
unary = {
    "negative": jnp.negative, "abs": jnp.abs, "sign": jnp.sign, "floor": jnp.floor, "ceil": jnp.ceil, "round": jnp.round,
    "trunc": jnp.trunc, "square": jnp.square, "sqrt": jnp.sqrt, "rsqrt": jax.lax.rsqrt, "reciprocal": lambda x: 1 / x,
    "exp": jnp.exp, "exp2": jnp.exp2, "expm1": jnp.expm1, "log": jnp.log, "log1p": jnp.log1p, "log2": jnp.log2,
    "log10": jnp.log10, "erf": jax.scipy.special.erf, "sin": jnp.sin, "cos": jnp.cos, "tan": jnp.tan, "asin": jnp.arcsin,
    "acos": jnp.arccos, "atan": jnp.arctan, "tanh": jnp.tanh, "sinh": jnp.sinh, "cosh": jnp.cosh, "asinh": jnp.arcsinh,
    "acosh": jnp.arccosh, "atanh": jnp.arctanh, "relu": jax.nn.relu, "relu6": jax.nn.relu6, "sigmoid": jax.nn.sigmoid,
    "logSigmoid": jax.nn.log_sigmoid, "silu": jax.nn.silu, "softplus": jax.nn.softplus, "softsign": jax.nn.soft_sign,
    "hardtanh": jax.nn.hard_tanh, "hardsigmoid": jax.nn.hard_sigmoid, "hardswish": jax.nn.hard_silu, "elu": jax.nn.elu,
    "selu": jax.nn.selu, "mish": jax.nn.mish, "leakyRelu": jax.nn.leaky_relu,
}
finite_only = {"silu", "hardswish", "mish", "softsign"}  # inf - inf or 0 * inf there
for name, fn in unary.items():
    x = special[np.isfinite(special)] if name in finite_only else special
    if name in ("sin", "cos", "tan"):
        x = x[(np.abs(x) < 1e29) | ~np.isfinite(x)]
    case(name, [x], fn(jnp.asarray(x)))
    gradient = np.asarray(jax.vmap(jax.grad(fn))(jnp.asarray(points)))
    keep = points[np.isfinite(gradient)]
    if name == "abs":
        keep = keep[keep != 0]  # versions of JAX have 0 or 1 there
    case(name, [keep], fn(jnp.asarray(keep)), grad=fn)
both("leakyRelu", lambda x: jax.nn.leaky_relu(x, 0.2), [points], [{"negativeSlope": 0.2}])
both("elu", lambda x: jax.nn.elu(x, 0.5), [points], [{"alpha": 0.5}])
both("gelu", lambda x: jax.nn.gelu(x, approximate=False), [points])
both("gelu", lambda x: jax.nn.gelu(x, approximate=True), [points], [{"approximate": "tanh"}])
for name, fn in {"isnan": jnp.isnan, "isfinite": jnp.isfinite, "isinf": jnp.isinf}.items():
    case(name, [special], fn(special))
    case(name, [np.array([1, 2], np.int32)], fn(np.array([1, 2], np.int32)))
whole = np.array([-2147483648, -7, -1, 0, 1, 7, 2147483647], np.int32)
for name, fn in {"negative": np.negative, "abs": np.abs, "sign": np.sign, "square": np.square, "floor": np.floor, "round": np.round, "bitwiseInvert": np.invert}.items():
    case(name, [whole], fn(whole).astype(np.int32))
case("exp", [np.array([0, 1, -1], np.int32)], np.exp([0.0, 1, -1]))
case("sqrt", [np.array([True, False])], np.array([1.0, 0.0]))
case("abs", [np.array([0, 5, 4294967295], np.uint32)], np.array([0, 5, 4294967295], np.uint32))
case("logicalNot", [np.array([0.0, 1.5, nan])], np.array([True, False, False]))

# Elementwise, two operands: every pair of a grid, as a broadcast of a column with a row.

grid = np.array([nan, inf, -inf, -0.0, 0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -3.0, 7.5, -7.25])
column = grid.reshape(-1, 1)
binary = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "maximum": np.maximum,
    "minimum": np.minimum, "pow": np.power, "atan2": np.arctan2, "fmod": np.fmod, "equal": np.equal,
    "notEqual": np.not_equal, "less": np.less, "lessEqual": np.less_equal, "greater": np.greater,
    "greaterEqual": np.greater_equal, "logicalAnd": np.logical_and, "logicalOr": np.logical_or,
    "logicalXor": np.logical_xor, "logaddexp": np.logaddexp,
}
with np.errstate(all="ignore"):
    for name, fn in binary.items():
        case(name, [column, grid], fn(column, grid))
    for name, fn in {"remainder": jnp.remainder, "floorDivide": jnp.floor_divide}.items():
        case(name, [column, grid], fn(column, grid))
    numbers = np.array([-8, -7, -1, 1, 2, 3, 7, 2147483647], np.int32)
    for name, fn in {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "floorDivide": np.floor_divide, "remainder": np.remainder, "fmod": np.fmod, "maximum": np.maximum, "minimum": np.minimum, "bitwiseAnd": np.bitwise_and, "bitwiseOr": np.bitwise_or, "bitwiseXor": np.bitwise_xor, "less": np.less, "divide": np.divide}.items():
        case(name, [numbers.reshape(-1, 1), numbers], fn(numbers.reshape(-1, 1), numbers))
    exponents = np.array([0, 1, 2, 5], np.int32)
    case("pow", [numbers.reshape(-1, 1), exponents], np.power(numbers.reshape(-1, 1), exponents))
    shifts = np.array([0, 1, 5, 31], np.int32)
    case("bitwiseLeftShift", [numbers.reshape(-1, 1), shifts], np.left_shift(numbers.reshape(-1, 1), shifts))
    case("bitwiseRightShift", [numbers.reshape(-1, 1), shifts], np.right_shift(numbers.reshape(-1, 1), shifts))
    unsigned = np.array([1, 5, 4294967295], np.uint32)
    case("bitwiseRightShift", [unsigned, np.array([1, 2, 31], np.uint32)], np.right_shift(unsigned, np.array([1, 2, 31], np.uint32)))
    case("remainder", [unsigned, np.array([3, 3, 7], np.uint32)], np.remainder(unsigned, np.array([3, 3, 7], np.uint32)))
near = np.array([1.0, 1.0, 1.0, inf, inf, nan, 0.0, -0.0])
far = np.array([1.0, 1.000001, 1.1, inf, -inf, nan, 1e-9, 0.0])
case("isclose", [near, far], np.isclose(near, far))
case("isclose", [near, far], np.isclose(near, far, 0, 0.2, True), [{"rtol": 0, "atol": 0.2, "equalNan": True}])
bools = np.array([True, False])
for name, fn in {"add": np.add, "multiply": np.multiply, "maximum": np.maximum, "minimum": np.minimum, "bitwiseXor": np.bitwise_xor, "less": np.less}.items():
    case(name, [bools.reshape(2, 1), bools], fn(bools.reshape(2, 1), bools))
ties_a, ties_b = np.array([1.0, 2.0, 3.0, -1.0, 0.0]), np.array([1.0, 3.0, 2.0, -1.0, 0.0])
for name, fn in {"maximum": jnp.maximum, "minimum": jnp.minimum, "add": jnp.add, "subtract": jnp.subtract, "multiply": jnp.multiply, "logaddexp": jnp.logaddexp}.items():
    both(name, fn, [ties_a, ties_b])
    both(name, fn, [floats(3, 1), floats(1, 4)])
both("divide", jnp.divide, [floats(2, 3), floats(3) + 5])
both("pow", jnp.power, [np.array([0.5, 2.0, 3.0]), np.array([2.0, -1.5, 0.0])])
for n in (0, 1, 2, 3, 7, 16, -1, -3):
    both("pow", lambda x, n=n: jax.lax.integer_pow(x, n), [np.array([-2.0, -0.5, 1.5])], [n])
both("atan2", jnp.arctan2, [np.array([0.5, -2.0, 3.0]), np.array([2.0, -1.5, 0.5])])
both("remainder", jnp.remainder, [np.array([5.5, -5.5, 7.0]), np.array([2.0, 2.0, -3.0])])
both("clip", lambda x: jnp.clip(x, -1, 2), [np.array([-3.0, -1.0, 0.0, 2.0, 5.0])], [-1, 2])
both("clip", lambda x: jnp.clip(x, None, 0.5), [floats(2, 3)], [None, 0.5])
both("lerp", lambda x, y, w: x + w * (y - x), [floats(3), floats(3), np.array(0.25)])
both("logaddexp", jnp.logaddexp, [np.array([inf, -inf, -inf]), np.array([inf, 0.0, 2.0])])
condition = np.array([[True], [False]])
x, y = floats(3), floats(2, 3)
case("where", [condition, x, y], np.where(condition, x, y), grad=lambda c, a, b: jnp.where(c, a, b))
case("astype", [np.array([nan, inf, -inf, 1.9, -1.9, 3e9, -3e9])], np.array([0, 2147483647, -2147483648, 1, -1, 2147483647, -2147483648], np.int32), ["int32"])
case("astype", [np.array([0.0, nan, -0.0, 0.5])], np.array([False, True, False, True]), ["bool"])
case("astype", [np.array([True, False])], np.array([1.0, 0.0]), ["float32"])

# Reductions.

block = floats(2, 3, 4)
axis_arguments = [(), (0,), (-1,), ([0, 2],), ([],), (None,)]
reductions = {"sum": jnp.sum, "prod": jnp.prod, "mean": jnp.mean, "max": jnp.max, "min": jnp.min, "variance": jnp.var, "std": jnp.std, "logsumexp": jax.scipy.special.logsumexp}
for name, fn in reductions.items():
    for given in axis_arguments:
        axis = None if not given or given[0] is None else tuple(np.atleast_1d(given[0]).astype(int).tolist())
        if axis == () and name == "std":
            continue  # the root of 0 has no gradient
        both(name, lambda x, fn=fn, axis=axis: fn(x, axis=axis), [block], list(given))
    both(name, lambda x, fn=fn: fn(x, axis=1, keepdims=True), [block], [1, {"keepdims": True}])
both("variance", lambda x: jnp.var(x, axis=0, ddof=1), [block], [0, {"correction": 1}])
tied = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
both("max", lambda x: jnp.max(x, axis=1), [tied], [1])
both("min", lambda x: jnp.min(x, axis=1), [tied], [1])
odd = np.array([[nan, 1.0, 2.0], [inf, -inf, 0.0], [-inf, -inf, -inf], [inf, 1.0, inf]])
with np.errstate(all="ignore"):
    for name, fn in {"sum": np.sum, "max": np.max, "min": np.min, "mean": np.mean, "prod": np.prod}.items():
        case(name, [odd], fn(odd, axis=1), [1])
    case("logsumexp", [odd], jax.scipy.special.logsumexp(odd, axis=1), [1])
    case("mean", [np.zeros((2, 0))], np.array([nan, nan]), [1])
case("logsumexp", [np.array([1000.0, 1000.0]), ], np.array(1000 + np.log(2)))
for name, fn in {"sum": np.sum, "prod": np.prod, "any": np.any, "all": np.all}.items():
    case(name, [np.zeros((2, 0, 3))], fn(np.zeros((2, 0, 3)), axis=1), [1])
    case(name, [np.array(2.5)], fn(np.array(2.5)))
counts = ints(3, 4)
for name, fn in {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "mean": np.mean, "any": np.any, "all": np.all}.items():
    case(name, [counts], np.asarray(fn(counts, axis=0)).astype(np.int32) if name not in ("mean", "any", "all") else fn(counts, axis=0), [0])
flags = np.array([[True, False], [True, True]])
for name, fn in {"sum": np.sum, "any": np.any, "all": np.all, "max": np.max, "min": np.min, "mean": np.mean}.items():
    case(name, [flags], fn(flags, axis=1), [1])
case("countNonzero", [np.array([[0.0, 1.0, nan], [-0.0, 0.0, 2.0]])], np.array([2, 1], np.int32), [1])
for name, fn in {"argmax": np.argmax, "argmin": np.argmin}.items():
    case(name, [tied], fn(tied, axis=1).astype(np.int32), [1])
    case(name, [block], fn(block).astype(np.int32))
    case(name, [block], fn(block, axis=-2, keepdims=True).astype(np.int32), [-2, {"keepdims": True}])
    case(name, [np.array([1.0, nan, 3.0, nan])], np.int32(1))
    case(name, [counts], fn(counts, axis=1).astype(np.int32), [1])
for order in (2, 1, 3, inf, -inf, 0):
    name = {inf: "inf", -inf: "-inf"}.get(order, order)
    case("vectorNorm", [block], np.linalg.norm(block, ord=order, axis=1), [1, {"ord": name}])
both("vectorNorm", lambda x: jnp.sqrt(jnp.sum(x * x, axis=-1)), [block], [-1])
both("softmax", lambda x: jax.nn.softmax(x, axis=1) * 1.0, [block], [1])
both("softmax", lambda x: jax.nn.softmax(x, axis=-1), [np.array([[1000.0, 1001.0], [-1000.0, -1000.0]])])
both("logSoftmax", lambda x: jax.nn.log_softmax(x, axis=-1), [block])
both("logSoftmax", lambda x: jax.nn.log_softmax(x, axis=0), [np.array([[-1e4], [1e4]])], [0])
case("softmax", [np.array([[-inf, 0.0, 1.0]])], jax.nn.softmax(np.array([[-inf, 0.0, 1.0]])))
both("cumulativeSum", lambda x: jnp.cumsum(x, axis=1) * 1.0, [floats(2, 5)], [1])
both("cumulativeProd", lambda x: jnp.cumprod(x, axis=0), [floats(7, 2)], [0])
case("cumulativeSum", [np.arange(9, dtype=np.int32)], np.cumsum(np.arange(9)).astype(np.int32))
case("cumulativeSum", [np.zeros((2, 0))], np.zeros((2, 0)), [1])

# Shapes.

cube = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
case("reshape", [cube], cube.reshape(4, -1), [[4, -1]])
case("reshape", [cube], cube.reshape(24), [[24]])
case("reshape", [np.zeros((0, 3))], np.zeros((3, 0)), [[3, -1]])
case("reshape", [np.array([5.0])], np.array(5.0), [[]])
case("flatten", [cube], cube.reshape(-1))
case("flatten", [cube], cube.reshape(2, 12), [1])
case("flatten", [cube], cube.reshape(6, 4), [0, -2])
case("permuteDims", [cube], cube.transpose(2, 0, 1), [[2, 0, 1]])
case("permuteDims", [cube], cube.transpose(2, 0, 1), [[-1, 0, 1]])
case("transpose", [cube], cube.transpose())
case("matrixTranspose", [cube], cube.swapaxes(1, 2))
case("swapaxes", [cube], cube.swapaxes(0, -1), [0, -1])
case("moveaxis", [cube], np.moveaxis(cube, 0, -1), [0, -1])
case("moveaxis", [cube], np.moveaxis(cube, [0, 1], [-1, 0]), [[0, 1], [-1, 0]])
case("expandDims", [cube], np.expand_dims(cube, (0, -1)), [[0, -1]])
case("expandDims", [np.array(3.0)], np.array([3.0]))
case("squeeze", [np.ones((1, 3, 1))], np.ones(3))
case("squeeze", [np.ones((1, 3, 1))], np.ones((1, 3)), [-1])
case("broadcastTo", [np.array([[1.0], [2.0]])], np.broadcast_to(np.array([[1.0], [2.0]]), (3, 2, 4)), [[3, 2, 4]])
case("tile", [cube[0]], np.tile(cube[0], (2, 1, 3)), [[2, 1, 3]])
case("tile", [cube], np.tile(cube, 2), [2])
case("tile", [np.array(5.0)], np.tile(5.0, 3), [[3]])
case("repeat", [cube], np.repeat(cube, 2, axis=1), [2, 1])
case("repeat", [cube[0]], np.repeat(cube[0], 3), [3])
for k in (-1, 0, 2):
    case("tril", [cube], np.tril(cube, k), [k])
    case("triu", [cube], np.triu(cube, k), [k])
    case("diagonal", [cube], np.diagonal(cube, k, 1, 2), [k])
case("diagonal", [cube], np.diagonal(cube, 9, 1, 2), [9])
case("trace", [cube], np.trace(cube, axis1=1, axis2=2).astype(np.int32))
both("tril", jnp.tril, [floats(3, 3)])
both("tile", lambda x: jnp.tile(x, (2, 3)), [floats(2, 2)], [[2, 3]])
both("repeat", lambda x: jnp.repeat(x, 3, axis=0), [floats(2, 2)], [3, 0])

def at(*parts):
    to_python = lambda p: slice(None) if p is None else p if isinstance(p, int) else slice(*(list(p) if len(p) > 1 else [p[0], None]))
    case("slice", [cube], cube[tuple(to_python(p) for p in parts)], list(parts))

for parts in ([[1, None]], [None, [1, -1]], [None, None, [None, None, 2]], [0], [-1, None, 2], [[0, 99], [-99, 2]], [None, [2, 1]],
              [None, None, [None, None, -1]], [None, None, [3, 0, -2]], [None, None, [-1, -4, -1]], [None, [None, None, -2], [1, None, 3]], [[5, 9]], [1, 2, 3]):
    at(*parts)
both("slice", lambda x: x[:, ::-2] * 1.0, [floats(2, 5)], [None, [None, None, -2]])
for axis in ([], [0], [[0, -1]]):
    case("flip", [cube], np.flip(cube, *([tuple(np.atleast_1d(axis[0]).tolist())] if axis else [])), axis)
case("roll", [cube], np.roll(cube, 5), [5])
case("roll", [cube], np.roll(cube, -1, 1), [-1, 1])
case("roll", [cube], np.roll(cube, (1, 6), (0, 2)), [[1, 6], [0, 2]])
case("pad", [cube[0]], np.pad(cube[0], 1), [1])
case("pad", [floats(2, 2) * 0 + 1], np.pad(np.ones((2, 2)), ((0, 1), (2, 0)), constant_values=9), [[[0, 1], [2, 0]], {"value": 9}])
case("pad", [cube[0]], np.pad(cube[0], ((1, 2), (1, 2))), [[1, 2]])
case("pad", [cube[0]], cube[0][1:, :-1], [[[-1, 0], [0, -1]]])
case("split", [cube], np.split(cube, 3, axis=1), [3, 1])
case("split", [cube], np.split(cube, [1, 3], axis=2), [[1, 3], 2])
case("unstack", [cube], [cube[:, i] for i in range(3)], [1])
case("concat", [cube, cube[:, :1]], np.concatenate([cube, cube[:, :1]], 1), [1])
case("concat", [np.array([1, 2], np.int32), np.array([0.5])], np.array([1, 2, 0.5]))
case("stack", [cube, cube + 1], np.stack([cube, cube + 1], -1), [-1])
both("concat", lambda a, b: jnp.concatenate([a, b], 0), [floats(2, 2), floats(1, 2)])

# Indexing.

table = floats(5, 3)
rows = np.array([[4, 0], [-1, 2]], np.int32)
case("take", [table, rows], jnp.take(table, rows, axis=0), [0], grad=lambda t, i: jnp.take(t, i, axis=0))
case("take", [table, np.array([5, -6, 1], np.int32)], jnp.take(table, np.array([5, -6, 1]), axis=0))
case("take", [table, np.array([5, -6, 1], np.int32)], table[[4, 0, 1]], [0, {"mode": "clamp"}])
case("take", [table, np.array([2, 0], np.int32)], table[:, [2, 0]], [1])
case("take", [cube, np.array(1, np.int32)], cube[:, 1], [1])
case("take", [cube, np.array([1, 7], np.int32)], np.stack([cube[:, 1], np.full((2, 4), -2147483648)], 1).astype(np.int32), [1])
along = np.array([[0, 2], [-1, 1], [0, 0], [1, 1], [2, -3]], np.int32)
case("takeAlongAxis", [table, along], np.take_along_axis(table, along, 1), [], grad=lambda t, i: jnp.take_along_axis(t, i, 1))
case("takeAlongAxis", [table, np.array([[3, 0, 1]], np.int32)], np.take_along_axis(table, np.array([[3, 0, 1]]), 0), [0])
case("takeAlongAxis", [table, np.array([[7, 0, 1]], np.int32)], jnp.take_along_axis(table, np.array([[7, 0, 1]]), 0), [0])
updates = floats(2, 2, 3)
case("indexAdd", [table, rows, updates], jnp.asarray(table).at[rows].add(updates), [], grad=lambda t, i, u: t.at[i].add(u))
case("indexAdd", [table, np.array([9, 1, 1], np.int32), np.array([[1.0], [2.0], [4.0]])], jnp.asarray(table).at[np.array([9, 1, 1])].add(np.array([[1.0], [2.0], [4.0]]), mode="drop"))
scattered = np.zeros((5, 3))
for (i, j), value in np.ndenumerate(along):
    scattered[i, value] += j + 1.0
case("scatterAdd", [np.zeros((5, 3)), along, np.tile([1.0, 2.0], (5, 1))], scattered)
case("oneHot", [np.array([0, 2, 5, -1], np.int32)], jax.nn.one_hot(np.array([0, 2, 5, -1]), 3), [3])
case("oneHot", [np.array([[0], [1]], np.int32)], jax.nn.one_hot(np.array([[0], [1]]), 2, axis=0), [2, {"axis": 0}])
case("embedding", [rows, table], jnp.take(table, rows, axis=0))

# Products.

shapes = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)),
          ((5, 1, 2, 3), (4, 3, 2)), ((3,), (5, 3, 2)), ((5, 2, 3), (3,)), ((2, 0), (0, 3)), ((0, 2), (2, 3)), ((6, 1, 2, 3), (1, 4, 3, 1))]
for left, right in shapes:
    both("matmul", jnp.matmul, [floats(*left), floats(*right)])
a, b = ints(2, 3), ints(3, 2)
case("matmul", [a, b], (a @ b).astype(np.int32))
both("dot", jnp.dot, [floats(2, 3), floats(4, 3, 2)])
both("outer", lambda x, y: x[:, None] * y[None, :], [floats(3), floats(2)])
both("vecdot", lambda x, y: jnp.sum(x * y, axis=0), [floats(3, 2), floats(3, 2)], [0])
both("tensordot", lambda x, y: jnp.tensordot(x, y, 2), [floats(2, 3, 4), floats(3, 4, 2)])
both("tensordot", lambda x, y: jnp.tensordot(x, y, [[0], [1]]), [floats(2, 3), floats(4, 2)], [[[0], [1]]])
cases_einsum = [("ij,jk->ik", (2, 3), (3, 4)), ("bij,bjk->bik", (5, 2, 3), (5, 3, 2)), ("ij,ij->", (2, 3), (2, 3)), ("ij->ji", (2, 3)), ("ii->i", (3, 3)), ("ii", (3, 3)),
                ("ij,kj->ki", (2, 3), (4, 3)), ("i,j", (2,), (3,)), ("ijk->j", (2, 3, 4)), ("ab,bc,cd->ad", (2, 3), (3, 2), (2, 4)), ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)), ("ij,i->j", (2, 3), (2,)), ("iij,j->i", (2, 2, 3), (3,))]
for formula, *operands in cases_einsum:
    arrays = [floats(*shape) for shape in operands]
    entry = lambda *xs, formula=formula: jnp.einsum(formula, *xs)
    both("einsum", entry, arrays, [formula])

# Convolution and pooling.

def conv(x, w, strides, padding, dilation, groups, spatial):
    letters = "DHW"[3 - spatial:]
    numbers = ("NC" + letters, "OI" + letters, "NC" + letters)
    return jax.lax.conv_general_dilated(x, w, strides, padding, rhs_dilation=dilation, feature_group_count=groups, dimension_numbers=numbers)

both("conv1d", lambda x, w: conv(x, w, [1], [(0, 0)], [1], 1, 1), [floats(2, 3, 8), floats(4, 3, 3)])
both("conv2d", lambda x, w: conv(x, w, [2, 1], [(1, 1), (2, 2)], [1, 2], 1, 2), [floats(2, 2, 6, 7), floats(3, 2, 3, 2)], [None, {"stride": [2, 1], "padding": [1, 2], "dilation": [1, 2]}])
both("conv2d", lambda x, w: conv(x, w, [2, 2], "SAME", [1, 1], 2, 2), [floats(1, 4, 7, 6), floats(2, 2, 3, 3)], [None, {"stride": 2, "padding": "same", "groups": 2}])
both("conv2d", lambda x, w: conv(x, w, [1, 1], "VALID", [1, 1], 4, 2), [floats(1, 4, 5, 5), floats(4, 1, 3, 3)], [None, {"padding": "valid", "groups": 4}])
both("conv3d", lambda x, w: conv(x, w, [1, 1, 1], [(1, 1), (0, 1), (0, 0)], [1, 1, 1], 1, 3), [floats(1, 2, 3, 4, 3), floats(2, 2, 2, 2, 2)], [None, {"padding": [[1, 1], [0, 1], [0, 0]]}])
both("conv2d", lambda x, w, b: conv(x, w, [1, 1], "SAME", [1, 1], 1, 2) + b[:, None, None], [floats(1, 2, 4, 4), floats(3, 2, 3, 3), floats(3)], [{"padding": "same"}])
image = floats(2, 5, 4, 3)
kernel = floats(2, 3, 2, 2)
case("conv2d", [image, kernel], jnp.transpose(conv(jnp.transpose(image, (0, 3, 1, 2)), kernel, [1, 1], "VALID", [1, 1], 1, 2), (0, 2, 3, 1)), [None, {"layout": "NHWC"}])
case("conv2d", [image[0].transpose(2, 0, 1), kernel], conv(image[:1].transpose(0, 3, 1, 2), kernel, [1, 1], "VALID", [1, 1], 1, 2)[0])

def transposed(x, w, output, strides, padding, dilation, groups, spatial):
    """The transpose of a convolution is its pullback."""
    forward = lambda y: conv(y, w, strides, padding, dilation, groups, spatial)
    return jax.vjp(forward, jnp.zeros(output))[1](x)[0]

x, w = floats(2, 3, 4), floats(3, 2, 3)
case("convTranspose1d", [x, w], transposed(x, w, (2, 2, 9), [2], [(0, 0)], [1], 1, 1), [None, {"stride": 2}])
case("convTranspose1d", [x, w], transposed(x, w, (2, 2, 7), [2], [(1, 1)], [1], 1, 1), [None, {"stride": 2, "padding": 1}])
x, w = floats(1, 4, 3, 3), floats(4, 2, 3, 2)
case("convTranspose2d", [x, w], transposed(x, w, (1, 4, 7, 6), [2, 2], [(0, 0), (0, 0)], [1, 1], 2, 2), [None, {"stride": 2, "groups": 2}])

def window(x, kind, size, strides, padding, dilation=None):
    start, fn = (-jnp.inf, jax.lax.max) if kind == "max" else (0.0, jax.lax.add)
    lead = (1, 1)
    return jax.lax.reduce_window(x, start, fn, lead + tuple(size), lead + tuple(strides), [(0, 0), (0, 0)] + list(padding), window_dilation=lead + tuple(dilation or [1] * len(size)))

signal = floats(2, 3, 9)
both("maxPool1d", lambda x: window(x, "max", [3], [3], [(0, 0)]), [signal], [3])
case("maxPool1d", [signal], window(signal, "max", [3], [2], [(1, 1)], [2]), [3, {"stride": 2, "padding": 1, "dilation": 2}])
picture = floats(1, 2, 6, 5)
both("maxPool2d", lambda x: window(x, "max", [2, 2], [2, 2], [(0, 0), (0, 0)]), [picture], [2])
both("maxPool2d", lambda x: window(x, "max", [3, 2], [1, 2], [(1, 1), (1, 1)]), [picture], [[3, 2], {"stride": [1, 2], "padding": 1}])
both("avgPool2d", lambda x: window(x, "sum", [3, 3], [2, 2], [(1, 1), (1, 1)]) / 9, [picture], [3, {"stride": 2, "padding": 1}])
both("avgPool2d", lambda x: window(x, "sum", [3, 3], [2, 2], [(1, 1), (1, 1)]) / window(jnp.ones_like(x), "sum", [3, 3], [2, 2], [(1, 1), (1, 1)]), [picture], [3, {"stride": 2, "padding": 1, "countIncludePad": False}])
case("avgPool1d", [signal], window(signal, "sum", [2], [2], [(0, 0)]) / 2, [2])
volume = floats(1, 1, 4, 4, 2)
case("maxPool3d", [volume], window(volume, "max", [2, 2, 2], [2, 2, 2], [(0, 0)] * 3), [2])
case("maxPool2d", [picture[0]], window(picture, "max", [2, 2], [2, 2], [(0, 0), (0, 0)])[0], [2])

# Layers and losses.

def layer_norm(x, w=None, b=None, axis=-1, eps=1e-5):
    out = (x - jnp.mean(x, axis, keepdims=True)) / jnp.sqrt(jnp.var(x, axis, keepdims=True) + eps)
    return out * (1 if w is None else w) + (0 if b is None else b)

both("layerNorm", layer_norm, [floats(2, 3, 4)])
both("layerNorm", layer_norm, [floats(2, 3, 4), floats(4), floats(4)])
both("layerNorm", lambda x, w, b: layer_norm(x, w, b, (-2, -1)), [floats(2, 3, 4), floats(3, 4), floats(3, 4)])
both("layerNorm", lambda x: layer_norm(x, axis=(0, 2), eps=0.1), [floats(2, 3, 4)], [None, None, {"axis": [0, 2], "eps": 0.1}])
both("rmsNorm", lambda x, w: x / jnp.sqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-5) * w, [floats(2, 3, 4), floats(4)])
both("linear", lambda x, w, b: x @ w.T + b, [floats(2, 5, 3), floats(4, 3), floats(4)])
both("batchNorm", lambda x, m, v, w, b: (x - m[:, None]) / jnp.sqrt(v[:, None] + 1e-5) * w[:, None] + b[:, None], [floats(2, 3, 4), floats(3), floats(3) ** 2, floats(3), floats(3)])
q, k, v = floats(2, 4, 3), floats(2, 4, 3), floats(2, 4, 5)

def attention(q, k, v, causal=False):
    scores = q @ jnp.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    if causal:
        scores = jnp.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -jnp.inf)
    return jax.nn.softmax(scores, -1) @ v

both("scaledDotProductAttention", attention, [q, k, v])
both("scaledDotProductAttention", lambda q, k, v: attention(q, k, v, True), [q, k, v], [{"isCausal": True}])
p, t = floats(3, 4), floats(3, 4)
both("mseLoss", lambda x, y: jnp.mean((x - y) ** 2), [p, t])
both("mseLoss", lambda x, y: jnp.sum((x - y) ** 2), [p, t], [{"reduction": "sum"}])
both("l1Loss", lambda x, y: jnp.abs(x - y), [p, t], [{"reduction": "none"}])
both("huberLoss", lambda x, y: jnp.mean(jnp.where(jnp.abs(x - y) < 0.7, 0.5 * (x - y) ** 2, 0.7 * (jnp.abs(x - y) - 0.35))), [p, t], [{"delta": 0.7}])
targets01 = np.array([[0.0, 1.0, 0.25, 0.5]] * 3)
both("binaryCrossEntropyWithLogits", lambda x, y: jnp.mean(jax.nn.softplus(x) - x * y), [p, targets01])
both("binaryCrossEntropy", lambda x, y: -jnp.mean(y * jnp.log(x) + (1 - y) * jnp.log1p(-x)), [1 / (1 + np.exp(-p)), targets01])
labels = np.array([3, 0, 2], np.int32)
ce = lambda x, i: -jnp.take_along_axis(jax.nn.log_softmax(x, -1), i[:, None], -1)[:, 0]
case("crossEntropy", [p, labels], jnp.mean(ce(p, labels)), [], grad=lambda x, i: jnp.mean(ce(x, i)))
case("crossEntropy", [p, labels], ce(p, labels), [{"reduction": "none"}])
case("crossEntropy", [p.T, labels], jnp.sum(ce(p, labels)), [{"reduction": "sum", "axis": 0}])
case("crossEntropy", [p, labels], jnp.mean(0.8 * ce(p, labels) - 0.2 * jnp.mean(jax.nn.log_softmax(p), -1)), [{"labelSmoothing": 0.2}])
case("crossEntropy", [p, np.array([3, -100, 2], np.int32)], jnp.mean(ce(p, labels)[jnp.array([0, 2])]), [{"ignoreIndex": -100}])
case("crossEntropy", [p, np.array([3, 9, 2], np.int32)], np.where([0, 1, 0], nan, ce(p, labels)), [{"reduction": "none"}])
soft = np.abs(t) / np.abs(t).sum(-1, keepdims=True)
both("crossEntropy", lambda x, y: -jnp.mean(jnp.sum(y * jax.nn.log_softmax(x, -1), -1)), [p, soft])
case("nllLoss", [p, labels], -jnp.mean(p[np.arange(3), labels]))

# Order. JAX sorts descending by reversing, so that zeros of both signs come out in another order: none are here.

ties = np.array([[3.0, nan, 1.0, inf, 1.0, -2.0, 3.0], [0.5, 0.5, -inf, 7.0, nan, nan, 0.5]])
ordered = np.array([[4.0, -1.5, 2.0, 0.25, 8.0], [3.0, 9.0, -2.0, 5.0, 1.0]])
cube = np.arange(24.0).reshape(2, 3, 4)[:, ::-1, [2, 0, 3, 1]].copy()
for options in ({}, {"descending": True}):
    down = options.get("descending", False)
    for axis in (-1, 0):
        for x in (ties, ordered):
            case("sort", [x], jnp.sort(x, axis, descending=down), [axis, options])
            case("argsort", [x], jnp.argsort(x, axis, descending=down).astype(np.int32), [axis, options])
    case("sort", [np.array([3, -7, 0, 2147483647, -2147483648], np.int32)], jnp.sort(np.array([3, -7, 0, 2147483647, -2147483648], np.int32), descending=down), [-1, options])
    case("argsort", [np.array([3, 4294967295, 0, 7], np.uint32)], jnp.argsort(np.array([3, 4294967295, 0, 7], np.uint32), descending=down).astype(np.int32), [-1, options])
    case("sort", [np.array([True, False, True])], jnp.sort(np.array([True, False, True]), descending=down), [-1, options])
case("sort", [np.zeros((2, 0))], np.zeros((2, 0)))
case("argsort", [np.zeros((0, 3))], np.zeros((0, 3), np.int32))
case("sort", [cube], jnp.sort(cube, 1), [1])
both("sort", lambda x: jnp.sort(x, 0), [ordered], [0])
for k in (1, 3, 5):
    values, positions = jax.lax.top_k(ordered, k)
    case("topk", [ordered], [values, positions.astype(np.int32)], [k], grad=lambda x, k=k: jax.lax.top_k(x, k)[0])
    values, positions = jax.lax.top_k(ties, k)
    case("topk", [ties], [values, positions.astype(np.int32)], [k])
    case("topk", [-ordered], [-jax.lax.top_k(ordered, k)[0], jax.lax.top_k(ordered, k)[1].astype(np.int32)], [k, -1, {"largest": False}])
case("topk", [cube], [a for a in (jnp.sort(cube, 1, descending=True)[:, :2], jnp.argsort(cube, 1, descending=True)[:, :2].astype(np.int32))], [2, 1])
for axis in (None, 0, 1):
    both("median", lambda x: jnp.median(x, axis), [ordered], [axis])
    both("quantile", lambda x: jnp.quantile(x, 0.3, axis), [ordered], [0.3, axis])
    case("quantile", [ties], jnp.quantile(ties, 0.3, axis), [0.3, axis])
    case("quantile", [ordered], jnp.quantile(ordered, jnp.array([0.0, 0.5, 1.0]), axis), [[0, 0.5, 1], axis])
case("median", [ordered], jnp.median(ordered, 1, keepdims=True), [1, {"keepdims": True}])
case("median", [np.array([3, 1, 2, 9], np.int32)], jnp.median(np.array([3, 1, 2, 9], np.int32)))
case("median", [np.array([inf, 1.0, inf])], np.median([inf, 1.0, inf]))
for name, values in {"inf": [inf, 1.0, inf], "-inf": [-inf, -inf, 2.0, 3.0]}.items():
    case("quantile", [np.array(values)], jnp.quantile(np.array(values), 0.25), [0.25])

# Random numbers: single precision and 32 bits, as they are.

jax.config.update("jax_enable_x64", False)
jax.config.update("jax_threefry_partitionable", True)
streams = []


def stream(call, args, result):
    result = np.asarray(result)
    streams.append({"random": call, "args": args, "expected": encode(result)})


def raw(key):
    return np.asarray(jax.random.key_data(key)).astype(np.uint32)


for seed in (0, 1, 42, 2**31 - 1):
    stream("key", [seed], raw(jax.random.key(seed)))
key = jax.random.key(42)
stream("split", [3], raw(jax.random.split(key, 3)))
stream("split", [[2, 2]], raw(jax.random.split(key, (2, 2))))
stream("foldIn", [7], raw(jax.random.fold_in(key, 7)))
stream("bits", [[5]], jax.random.bits(key, (5,)))
stream("bits", [[2, 3]], jax.random.bits(key, (2, 3)))
stream("bits", [[]], jax.random.bits(key, ()))
stream("uniform", [[2, 3]], jax.random.uniform(key, (2, 3)))
stream("uniform", [[4], {"minval": -2, "maxval": 3}], jax.random.uniform(key, (4,), minval=-2, maxval=3))
stream("normal", [[3, 4]], jax.random.normal(key, (3, 4)))
stream("truncatedNormal", [-1, 2, [5]], jax.random.truncated_normal(key, -1, 2, (5,)))
stream("gumbel", [[4]], jax.random.gumbel(key, (4,)))
stream("exponential", [[4]], jax.random.exponential(key, (4,)))
stream("bernoulli", [0.3, [10]], jax.random.bernoulli(key, 0.3, (10,)))
for low, high in ((0, 10), (-5, 6), (0, 2147483647), (-2147483648, 2147483647), (3, 3)):
    stream("randint", [[6], low, high], jax.random.randint(key, (6,), low, high))
logits = [0.1, 2.0, -1.0, 0.5]
stream("categorical", [logits, -1, {"shape": [8]}], jax.random.categorical(key, jnp.array(logits), shape=(8,)).astype(np.int32))

out = pathlib.Path(__file__).with_name("recorded.jsonl")
out.write_text("".join(json.dumps(entry) + "\n" for entry in cases + streams))
print(f"{len(cases)} cases, {len(streams)} streams, {out.stat().st_size} bytes")
