"""Depthwise convolution: each channel of an image by a window of its own, channels last.

A block makes some outputs of some channels: for each tap of the window it loads their inputs, which
lie side by side in a pixel's channels, and adds their products with the tap's weights. With an
image one row high, and all padding before it, it is a short causal convolution over tokens. Sums
are fp32. Schedule: `hwmodel.machines.gpu.schedules.windows`. Costs are operations and bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Triton is a language of its own inside Python: its types are not Python's)

import torch
import torch.nn.functional as F
import triton
import triton.language as tl

from hwmodel.kernels.operands import dtype_name, need, need_contiguous
from hwmodel.machines.gpu.schedules.windows import MENU, WindowTile
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

Sides = tuple[int, int, int, int]
"""Padding above, below, left and right."""


def reference(
    x: torch.Tensor, w: torch.Tensor, stride: int = 1, padding: Sides = (0, 0, 0, 0)
) -> torch.Tensor:
    """Of x `(batch, height, width, channels)` and w `(rows, columns, channels)`."""
    above, below, left, right = padding
    image = F.pad(x.movedim(-1, 1), (left, right, above, below))
    window = w.movedim(-1, 0)[:, None]
    return F.conv2d(image, window, stride=stride, groups=w.shape[-1]).movedim(1, -1)


def tiles() -> tuple[WindowTile, ...]:
    """The launch records that the kernel is measured with."""
    return MENU


def sides(size: int, taps: int, stride: int, before: int, after: int) -> int:
    """Outputs along an axis."""
    return (size + before + after - taps) // stride + 1


def cost(pixels_in: int, pixels_out: int, taps: int, channels: int, *, dtype: str = "fp16") -> Work:
    """A multiply-add a tap and output; image, weights and output once."""
    element = bytes_of(dtype)
    return Work(
        operations={("vector", "flop", "fp32"): 2 * pixels_out * taps * channels},
        read={"dram": (pixels_in + taps) * channels * element},
        written={"dram": pixels_out * channels * element},
    )


@triton.jit(
    do_not_specialize=["outputs", "height", "width", "height_out", "width_out", "above", "left"]
)
def depthwise_kernel(
    x, w, y, outputs, channels, height, width, height_out, width_out, above, left,
    TALL: tl.constexpr, WIDE: tl.constexpr, STRIDE: tl.constexpr,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """`PIXELS` outputs of `CHANNELS` channels."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    known = channel < channels
    each = height_out * width_out
    image = (pixel // each).to(tl.int64)
    top = (pixel % each) // width_out * STRIDE - above
    side = pixel % width_out * STRIDE - left
    total = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32)
    for down in range(TALL):
        row = top + down
        seen = (row >= 0) & (row < height) & (pixel < outputs)
        line = (image * height + row) * width
        for right in tl.static_range(WIDE):
            across = side + right
            inside = seen & (across >= 0) & (across < width)
            here = x + (line + across)[:, None] * channels + channel[None, :]
            value = tl.load(here, mask=inside[:, None] & known[None, :], other=0.0)
            tap = w + (down * WIDE + right) * channels + channel
            weight = tl.load(tap, mask=known, other=0.0)
            total += value.to(tl.float32) * weight.to(tl.float32)[None, :]
    at = pixel.to(tl.int64)[:, None] * channels + channel[None, :]
    kept = (pixel < outputs)[:, None] & known[None, :]
    tl.store(y + at, total.to(y.dtype.element_ty), mask=kept)


def depthwise(
    x: torch.Tensor,
    w: torch.Tensor,
    *,
    stride: int = 1,
    padding: Sides = (0, 0, 0, 0),
    tile: WindowTile | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """The convolution, channels last, of x `(batch, height, width, channels)`.

    w is `(rows, columns, channels)`. Raises `InputError` for shapes or formats that do not
    agree, and windows beyond the image.
    """
    need_contiguous("depthwise", x=x, w=w)
    agree = x.ndim == 4 and w.ndim == 3 and x.shape[-1] == w.shape[-1] and x.dtype == w.dtype
    found = f"{tuple(x.shape)} {x.dtype} and {tuple(w.shape)} {w.dtype}"
    need("depthwise", agree, "x (b, h, w, c) and w (rows, columns, c)", found, "transpose one")
    batch, height, width, channels = x.shape
    tall, wide, _ = w.shape
    above, below, left, right = padding
    shape = (sides(height, tall, stride, above, below), sides(width, wide, stride, left, right))
    need("depthwise", min(shape) > 0, "a window within the image", found, "pad the image")
    dtype_name(x)
    if out is None:
        out = torch.empty(batch, *shape, channels, dtype=x.dtype, device=x.device)
    need_contiguous("depthwise", x=x, out=out)
    tile = tile or MENU[0]
    outputs = batch * shape[0] * shape[1]
    grid = (ceil_div(outputs, int(tile.pixels)), ceil_div(channels, int(tile.channels)))
    depthwise_kernel[grid](
        x, w, out, outputs, channels, height, width, *shape, above, left,
        TALL=tall, WIDE=wide, STRIDE=stride,
        PIXELS=int(tile.pixels), CHANNELS=int(tile.channels), num_warps=int(tile.warps),
    )  # fmt: skip
    return out
