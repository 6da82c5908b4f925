"""The rows in PyTorch, eager or through torch.compile."""

import shutil

import torch
import torch.nn.functional as F

from host import Absent, Program, blocks_of, interpret, leaders, padding_of

epsilon = 1e-5

unary = {
    "abs": torch.abs,
    "erf": torch.erf,
    "exp": torch.exp,
    "gelu": F.gelu,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "sin": torch.sin,
    "sqrt": torch.sqrt,
    "tanh": torch.tanh,
}


def elementwise(work):
    return lambda x, y=None: interpret(work["expression"], {"x": x, "y": y}, unary)


def convolution(work):
    before, after = padding_of(work)

    def call(x, w):
        if before != after:
            x = F.pad(x, (before, after, before, after))
            return F.conv2d(x, w, stride=work["stride"], groups=work["groups"])
        return F.conv2d(x, w, stride=work["stride"], padding=before, groups=work["groups"])

    return call


def mlp_loss(layers, x, labels):
    first_bias, first, second_bias, second = layers
    hidden = torch.relu(torch.addmm(first_bias, x, first))
    return F.cross_entropy(torch.addmm(second_bias, hidden, second), labels)


def mlp_step(*args):
    layers = [layer.detach().requires_grad_() for layer in args[:4]]
    loss = mlp_loss(layers, *args[4:])
    gradients = torch.autograd.grad(loss, layers)
    return [loss.detach()] + [p.detach() - 0.1 * g for p, g in zip(layers, gradients)]


def resnet50(names):
    def call(*args):
        inputs = dict(zip(names, args))

        def conv_norm(x, path, pad, stride):
            x = F.conv2d(x, inputs[f"{path}.kernel"], stride=stride, padding=pad)
            norm = [inputs[f"{path}.norm.{part}"] for part in ("mean", "variance", "weight", "bias")]
            return F.batch_norm(x, *norm, eps=epsilon)

        x = F.max_pool2d(torch.relu(conv_norm(inputs["1"], "0.stem", 3, 2)), 3, 2, 1)
        for path, stride in blocks_of(inputs):
            narrow = torch.relu(conv_norm(x, f"{path}.reduce", 0, 1))
            wide = conv_norm(torch.relu(conv_norm(narrow, f"{path}.spatial", 1, stride)), f"{path}.expand", 0, 1)
            beside = conv_norm(x, f"{path}.shortcut", 0, stride) if f"{path}.shortcut.kernel" in inputs else x
            x = torch.relu(wide + beside)
        return x.mean((2, 3)) @ inputs["0.head.weight"] + inputs["0.head.bias"]

    return call


def gpt_block(work, names):
    time, width, heads = work["time"], work["width"], work["heads"]

    def call(*args):
        inputs = dict(zip(names, args))

        def dense(x, path):
            return x @ inputs[f"0.{path}.weight"] + inputs[f"0.{path}.bias"]

        def norm(x, path):
            return F.layer_norm(x, (width,), inputs[f"0.{path}.weight"], inputs[f"0.{path}.bias"], epsilon)

        x = inputs["1"]
        parts = dense(norm(x, "attentionNorm"), "qkv").split(width, -1)
        q, k, v = [part.reshape(1, time, heads, width // heads).transpose(1, 2) for part in parts]
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(1, time, width)
        attended = x + dense(mixed, "out")
        return attended + dense(F.gelu(dense(norm(attended, "mlpNorm"), "up")), "down")

    return call


def function_of(work, names):
    kind = work["kind"]
    size = work.get("size")
    table = {
        "matmul": lambda: torch.matmul,
        "int8Matmul": lambda: torch._int_mm,
        "convolution": lambda: convolution(work),
        "softmax": lambda: lambda x: torch.softmax(x, 1),
        "layerNorm": lambda: lambda x, weight, bias: F.layer_norm(x, (size,), weight, bias, epsilon),
        "rmsNorm": lambda: lambda x, weight: F.rms_norm(x, (size,), weight, epsilon),
        "crossEntropy": lambda: lambda x, labels: F.cross_entropy(x, labels, reduction="none"),
        "transpose": lambda: lambda x: (x.T + 1).contiguous(),
        "sumRows": lambda: lambda x: x.sum(1),
        "sumColumns": lambda: lambda x: x.sum(0),
        "sort": lambda: lambda x: torch.sort(x)[0],
        "topk": lambda: lambda x: torch.topk(x, leaders)[0],
        "elementwise": lambda: elementwise(work),
        "mlpStep": lambda: mlp_step,
        "resnet50": lambda: resnet50(names),
        "gptBlock": lambda: gpt_block(work, names),
        "inTurn": lambda: lambda *args: mlp_loss(args[:4], *args[4:]),
        "tiny": lambda: lambda a, b: a * b + a,
    }
    if kind not in table:
        raise Absent("no such operation")
    return table[kind]()


def start(mode, threads):
    torch.set_num_threads(threads)
    if mode == "torch.compile" and shutil.which("g++") is None:
        raise Absent("torch.compile needs a C++ compiler")

    def build(work, arrays):
        names = list(arrays)
        call = function_of(work, names)
        if mode == "torch.compile":
            torch._dynamo.reset()
            call = torch.compile(call, dynamic=False)
        labels = {"crossEntropy": "labels", "mlpStep": "2", "inTurn": "2"}.get(work["kind"])
        inputs = [torch.from_numpy(a).long() if n == labels else torch.from_numpy(a) for n, a in arrays.items()]
        training = work["kind"] == "mlpStep"

        def run():
            if training:
                return call(*inputs)
            with torch.inference_mode() if mode == "torch" else torch.no_grad():
                return call(*inputs)

        def read(results):
            return [r.numpy() for r in (results if isinstance(results, (list, tuple)) else [results])]

        return Program(run, read)

    return f"{mode} {torch.__version__.split('+')[0]}", build


