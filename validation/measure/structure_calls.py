"""Convolutions, pooling, scatters, gathers, scans, sorts and losses, as torch users call them.

Conventions (what a measured number means):

- convolution: `torch.nn.functional.conv1d` to `conv3d`, or `conv_transpose1d` to `3d`, no bias.
  cuDNN's choice is torch's default, its heuristic (`torch.backends.cudnn.benchmark` off). Layout
  `last`: image and filters in torch's channels-last format (one direction: a view of two whose
  first has size 1, as torch has none for three axes). tf32 is fp32 tensors with TF32 allowed. Pads
  that differ between two ends are a `pad` before it, and its time counts.
- pool: `max_pool2d` (places are written too, as torch does on CUDA) or `avg_pool2d`.
- scatter: `index_add_` of rows, or `scatter_add_` of single numbers, into zeros.
- gather: `index_select`, `embedding`, or `embedding_bag` (sums of bags of equal length).
- cumsum, sort (`torch.sort`; `topk`, sorted), cross_entropy (mean over rows).

Places are drawn anew for each set of inputs; how many reach the hottest target is noted
(`hottest`). Of a table, what a set can reach counts as its bytes, so that the L2 is cold of it.
"""

# pyright: basic, reportMissingImports=false

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from hwmodel.validation.irregular import INDEX_BYTES
from hwmodel.validation.measure.arena import Carver
from hwmodel.validation.measure.shapes import Case
from hwmodel.validation.windows import TRANSPOSED, Axis, axes

Call = Callable[[], Any]


def image(case: Case, carver: Carver, channels: int, sides: Any) -> torch.Tensor:
    """Random numbers as images, or as filters of so many channels, in the layout of the case."""
    count = case.shape["batch"]
    return laid(case, carver, count, channels, sides, weight=False)


def laid(
    case: Case, carver: Carver, count: int, channels: int, sides: Any, weight: bool
) -> torch.Tensor:
    """A tensor [count, channels, *sides], channels outermost or innermost in memory."""
    if case.shape["layout"] == "first":
        return carver.take(count, channels, *sides, dtype=case.dtype, weight=weight)
    taken = carver.take(count, *sides, channels, dtype=case.dtype, weight=weight)
    return taken.movedim(-1, 1)


def convolution(case: Case, carver: Carver) -> Call:
    """A convolution, forward or transposed."""
    s = case.shape
    each = axes(s)
    transposed = s["op"] == TRANSPOSED
    x = image(case, carver, s["channels"], tuple(axis.side for axis in each))
    out, into = s["filters"], s["channels"] // s["groups"]
    if transposed:
        out, into = s["channels"], s["filters"] // s["groups"]
    w = laid(case, carver, out, into, tuple(axis.taps for axis in each), weight=True)
    if s["dims"] == 1 and s["layout"] == "last":
        return of_axes(case, x.unsqueeze(2), w.unsqueeze(2), (Axis(1, 1, 1, 1, 0, 0), *each))
    return of_axes(case, x, w, each)


def of_axes(case: Case, x: torch.Tensor, w: torch.Tensor, each: tuple[Axis, ...]) -> Call:
    """The call over these directions."""
    options: dict[str, Any] = {
        "stride": tuple(axis.stride for axis in each),
        "dilation": tuple(axis.dilation for axis in each),
        "groups": case.shape["groups"],
    }
    if case.shape["op"] == TRANSPOSED:
        run = getattr(F, f"conv_transpose{len(each)}d")
        options |= {
            "padding": tuple(axis.low for axis in each),
            "output_padding": tuple(axis.low - axis.high for axis in each),
        }
        return allowing(case, lambda: run(x, w, **options))
    run = getattr(F, f"conv{len(each)}d")
    if all(axis.low == axis.high for axis in each):
        options["padding"] = tuple(axis.low for axis in each)
        return allowing(case, lambda: run(x, w, **options))
    ends = [end for axis in reversed(each) for end in (axis.low, axis.high)]
    return allowing(case, lambda: run(F.pad(x, ends), w, **options))


