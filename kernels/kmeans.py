"""K-means: the nearest centroid of each point, then the sums of each centroid's points.

The product of points and centroids is never written: a block holds `block_n` points, walks the
centroids and keeps the least |c|^2 - 2 x.c of each and where it was, which orders them as
|x - c|^2 does. Sums over clusters are added point by point with atomics at the centroid's row
(`update`), or, of points in the order of their clusters, run by run (`update_sorted`): a block
multiplies its points by the runs that they belong to, and adds once for each run (Flash-KMeans:
arXiv 2603.09229). Distances and sums are fp32. Schedules:
`hwmodel.machines.gpu.schedules.nearest` and `cluster_sums`. Costs are operations and bytes.
"""

# pyright: basic, reportMissingImports=false, reportIndexIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false
# (Triton is a language of its own inside Python: its types are not Python's)

import torch
import triton
import triton.language as tl

from hwmodel.kernels.operands import dtype_name, need, need_contiguous, power_of_two
from hwmodel.machines.gpu.schedules.cluster_sums import ADDED, SORTED, SumTile
from hwmodel.machines.gpu.schedules.nearest import MENU, NearestTile
from hwmodel.machines.gpu.units import product_unit
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.spine.activity import Work

MOST_DIMENSIONS = 512
NORM_ROWS, NORM_WARPS = 8, 4
LABEL_BYTES = 4


