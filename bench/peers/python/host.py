"""Answers for PyTorch, JAX or TensorFlow: `host.py torch 2`. bench/peers/protocol.ts says what is said.

A runtime is a module with `start(mode, threads)`, which gives its name and a function that builds a row's program, and
raises ImportError where the package is missing. A program is called with nothing, waits for its results, and gives them
as NumPy arrays.
"""

import importlib
import json
import os
import sys
import time

runtimes = {
    "torch": "torch_rows",
    "torch.compile": "torch_rows",
    "jax": "jax_rows",
    "tensorflow": "tensorflow_rows",
}


# What `topk` asks for, as in rows.ts.
leaders = 50


class Absent(Exception):
    """What is not there, and why."""


def interpret(expression, variables, unary):
    """The value of an expression of expression.ts; binary operations are Python's own."""
    if isinstance(expression, (int, float)):
        return expression
    if isinstance(expression, str):
        return variables[expression]
    values = [interpret(operand, variables, unary) for operand in expression[1:]]
    if len(values) == 1:
        return unary[expression[0]](values[0])
    x, y = values
    if expression[0] == "add":
        return x + y
    if expression[0] == "sub":
        return x - y
    return x * y if expression[0] == "mul" else x / y


def padding_of(work):
    """Zeros before and after an axis of the image, as paddingOf of work.ts."""
    if work["padding"] == "valid":
        return 0, 0
    size = -(-work["image"] // work["stride"])
    total = max(0, (size - 1) * work["stride"] + work["kernel"] - work["image"])
    return total // 2, total - total // 2


def blocks_of(names):
    """The ways to the bottlenecks of a ResNet, with their strides."""
    found = []
    for stage in range(4):
        block = 0
        while f"0.stages.{stage}.{block}.reduce.kernel" in names:
            found.append((f"0.stages.{stage}.{block}", 2 if stage > 0 and block == 0 else 1))
            block += 1
    return found


def load(inputs):
    import numpy

    return {
        each["name"]: numpy.fromfile(each["file"], dtype=each["dtype"]).reshape(each["shape"]) for each in inputs
    }


class Host:
    def __init__(self, name, build):
        self.name, self.build, self.programs, self.written = name, build, {}, 0

    def answer(self, request):
        op = request["op"]
        if op == "hello":
            return {"name": self.name, "features": [f"{sys.argv[2]} threads", "native"]}
        if op == "prepare":
            return self.prepare(request)
        if op == "run":
            program, repeat = self.programs[request["key"]]
            for _ in range(request["lead"] * repeat):
                program.call()
            calls = request["calls"] * repeat
            start = time.perf_counter()
            for _ in range(calls):
                program.call()
            return {"ms": (time.perf_counter() - start) * 1000}
        self.programs.pop(request["key"], None)
        return {}

    def prepare(self, request):
        import numpy

        work = request["work"]
        arrays = load(request["inputs"])
        start = time.perf_counter()
        try:
            program = self.build(work, arrays)
        except Absent as error:
            return {"absent": str(error)}
        results = [numpy.ascontiguousarray(result) for result in program.outputs()]
        first = (time.perf_counter() - start) * 1000
        repeat = work["calls"] if work["kind"] == "inTurn" else 1
        self.programs[request["key"]] = program, repeat
        outputs = []
        for result in results * repeat:
            file = os.path.join(request["folder"], f"output-{os.getpid()}-{self.written}")
            self.written += 1
            result.tofile(file)
            outputs.append({"file": file, "dtype": str(result.dtype)})
        return {"firstMs": first, "outputs": outputs}


class Program:
    """A program of a row: `call` runs it and waits, `outputs` also reads its results."""

    def __init__(self, call, read):
        self.call, self.outputs = call, lambda: read(call())


def serve():
    out = os.fdopen(3, "w")

    def reply(answer):
        out.write(json.dumps(answer) + "\n")
        out.flush()

    runtime, threads = sys.argv[1], int(sys.argv[2])
    # Some of them know no other way to stay on one core.
    if threads == 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    host, absent = None, ""
    try:
        host = Host(*importlib.import_module(runtimes[runtime]).start(runtime, threads))
    except (ImportError, Absent) as error:
        absent = f"{runtime} is not installed: {error}"
    for line in sys.stdin:
        try:
            reply(host.answer(json.loads(line)) if host else {"absent": absent})
        except Exception as error:  # noqa: BLE001 - it goes to the run, which ends
            import traceback

            reply({"error": f"{error}\n{traceback.format_exc()}"})


if __name__ == "__main__":
    sys.modules["host"] = sys.modules["__main__"]
    serve()
