"""Records what NumPy gives for operations on narrow integers, as the expectations of narrow.test.ts.

    python3 -m venv /tmp/numpy && /tmp/numpy/bin/pip install numpy && /tmp/numpy/bin/python test/operations/record-narrow.py

writes narrow.json beside this file: for each dtype and operation the start of the SHA-256 of the results for all pairs
of 256 numbers, which are all that 8 bits hold and every 257th of 16. Divisors are odd, since NumPy and JAX differ on
what a division by 0 is. Made with NumPy 2.4.
"""

import hashlib
import json
import pathlib

import numpy as np

binary = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "floorDivide": lambda x, y: np.floor_divide(x, y | np.ones_like(y)),
    "remainder": lambda x, y: np.remainder(x, y | np.ones_like(y)),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "bitwiseAnd": np.bitwise_and,
    "bitwiseOr": np.bitwise_or,
    "bitwiseXor": np.bitwise_xor,
    "bitwiseLeftShift": np.left_shift,
    "bitwiseRightShift": np.right_shift,
    "less": np.less,
}
unary = {
    "abs": np.abs,
    "negative": np.negative,
    "sign": np.sign,
    "square": np.square,
    "bitwiseInvert": np.invert,
    "sum": lambda x: np.sum(x, axis=0, dtype=np.uint32 if x.dtype.kind == "u" else np.int32),
    "prod": lambda x: np.prod(x | np.ones_like(x), axis=0, dtype=np.uint32 if x.dtype.kind == "u" else np.int32),
    "max": lambda x: np.max(x, axis=0),
    "min": lambda x: np.min(x, axis=0),
    "argmax": lambda x: np.argmax(x, axis=0).astype(np.int32),
    "cumulativeSum": lambda x: np.cumsum(x, axis=0, dtype=x.dtype),
}
dtypes = ["int8", "uint8", "int16", "uint16"]


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


recorded = {}
np.seterr(all="ignore")
for dtype in dtypes:
    line = (np.arange(256) * (1 if dtype.endswith("t8") else 257)).astype(dtype)
    x, y = line.reshape(256, 1), line.reshape(1, 256)
    entry = {name: digest(fn(x, y)) for name, fn in binary.items()}
    entry |= {name: digest(fn(line)) for name, fn in unary.items()}
    entry |= {to: digest(line.astype(to)) for to in [*dtypes, "int32", "uint32", "float32", "bool"]}
    recorded[dtype] = entry

path = pathlib.Path(__file__).with_name("narrow.json")
path.write_text(json.dumps(recorded, indent=2) + "\n")
