"""torch: the stack that runs where nobody names a library, and its own row and grouped kernels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hwmodel.machines.gpu.libraries.library import (
    AMD,
    BLACKWELL,
    HALVES,
    ROW_KERNELS,
    SIXTEEN,
    UNEVEN,
    WORDS,
    Columns,
    Found,
    Launch,
    Library,
    Measured,
    Reported,
    Sampled,
    Support,
    priors,
)
from hwmodel.machines.gpu.schedules import (
    grouped,
    rows,
    stencil,
    torch_reduce,
    torch_rows,
    torch_scan,
    torch_scatter,
    torch_sort,
)
from hwmodel.quantity.dtypes import base_of, bytes_of

NARROWED_FROM_BYTES = 2
"""Bytes of formats that torch computes in; it converts results to fp8 by a kernel more."""

NARROW_COLS = 64
"""Columns below which norms and softmax are judged apart."""

SMALL_BYTES, FEW_ROWS, LONG_COLS = 4 << 20, 132, 4096
"""Elementwise kernels of so few bytes in, norms and softmax of so few and long rows: likewise."""


def converted(found: Sequence[Found]) -> list[Found]:
    """Elementwise kernels that write fp8, each followed by one that narrows: none computes it."""
    return [part for each in found for part in _converted(each)]


def _converted(found: Found) -> tuple[Found, ...]:
    """An elementwise kernel, and another that narrows what it wrote to fp8."""
    work, problem = found.work, found.problem
    written = {base_of(work.tensors[name].dtype) for name in work.outputs}
    elementwise = found.schedule == "rows" and problem.form in ("map", "strided")
    if not elementwise or written != {"fp8"}:
        return (found,)
    width = max((bytes_of(work.tensors[name].dtype) for name in work.inputs), default=0)
    if width < NARROWED_FROM_BYTES:
        return (found,)
    count = problem.rows * problem.cols
    first = replace(problem, written_bytes=count * width)
    after = rows.RowProblem(
        rows=problem.rows,
        cols=problem.cols,
        read_bytes=count * width,
        written_bytes=problem.written_bytes,
        item_bytes=width,
        instructions=count,
    )
    then = replace(found, name=f"{found.name} to fp8", problem=after)
    return replace(found, problem=first), then


def edge(columns: Columns) -> str:
    """Which edge of its range a row kernel lies at: "narrow", "small" or none."""
    height, cols = float(columns["rows"]), float(columns["cols"])
    if columns["family"] in ("copy", "add", "gelu"):
        size = height * cols * bytes_of(str(columns["dtype"]))
        return "small" if size <= SMALL_BYTES else ""
    if cols < NARROW_COLS:
        return "narrow"
    return "small" if height <= FEW_ROWS and cols >= LONG_COLS else ""


@dataclass(frozen=True)
class Of:
    """Rows of some families, and of row kernels those at one edge of their range."""

    families: tuple[str, ...]
    edge: str | None = None

    def __call__(self, columns: Columns) -> bool:
        """Whether the row is one of them."""
        inside = columns["family"] in self.families
        return inside and (self.edge is None or edge(columns) == self.edge)


@dataclass(frozen=True)
class Windowed:
    """Rows of convolutions, in groups or not."""

    grouped: bool

    def __call__(self, columns: Columns) -> bool:
        """Whether the row is one of them."""
        inside = columns["family"] == "convolution"
        return inside and (float(columns["groups"]) > 1) == self.grouped


STENCIL = priors(
    """
    cycle = 1 in 0.3 .. 3: clocks of an instruction that a warp issues
    atomics = 1 in 1 .. 1: share of the rate of atomic additions that probes reach
    engine = 1 in 1 .. 1: no driver's copies
    """
)
SCATTER = priors(
    """
    cycle = 1 in 0.3 .. 3: clocks of an instruction that a warp issues
    atomics = 1 in 0.3 .. 1.5: share of the rate of atomic additions that probes reach
    engine = 1 in 1 .. 1: no driver's copies
    """
)
"""The other rates of both are those of row kernels until they are measured."""

LIBRARY = Library(
    name="torch",
    title="torch, plain and unfused",
    launches={
        "rows": Launch(rows.activity, torch_rows.menu(), torch_rows.filled),
        "reduction": Launch(torch_reduce.activity, torch_reduce.MENU, torch_reduce.resolved),
        "grouped": Launch(grouped.activity, grouped.menu(), grouped.resolved),
        "stencil": Launch(stencil.activity, stencil.MENU, stencil.resolved),
        "pool": Launch(stencil.activity, stencil.MENU, stencil.resolved),
        "scatter": Launch(torch_scatter.scatter, torch_scatter.SCATTER),
        "gather": Launch(torch_scatter.gather, torch_scatter.GATHER),
        "sort": Launch(torch_sort.activity, torch_sort.MENU, torch_sort.resolved),
        "cumulative": Launch(torch_scan.activity, torch_scan.MENU, torch_scan.resolved),
    },
    apart={
        each: {name: Launch(stencil.activity, stencil.MENU) for name in ("stencil", "pool")}
        for each in AMD
    },
    calls={
        "convolution": "cudnn",
        "filters": "cudnn",
        "gemm": "cublas",
        "prefill": "flash-attention-2",
        "decode": "flash-attention-2",
        "backward": "flash-attention-2",
        "scan": "recurrences",
    },
    instead={
        "gemm": ("weight-only", "cusparselt", "cusparselt:8-bit"),
        "grouped": ("torch-row-scales", "weight-only"),
        "prefill": ("quantised", "latent-attention", "efficient-attention", "block-sparse"),
        "decode": ("quantised", "latent-attention", "efficient-attention", "block-sparse"),
    },
    rewrites=converted,
    support=(
        Support(
            ("grouped",),
            {**HALVES, **WORDS, "nvfp4": BLACKWELL},
            "PyTorch, aten/src/ATen/native/cuda/GroupMM.cu: bf16; other formats as one product"
            " after the other",
            multiples=SIXTEEN,
        ),
        Support(
            ("stencil",),
            {**HALVES, **WORDS},
            "PyTorch, aten/src/ATen/native/cuda/DepthwiseConv2d.cu (recalled): floating point",
        ),
    ),
    priors={**dict.fromkeys(UNEVEN, STENCIL), "scatter": SCATTER},
    borrows=dict.fromkeys(UNEVEN, "rows:torch"),
    measured=Measured(
        "hwmodel.validation.measure.library:builder",
        (
            "hwmodel.validation.measure.shapes:streams",
            "hwmodel.validation.measure.edges:edge_streams",
            "hwmodel.validation.measure.structures:structure_streams",
        ),
        {
            "rows": Sampled(0.05, 300, launches=150, plan=("essentials", "depth")),
            "moe": Sampled(0.06, 150, launches=300, plan=("more", "depth")),
            "rows-narrow": Sampled(0.04, 150),
            "rows-small": Sampled(0.05, 150),
            "reduce": Sampled(0.05, 120),
            "structures": Sampled(0.4, 2000, traced=True),
            "windows": Sampled(0.3, 1500, launches=4000, traced=True),
            "irregular": Sampled(0.15, 500, traced=True),
        },
    ),
    by_row={"gemm": "cublas-row-scales", "grouped": "torch-row-scales"},
    reported=(
        Reported("MoE layer", Of(("moe",))),
        Reported("memory-bound", Of(ROW_KERNELS, "")),
        Reported("narrow rows", Of(ROW_KERNELS, "narrow")),
        Reported("few or small", Of(ROW_KERNELS, "small")),
        Reported("reductions", Of(("reduce",))),
        Reported("convolutions", Windowed(False)),
        Reported("depthwise, grouped", Windowed(True)),
        Reported("pooling", Of(("pool",))),
        Reported("scatters", Of(("scatter",))),
        Reported("gathers", Of(("gather",))),
        Reported("scans", Of(("cumsum",))),
        Reported("sorts", Of(("sort",))),
        Reported("cross-entropy", Of(("cross_entropy",))),
    ),
)