def reference(x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """The nearest of centroids c `(K, d)` to each point of x `(N, d)`; of equals the first."""
    return (c.square().sum(-1) - 2 * x @ c.transpose(-1, -2)).argmin(-1)


def reference_sums(
    x: torch.Tensor, labels: torch.Tensor, clusters: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums `(K, d)` of each cluster's points, and how many they are `(K)`."""
    sums = torch.zeros(clusters, x.shape[-1], dtype=x.dtype, device=x.device)
    counts = torch.zeros(clusters, dtype=x.dtype, device=x.device)
    sums.index_add_(0, labels.long(), x)
    counts.index_add_(0, labels.long(), torch.ones(len(labels), dtype=x.dtype, device=x.device))
    return sums, counts


def tiles() -> tuple[NearestTile, ...]:
    """The launch records that the assignment is measured with."""
    return MENU


def cost(points: int, clusters: int, dimensions: int, *, dtype: str = "fp16") -> Work:
    """2 N K d operations; points, centroids and labels once."""
    element = bytes_of(dtype)
    unit, kind = product_unit(dtype, dtype)
    return Work(
        operations={(unit, "flop", kind): 2 * points * clusters * dimensions},
        read={"dram": (points + clusters) * dimensions * element},
        written={"dram": points * LABEL_BYTES},
    )


@triton.jit
def norm_kernel(c, norms, rows, cols, ROWS: tl.constexpr, COLS: tl.constexpr):
    """|c|^2 of whole rows of one block."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLS)
    inside = (row[:, None] < rows) & (column[None, :] < cols)
    value = tl.load(c + row[:, None] * cols + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(norms + row, tl.sum(value * value, 1), mask=row < rows)


@triton.jit(do_not_specialize=["points", "clusters"])
def assign_kernel(
    x, c, norms, labels, points, clusters, cols,
    BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """The nearest centroids of one block's points."""
    row = tl.program_id(0).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    column = tl.arange(0, COLS)
    inside = (row[:, None] < points) & (column[None, :] < cols)
    held = tl.load(x + row[:, None] * cols + column, mask=inside, other=0.0)
    best = tl.full((BLOCK_N,), float("inf"), dtype=tl.float32)
    which = tl.zeros((BLOCK_N,), dtype=tl.int32)
    for start in range(0, clusters, BLOCK_K):
        centre = start + tl.arange(0, BLOCK_K)
        known = (centre[:, None] < clusters) & (column[None, :] < cols)
        tile = tl.load(c + centre[:, None] * cols + column, mask=known, other=0.0)
        square = tl.load(norms + centre, mask=centre < clusters, other=float("inf"))
        product = tl.dot(held, tl.trans(tile), input_precision="ieee")
        low, at = tl.min(square[None, :] - 2.0 * product, 1, return_indices=True)
        closer = low < best
        best = tl.where(closer, low, best)
        which = tl.where(closer, start + at, which)
    tl.store(labels + row, which, mask=row < points)


@triton.jit(do_not_specialize=["points"])
def add_kernel(x, labels, sums, counts, points, cols, POINTS: tl.constexpr, COLS: tl.constexpr):
    """Adds each point of a block to the row of its centroid."""
    row = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    column = tl.arange(0, COLS)
    inside = (row[:, None] < points) & (column[None, :] < cols)
    value = tl.load(x + row[:, None] * cols + column, mask=inside, other=0.0).to(tl.float32)
    label = tl.load(labels + row, mask=row < points, other=0).to(tl.int64)
    tl.atomic_add(sums + label[:, None] * cols + column, value, mask=inside, sem="relaxed")
    tl.atomic_add(counts + label, 1.0, mask=row < points, sem="relaxed")


@triton.jit(do_not_specialize=["points"])
def run_kernel(
    x, order, labels, sums, counts, points, cols, POINTS: tl.constexpr, COLS: tl.constexpr
):
    """Adds the sum of each run of equal labels in a block; `labels` ascend, `order` says whose."""
    place = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    here = place < points
    column = tl.arange(0, COLS)
    label = tl.load(labels + place, mask=here, other=-1)
    before = tl.load(labels + place - 1, mask=here & (place > 0), other=-1)
    begins = tl.where(here & (label != before), 1, 0)
    number = tl.arange(0, POINTS)
    earlier = number[:, None] >= number[None, :]
    run = tl.sum(tl.where(earlier, begins[None, :], 0), 1)  # 0 goes on from the block before
    run = run - tl.min(tl.where(here, run, POINTS), 0)  # so that the first is 0
    member = (number[:, None] == run[None, :]) & here[None, :]
    whose = tl.max(tl.where(member, label[None, :], -1), 1).to(tl.int64)
    row = tl.load(order + place, mask=here, other=0).to(tl.int64)
    inside = here[:, None] & (column[None, :] < cols)
    value = tl.load(x + row[:, None] * cols + column, mask=inside, other=0.0)
    total = tl.dot(member.to(value.dtype), value, input_precision="ieee")
    size = tl.sum(member.to(tl.float32), 1)
    added = (whose[:, None] >= 0) & (column[None, :] < cols)
    tl.atomic_add(sums + whose[:, None] * cols + column, total, mask=added, sem="relaxed")
    tl.atomic_add(counts + whose, size, mask=whose >= 0, sem="relaxed")


def need_points(kernel: str, x: torch.Tensor) -> None:
    """Refuse what is no matrix of points of few enough dimensions."""
    need(kernel, x.ndim == 2, "x (points, dimensions)", tuple(x.shape), "flatten it")
    fits = x.shape[1] <= MOST_DIMENSIONS
    need(kernel, fits, f"at most {MOST_DIMENSIONS} dimensions", x.shape[1], "project the points")
    dtype_name(x)


def assign(
    x: torch.Tensor,
    c: torch.Tensor,
    *,
    tile: NearestTile | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Labels `(N)`, int32: the nearest of centroids c `(K, d)` to each point of x `(N, d)`.

    Raises `InputError` for shapes or formats that do not agree, and for more than 512 dimensions.
    """
    need_contiguous("assign", x=x, c=c)
    need_points("assign", x)
    agree = c.ndim == 2 and c.shape[1] == x.shape[1] and c.dtype == x.dtype
    found = f"{tuple(x.shape)} {x.dtype} and {tuple(c.shape)} {c.dtype}"
    need("assign", agree, "centroids of the points' dimensions and format", found, "convert one")
    (points, cols), clusters = x.shape, c.shape[0]
    tile = tile or MENU[0]
    if out is None:
        out = torch.empty(points, dtype=torch.int32, device=x.device)
    norms = torch.empty(clusters, dtype=torch.float32, device=x.device)
    held = power_of_two(cols)
    norm_kernel[(ceil_div(clusters, NORM_ROWS),)](
        c, norms, clusters, cols, ROWS=NORM_ROWS, COLS=held, num_warps=NORM_WARPS
    )
    assign_kernel[(ceil_div(points, int(tile.block_n)),)](
        x, c, norms, out, points, clusters, cols,
        BLOCK_N=int(tile.block_n), BLOCK_K=int(tile.block_k), COLS=held,
        num_warps=int(tile.warps), num_stages=int(tile.stages),
    )  # fmt: skip
    return out


def update(
    x: torch.Tensor, labels: torch.Tensor, clusters: int, *, tile: SumTile | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums `(K, d)` and counts `(K)`, fp32, of the points x `(N, d)` of each label, int32.

    With `tile.sorted` labels are sorted first and added run by run, otherwise point by point.
    Labels lie in 0 .. K - 1. Raises `InputError` for shapes that do not agree.
    """
    need_contiguous("update", x=x, labels=labels)
    need_points("update", x)
    agree = labels.shape == x.shape[:1] and labels.dtype == torch.int32
    found = f"{tuple(labels.shape)} {labels.dtype}"
    need("update", agree, f"labels {tuple(x.shape[:1])} int32", found, "convert them")
    tile = tile or SORTED[0]
    points, cols = x.shape
    sums = torch.zeros(clusters, cols, dtype=torch.float32, device=x.device)
    counts = torch.zeros(clusters, dtype=torch.float32, device=x.device)
    grid = (ceil_div(points, int(tile.points)),)
    constants = {"POINTS": int(tile.points), "COLS": power_of_two(cols)}
    constants["num_warps"] = int(tile.warps)
    if tile.sorted:
        ordered, order = labels.sort()
        run_kernel[grid](x, order, ordered, sums, counts, points, cols, **constants)
    else:
        add_kernel[grid](x, labels, sums, counts, points, cols, **constants)
    return sums, counts


def update_tiles() -> tuple[SumTile, ...]:
    """The launch records that the sums are measured with."""
    return (*SORTED, *ADDED)
