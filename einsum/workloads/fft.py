"""The radix-2 fast Fourier transform as a cascade, one pair of butterflies a stage.

With n = 2**q points, their index is q ranks of two places: input bits a(q-1) .. a0, output bits
b(q-1) .. b0, most significant first. Stage s joins the transforms of even and odd points (input bit
a(q-s-1)) into one twice as long (output bit bs), k being the bits b(s-1) .. b0 made so far:

    Y[bs, k] = X[0, k] + (-1)**bs * exp(-2 pi i k / 2**(s+1)) * X[1, k]

(Cooley and Tukey 1965, Mathematics of Computation 19, decimation in time.) Complex values are two
tensors, R and I; the cosines and sines of a stage and the sign are weights. A stage counts six
operations for the product, and four additions and as many changes of sign for each butterfly.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import count, formats, instance, whole
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount

LONGEST = 2**20
"""Points: beyond that the text of a stage outgrows use."""


@checked
def fft(points: int, batch: Amount = 1, dtype: str = "fp32", name: str = "fft") -> Cascade:
    """`batch` complex transforms of `points` points, a power of two.

    Inputs R0 and I0 [batch, bits], outputs R and I of the last stage. Raises `InputError` naming
    the argument at fault.
    """
    arguments: dict[str, Any] = {"points": points, "batch": batch, "dtype": dtype, "name": name}
    size = count("fft", "points", points)
    if size < 2 or size & (size - 1) or size > LONGEST:
        raise InputError(f"fft: points: expected a power of two, 2 to {LONGEST}, found {points}")
    sizes = whole("fft", batch=batch)
    text, names = _text(size.bit_length() - 1)
    given = formats("fft", dtype=dtype)["dtype"]
    return instance(
        *("fft", fft, text),
        sizes={"n": sizes["batch"]},
        dtypes=dict.fromkeys(names, given),
        arguments=arguments,
        name=name,
    )


def twiddles(points: int) -> dict[str, NDArray[np.float64]]:
    """Values of the weights of `fft(points)`, by tensor."""
    values: dict[str, NDArray[np.float64]] = {}
    for stage in range(points.bit_length() - 1):
        angle = -math.pi * np.arange(float(2**stage)) / 2**stage
        shape = (2,) * stage
        values[f"COS{stage}"] = np.cos(angle).reshape(shape)
        values[f"SIN{stage}"] = np.sin(angle).reshape(shape)
        values[f"SIGN{stage}"] = np.array([1.0, -1.0])
    return values


@lru_cache(maxsize=32)
def _text(stages: int) -> tuple[str, tuple[str, ...]]:
    bits = [f"a{at}" for at in reversed(range(stages))]
    ranks = [*bits, *(f"b{at}" for at in range(stages))]
    lines = ["rank " + ", ".join(f"{rank} = 2" for rank in ranks)]
    lines += [f"tensor {part}0[n, {', '.join(bits)}]" for part in "RI"]
    names: list[str] = ["R0", "I0"]
    for stage in range(stages):
        made = [f"b{at}" for at in reversed(range(stage))]
        left = bits[stage + 1 :]
        turn = ", ".join(made)
        at = f"[{turn}]" if made else ""
        cos, sin, sign = f"COS{stage}", f"SIN{stage}", f"SIGN{stage}"
        lines += [f"tensor {cos}{at}: weight", f"tensor {sin}{at}: weight"]
        lines += [f"tensor {sign}[b{stage}]: weight"]
        even, odd, done = (
            ", ".join(["n", *made, place, *left]).replace(", ,", ",") for place in ("0", "1", "")
        )
        done = ", ".join(["n", *made, *left])
        out = ", ".join(["n", f"b{stage}", *made, *left])
        real, imaginary = f"R{stage}", f"I{stage}"
        lines += [
            f"T{real}[{done}] = {cos}{at} * {real}[{odd}] - {sin}{at} * {imaginary}[{odd}]",
            f"T{imaginary}[{done}] = {cos}{at} * {imaginary}[{odd}] + {sin}{at} * {real}[{odd}]",
            f"R{stage + 1}[{out}] = {real}[{even}] + {sign}[b{stage}] * T{real}[{done}]",
            f"I{stage + 1}[{out}] = {imaginary}[{even}] + {sign}[b{stage}] * T{imaginary}[{done}]",
        ]
        names += [cos, sin, sign, f"T{real}", f"T{imaginary}", f"R{stage + 1}", f"I{stage + 1}"]
    lines.append(f"output R{stages}, I{stages}")
    return "\n".join(lines), tuple(names)
