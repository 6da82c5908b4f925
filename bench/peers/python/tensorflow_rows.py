"""The rows in TensorFlow, compiled by XLA. Images are NHWC for it."""

import math

import tensorflow as tf

from host import Absent, Program, blocks_of, interpret, leaders, padding_of

epsilon = 1e-5

unary = {
    "abs": tf.abs,
    "erf": tf.math.erf,
    "exp": tf.exp,
    "gelu": lambda x: tf.nn.gelu(x, approximate=False),
    "relu": tf.nn.relu,
    "sigmoid": tf.sigmoid,
    "silu": tf.nn.silu,
    "sin": tf.sin,
    "sqrt": tf.sqrt,
    "tanh": tf.tanh,
}


def convolve(x, w, stride, pads):
    return tf.nn.conv2d(x, w, stride, [[0, 0], list(pads), list(pads), [0, 0]])


def convolution(work):
    def call(x, w):
        if work["groups"] > 1:
            return tf.nn.depthwise_conv2d(x, w, [1, work["stride"], work["stride"], 1], work["padding"].upper())
        return convolve(x, w, work["stride"], padding_of(work))

    return call


def layer_norm(x, weight, bias):
    centred = x - tf.reduce_mean(x, -1, keepdims=True)
    return centred * tf.math.rsqrt(tf.reduce_mean(centred * centred, -1, keepdims=True) + epsilon) * weight + bias


def rms_norm(x, weight):
    return x * tf.math.rsqrt(tf.reduce_mean(x * x, -1, keepdims=True) + epsilon) * weight


def cross_entropy(logits, labels):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def mlp_loss(layers, x, labels):
    first_bias, first, second_bias, second = layers
    return tf.reduce_mean(cross_entropy(tf.nn.relu(x @ first + first_bias) @ second + second_bias, labels))


def mlp_step(*args):
    layers = list(args[:4])
    with tf.GradientTape() as tape:
        tape.watch(layers)
        loss = mlp_loss(layers, *args[4:])
    return [loss] + [p - 0.1 * g for p, g in zip(layers, tape.gradient(loss, layers))]


def resnet50(names):
    def call(*args):
        inputs = dict(zip(names, args))

        def conv_norm(x, path, pad, stride):
            x = convolve(x, inputs[f"{path}.kernel"], stride, (pad, pad))
            norm = [inputs[f"{path}.norm.{part}"] for part in ("mean", "variance", "bias", "weight")]
            return tf.nn.batch_normalization(x, *norm, epsilon)

        x = tf.nn.relu(conv_norm(inputs["1"], "0.stem", 3, 2))
        x = tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")
        for path, stride in blocks_of(inputs):
            narrow = tf.nn.relu(conv_norm(x, f"{path}.reduce", 0, 1))
            wide = conv_norm(tf.nn.relu(conv_norm(narrow, f"{path}.spatial", 1, stride)), f"{path}.expand", 0, 1)
            beside = conv_norm(x, f"{path}.shortcut", 0, stride) if f"{path}.shortcut.kernel" in inputs else x
            x = tf.nn.relu(wide + beside)
        return tf.reduce_mean(x, (1, 2)) @ inputs["0.head.weight"] + inputs["0.head.bias"]

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

        x = tf.reshape(inputs["1"], (time, width))
        parts = tf.split(dense(norm(x, "attentionNorm"), "qkv"), 3, -1)
        q, k, v = [tf.transpose(tf.reshape(part, (time, heads, size)), (1, 0, 2)) for part in parts]
        scores = tf.matmul(q, k, transpose_b=True) / math.sqrt(size)
        seen = tf.linalg.band_part(tf.ones((time, time), bool), -1, 0)
        mixed = tf.nn.softmax(tf.where(seen, scores, -1e9)) @ v
        attended = x + dense(tf.reshape(tf.transpose(mixed, (1, 0, 2)), (time, width)), "out")
        return attended + dense(unary["gelu"](dense(norm(attended, "mlpNorm"), "up")), "down")

    return call


def function_of(work, names):
    kind = work["kind"]
    table = {
        "matmul": lambda: tf.matmul,
        "int8Matmul": lambda: lambda a, b: tf.matmul(a, b, output_type=tf.int32),
        "convolution": lambda: convolution(work),
        "softmax": lambda: tf.nn.softmax,
        "layerNorm": lambda: layer_norm,
        "rmsNorm": lambda: rms_norm,
        "crossEntropy": lambda: cross_entropy,
        "transpose": lambda: lambda x: tf.transpose(x) + 1.0,
        "sumRows": lambda: lambda x: tf.reduce_sum(x, 1),
        "sumColumns": lambda: lambda x: tf.reduce_sum(x, 0),
        "sort": lambda: tf.sort,
        "topk": lambda: lambda x: tf.math.top_k(x, leaders).values,
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


def prepare_input(work, name, array):
    """Images NHWC, kernels as [height, width, in, out], those of a depthwise convolution with the channel first."""
    if array.ndim != 4 or work["kind"] not in ("convolution", "resnet50"):
        return tf.constant(array)
    if name in ("x", "1"):
        return tf.constant(array.transpose(0, 2, 3, 1))
    depthwise = work.get("groups", 1) > 1
    return tf.constant(array.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0)))


def start(_mode, threads):
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def build(work, arrays):
        call = tf.function(function_of(work, list(arrays)), jit_compile=True)
        inputs = [prepare_input(work, name, array) for name, array in arrays.items()]

        def read(results):
            values = [r.numpy() for r in (results if isinstance(results, (list, tuple)) else [results])]
            return [v.transpose(0, 3, 1, 2) if work["kind"] == "convolution" else v for v in values]

        return Program(lambda: call(*inputs), read)

    return f"tensorflow {tf.__version__}", build
