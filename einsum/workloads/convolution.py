"""Two-dimensional convolution without padding: a window that slides over an image.

    O[b, k, y, x] = sum over c, r, s of I[b, c, stride*y + r, stride*x + s] * F[k, c, r, s]

Height and width are those of the image as it is read; whoever pads makes it larger first. With
groups, each group of channels has filters of its own (depthwise: as many groups as channels).
"""

from functools import lru_cache
from typing import Any

import numpy as np

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import count, formats, instance, product_format, whole
from hwmodel.errors import InputError
from hwmodel.units import Amount


@lru_cache(maxsize=64)
def _text(stride: int, grouped: bool) -> str:
    g = "g, " if grouped else ""
    return f"""
    tensor I[b, {g}c, h, w]
    tensor F[{g}k, c, r, s]: weight
    O[b, {g}k, y, x] = I[b, {g}c, {stride}*y+r, {stride}*x+s] * F[{g}k, c, r, s]
    """


def conv2d(
    batch: Amount,
    channels: Amount,
    filters: Amount,
    height: Amount,
    width: Amount,
    kernel: Amount,
    stride: int = 1,
    groups: Amount = 1,
    dtype: str = "bf16",
    out_dtype: str | None = None,
    name: str = "conv2d",
) -> Cascade:
    """`filters` square filters of side `kernel` over an image of `channels` channels.

    `groups` divides channels and filters. Sizes are counts or arrays of them, `stride` one count;
    `out_dtype` defaults as for a matrix product. Raises `InputError` naming the argument at fault.
    """
    arguments: dict[str, Any] = {**locals()}
    sizes = whole(
        *("conv2d",),
        **{"batch": batch, "channels": channels, "filters": filters, "groups": groups},
        **{"height": height, "width": width, "kernel": kernel},
    )
    step = count("conv2d", "stride", stride)
    for side in ("height", "width"):
        if np.any(np.less(sizes[side], sizes["kernel"])):
            raise InputError(
                f"conv2d: {side}: expected at least the kernel's side ({kernel}), found"
                f" {sizes[side]}; pad the image, or take a smaller kernel"
            )
    for parted in ("channels", "filters"):
        if np.any(np.not_equal(np.mod(sizes[parted], sizes["groups"]), 0)):
            raise InputError(
                f"conv2d: groups: expected a divisor of {parted} ({sizes[parted]}), found {groups}"
            )
    given = formats("conv2d", dtype=dtype)["dtype"]
    out = formats("conv2d", out_dtype=out_dtype or product_format(given))["out_dtype"]
    grouped = not (isinstance(sizes["groups"], int) and sizes["groups"] == 1)
    extents: dict[str, Amount] = {
        **{"b": sizes["batch"], "r": sizes["kernel"], "s": sizes["kernel"]},
        **{"c": sizes["channels"] // sizes["groups"], "k": sizes["filters"] // sizes["groups"]},
        **{"h": sizes["height"], "w": sizes["width"]},
        "y": (sizes["height"] - sizes["kernel"]) // step + 1,
        "x": (sizes["width"] - sizes["kernel"]) // step + 1,
    }
    if grouped:
        extents["g"] = sizes["groups"]
    return instance(
        "conv2d",
        _text(step, grouped),
        sizes=extents,
        dtypes={"I": given, "F": given, "O": out},
        arguments=arguments,
        name=name,
    )
