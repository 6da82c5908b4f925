"""The rows in JAX, on XLA's CPU backend."""

import math

import jax
import jax.numpy as jnp
import numpy
from jax import lax, nn

from host import Absent, Program, blocks_of, interpret, leaders, padding_of

epsilon = 1e-5

unary = {
    "abs": jnp.abs,
    "erf": lax.erf,
    "exp": jnp.exp,
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "relu": nn.relu,
    "sigmoid": nn.sigmoid,
    "silu": nn.silu,
    "sin": jnp.sin,
    "sqrt": jnp.sqrt,
    "tanh": jnp.tanh,
}


def convolve(x, w, stride, pads, groups=1):
    return lax.conv_general_dilated(x, w, (stride, stride), (pads, pads), feature_group_count=groups)


def layer_norm(x, weight, bias):
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt((centred * centred).mean(-1, keepdims=True) + epsilon) * weight + bias


def rms_norm(x, weight):
    return x * lax.rsqrt((x * x).mean(-1, keepdims=True) + epsilon) * weight


def cross_entropy(logits, labels):
    return -jnp.take_along_axis(nn.log_softmax(logits), labels[:, None], 1)[:, 0]


def mlp_loss(layers, x, labels):
    first_bias, first, second_bias, second = layers
    return cross_entropy(nn.relu(x @ first + first_bias) @ second + second_bias, labels).mean()


def mlp_step(*args):
    layers = list(args[:4])
    loss, gradients = jax.value_and_grad(mlp_loss)(layers, *args[4:])
    return [loss] + [p - 0.1 * g for p, g in zip(layers, gradients)]


def resnet50(names):
    def call(*args):
        inputs = dict(zip(names, args))

        def conv_norm(x, path, pad, stride):
            x = convolve(x, inputs[f"{path}.kernel"], stride, (pad, pad))
            parts = ("mean", "variance", "weight", "bias")
            mean, variance, weight, bias = [inputs[f"{path}.norm.{part}"][:, None, None] for part in parts]
            return (x - mean) * lax.rsqrt(variance + epsilon) * weight + bias

        x = nn.relu(conv_norm(inputs["1"], "0.stem", 3, 2))
        window = (1, 1, 3, 3), (1, 1, 2, 2), ((0, 0), (0, 0), (1, 1), (1, 1))
        x = lax.reduce_window(x, -jnp.inf, lax.max, *window)
        for path, stride in blocks_of(inputs):
            narrow = nn.relu(conv_norm(x, f"{path}.reduce", 0, 1))
            wide = conv_norm(nn.relu(conv_norm(narrow, f"{path}.spatial", 1, stride)), f"{path}.expand", 0, 1)
            beside = conv_norm(x, f"{path}.shortcut", 0, stride) if f"{path}.shortcut.kernel" in inputs else x
            x = nn.relu(wide + beside)
        return x.mean((2, 3)) @ inputs["0.head.weight"] + inputs["0.head.bias"]

    return call


def gpt_block(work, names):
    time, width, heads = work["time"], work["width"], work["heads"]
    size = width // heads

    def call(*args):
        inputs = dict(zip(names, args))

        def dense(x, path):
            return x @ inputs[f"0.{path}.weight"] + inputs[f"0.{path}.bias"]

        def norm(x, path):
            return layer_norm(x, inputs[f"0.{path}.weight"], inputs[f"0.{path}.bias"])

        x = inputs["1"]
        parts = jnp.split(dense(norm(x, "attentionNorm"), "qkv"), 3, -1)
        q, k, v = [part.reshape(1, time, heads, size).transpose(0, 2, 1, 3) for part in parts]
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(size)
        seen = jnp.tril(jnp.ones((time, time), bool))
        mixed = nn.softmax(jnp.where(seen, scores, -1e9)) @ v
        attended = x + dense(mixed.transpose(0, 2, 1, 3).reshape(1, time, width), "out")
        return attended + dense(unary["gelu"](dense(norm(attended, "mlpNorm"), "up")), "down")

    return call


def function_of(work, names):
    kind = work["kind"]
    table = {
        "matmul": lambda: jnp.matmul,
        "int8Matmul": lambda: lambda a, b: jnp.matmul(a, b, preferred_element_type=jnp.int32),
        "convolution": lambda: lambda x, w: convolve(x, w, work["stride"], padding_of(work), work["groups"]),
        "softmax": lambda: nn.softmax,
        "layerNorm": lambda: layer_norm,
        "rmsNorm": lambda: rms_norm,
        "crossEntropy": lambda: cross_entropy,
        "transpose": lambda: lambda x: x.T + 1,
        "sumRows": lambda: lambda x: x.sum(1),
        "sumColumns": lambda: lambda x: x.sum(0),
        "sort": lambda: jnp.sort,
        "topk": lambda: lambda x: lax.top_k(x, leaders)[0],
        "elementwise": lambda: lambda x, y=None: interpret(work["expression"], {"x": x, "y": y}, unary),
        "mlpStep": lambda: mlp_step,
        "resnet50": lambda: resnet50(names),
        "gptBlock": lambda: gpt_block(work, names),
        "inTurn": lambda: lambda *args: mlp_loss(args[:4], *args[4:]),
        "tiny": lambda: lambda a, b: a * b + a,
    }
    if kind not in table:
        raise Absent("no such operation")
    return table[kind]()


def start(_mode, _threads):
    def build(work, arrays):
        call = jax.jit(function_of(work, list(arrays)))
        inputs = [jnp.asarray(array) for array in arrays.values()]
        return Program(
            lambda: jax.block_until_ready(call(*inputs)),
            lambda results: [numpy.asarray(r) for r in (results if isinstance(results, list) else [results])],
        )

    return f"jax {jax.__version__}", build
