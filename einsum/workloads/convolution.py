"""Two-dimensional convolution: a window of filters that slides over an image.

    O[b, k, y, x] = sum over c, r, s of I[b, c, sy*y + dy*r, sx*x + dx*s] * F[k, c, r, s]

with strides sy, sx and dilations dy, dx down and across. `padding` sets zeros around the image.
They are multiplied like any other element, but no memory holds them and nothing has to move them.
With groups, each group of channels has filters of its own (depthwise: as many groups as channels).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import formats, instance, product_format, whole
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount, amount

Sides = int | Sequence[int]
"""One number for both directions, or one each: down, across."""


@lru_cache(maxsize=64)
def _text(
    stride: tuple[int, int],
    dilation: tuple[int, int],
    around: tuple[int, int, int, int],
    grouped: bool,
) -> str:
    low, high, left, right = around
    g = "g, " if grouped else ""
    down, across = (
        f"{step}*{out}+{f'{gap}*' if gap > 1 else ''}{tap}"
        for step, gap, out, tap in zip(stride, dilation, "yx", "rs", strict=True)
    )
    return f"""
    tensor I[b, {g}c, h{pads(low, high)}, w{pads(left, right)}]
    tensor F[{g}k, c, r, s]: weight
    O[b, {g}k, y, x] = I[b, {g}c, {down}, {across}] * F[{g}k, c, r, s]
    """


@checked
def conv2d(
    batch: Amount,
    channels: Amount,
    filters: Amount,
    height: Amount,
    width: Amount,
    window: Amount,
    stride: Sides = 1,
    padding: Sides = 0,
    dilation: Sides = 1,
    groups: Amount = 1,
    window_width: Amount | None = None,
    dtype: str = "bf16",
    out_dtype: str | None = None,
    name: str = "conv2d",
) -> Cascade:
    """`filters` filters of `window` rows and columns over an image of `channels` channels.

    `window_width` is the window's columns where they are not as many as its rows. `stride`,
    `padding` (zeros on each side) and `dilation` are one number or two, down and across; padding
    also four: above, below, left, right. `groups` divides channels and filters. Other sizes are
    counts or arrays of them; `out_dtype` defaults as for a matrix product. Raises `InputError`
    naming the argument at fault.
    """
    arguments: dict[str, Any] = {**locals()}
    across = window if window_width is None else window_width
    sizes = whole(
        *("conv2d",),
        **{"batch": batch, "channels": channels, "filters": filters, "groups": groups},
        **{"height": height, "width": width, "window": window, "window_width": across},
    )
    step, gap = _sides("stride", stride), _sides("dilation", dilation)
    around = _around(padding)
    for parted in ("channels", "filters"):
        if np.any(np.not_equal(np.mod(sizes[parted], sizes["groups"]), 0)):
            raise InputError(
                f"conv2d: groups: expected a divisor of {parted} ({sizes[parted]}), found {groups}"
            )
    given = formats("conv2d", dtype=dtype)["dtype"]
    out = formats("conv2d", out_dtype=out_dtype or product_format(given))["out_dtype"]
    grouped = not (isinstance(sizes["groups"], int) and sizes["groups"] == 1)
    extents: dict[str, Amount] = {
        **{"b": sizes["batch"], "r": sizes["window"], "s": sizes["window_width"]},
        **{"c": sizes["channels"] // sizes["groups"], "k": sizes["filters"] // sizes["groups"]},
    }
    sides = (("height", "window", "h", "y"), ("width", "window_width", "w", "x"))
    for place, (side, taps, read, written) in enumerate(sides):
        whole_side = sizes[side] + sum(around[2 * place : 2 * place + 2])
        reach = gap[place] * (sizes[taps] - 1) + 1
        if np.any(np.less(whole_side, reach)):
            raise InputError(
                f"conv2d: {side}: expected at least the window's reach ({reach}), found"
                f" {whole_side}, padding included; pad more, or take a smaller window"
            )
        outputs = (whole_side - reach) // step[place] + 1
        extents |= {read: whole_side, written: outputs}
    if grouped:
        extents["g"] = sizes["groups"]
    return instance(
        "conv2d",
        conv2d,
        _text(step, gap, around, grouped),
        sizes=extents,
        dtypes={"I": given, "F": given, "O": out},
        arguments=arguments,
        name=name,
    )


def pads(low: int, high: int) -> str:
    """Zeros before and behind an axis, as a tensor's text says them."""
    return f"({low}, {high})" if low or high else ""


def _sides(name: str, value: Sides) -> tuple[int, int]:
    """Down and across, 1 or more each."""
    numbers = _numbers(name, value, (2,), zero=False)
    return numbers[0], numbers[-1]


def _around(padding: Sides) -> tuple[int, int, int, int]:
    """Zeros above, below, left and right of the image."""
    numbers = _numbers("padding", padding, (2, 4), zero=True)
    if len(numbers) == 4:
        return numbers[0], numbers[1], numbers[2], numbers[3]
    return numbers[0], numbers[0], numbers[-1], numbers[-1]


def _numbers(name: str, value: Sides, lengths: tuple[int, ...], *, zero: bool) -> tuple[int, ...]:
    """One number, or one of these lengths of them; they shape the text, hence are no arrays."""
    listed = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(listed) not in (1, *lengths):
        some = " or ".join(map(str, (1, *lengths)))
        raise InputError(f"conv2d: {name}: expected {some} numbers, found {len(listed)}")
    found: list[int] = []
    for each in listed:
        number = amount(each, whole=True, zero=zero, where=f"conv2d: {name}")
        if not isinstance(number, (int, float)):
            raise InputError(f"conv2d: {name}: expected whole numbers, found an array")
        found.append(int(number))
    return tuple(found)