def allowing(case: Case, call: Call) -> Call:
    """The call with TF32 allowed or not, and cuDNN's choice left to its heuristic."""

    def run() -> Any:
        torch.backends.cudnn.allow_tf32 = case.dtype == "tf32"
        torch.backends.cudnn.benchmark = False
        return call()

    return run


def pool(case: Case, carver: Carver) -> Call:
    """A maximum or average over a window."""
    s = case.shape
    down, across = axes(s)
    x = image(case, carver, s["channels"], (down.side, across.side))
    run = F.max_pool2d if s["op"] == "max" else F.avg_pool2d
    return lambda: run(x, (down.taps, across.taps), down.stride, down.low)


def targets_of(case: Case, carver: Carver, device: torch.device) -> torch.Tensor:
    """The target of each source, int64."""
    s = case.shape
    sources, targets = s["sources"], s["targets"]
    drawn = torch.randint(targets, (sources,), device=device)
    hot = torch.rand(sources, device=device) < s["hot"]
    drawn = torch.where(hot, targets // 2, drawn)
    carver.taken_bytes += sources * INDEX_BYTES
    carver.note("hottest", float(torch.bincount(drawn, minlength=targets).max()))
    return drawn


def scatter(case: Case, carver: Carver) -> Call:
    """Sums into rows or numbers of zeros that are the set's own."""
    s = case.shape
    alone = s["op"] == "scatter_add"
    x = carver.take(s["sources"], *(() if alone else (s["cols"],)), dtype=case.dtype)
    to = targets_of(case, carver, x.device)
    into = torch.zeros(s["targets"], *x.shape[1:], dtype=x.dtype, device=x.device)
    carver.taken_bytes += into.numel() * into.itemsize
    if alone:
        return lambda: into.scatter_add_(0, to, x)
    return lambda: into.index_add_(0, to, x)


def gather(case: Case, carver: Carver) -> Call:
    """Rows of a table."""
    s = case.shape
    table = carver.take(s["targets"], s["cols"], dtype=case.dtype)
    reached = min(s["sources"], s["targets"]) * s["cols"] * table.itemsize
    carver.taken_bytes += reached - table.numel() * table.itemsize
    of = targets_of(case, carver, table.device)
    if s["op"] == "index_select":
        return lambda: torch.index_select(table, 0, of)
    if s["op"] == "embedding":
        return lambda: F.embedding(of, table)
    begins = torch.arange(0, s["sources"], s["bag"], device=table.device)
    carver.taken_bytes += begins.numel() * INDEX_BYTES
    return lambda: F.embedding_bag(of, table, begins, mode="sum")


def cumsum(case: Case, carver: Carver) -> Call:
    """Running sums of each row, or down the columns."""
    s = case.shape
    if s["axis"] == "last":
        x = carver.take(s["rows"], s["cols"], dtype=case.dtype)
        return lambda: torch.cumsum(x, 1)
    x = carver.take(s["cols"], s["rows"], dtype=case.dtype)
    return lambda: torch.cumsum(x, 0)


def sort(case: Case, carver: Carver) -> Call:
    """Each row in order, or its largest."""
    s = case.shape
    x = carver.take(s["rows"], s["cols"], dtype=case.dtype)
    if s["op"] == "topk":
        return lambda: torch.topk(x, s["k"], dim=1)
    return lambda: torch.sort(x, dim=1)


def cross_entropy(case: Case, carver: Carver) -> Call:
    """The mean of -log p of each row's word."""
    s = case.shape
    x = carver.take(s["rows"], s["cols"], dtype=case.dtype)
    words = torch.randint(s["cols"], (s["rows"],), device=x.device)
    carver.taken_bytes += s["rows"] * INDEX_BYTES
    return lambda: F.cross_entropy(x, words)


BUILDERS: dict[str, Callable[[Case, Carver], Call]] = {
    "convolution": convolution,
    "pool": pool,
    "scatter": scatter,
    "gather": gather,
    "cumsum": cumsum,
    "sort": sort,
    "cross_entropy": cross_entropy,
}
