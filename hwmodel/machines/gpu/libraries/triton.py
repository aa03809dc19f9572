"""Our own Triton kernels (the folder kernels/), launched by the rules of `triton_rules`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwmodel.machines.gpu.libraries.library import (
    FEW_QUERIES,
    FP8,
    GENERATIONS,
    HALVES,
    ROW_KERNELS,
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
from hwmodel.machines.gpu.regimes import ROWS_OF_OURS
from hwmodel.machines.gpu.schedules import (
    cluster_sums,
    grouped_gradients,
    monarch,
    nearest,
    triton_scan,
    windows,
)
from hwmodel.machines.gpu.schedules.triton_rules import COMPLETED, LAUNCHES, STREAMED

GEMM = priors(
    """
    matrix = 0.85 in 0.3 .. 1: share of the datasheet's matrix rate that a full tile reaches
    matrix_fp8 = 0.85 in 0.2 .. 1: the same for fp8, promotions to fp32 sums included
    dram = 0.97 in 0.7 .. 1: share of the datasheet's DRAM bandwidth, what overlaps badly apart
        (sharpness)
    port = 0.9 in 0.5 .. 1: share of a processor's port at which slices arrive
    store = 0.7 in 0.1 .. 1: share of the port at which a block brings its sums into rows and writes
        them
    l2 = 1.5 in 0.3 .. 3: multiple of the catalogue's L2 bandwidth: rows of zeros, split sums, and
        what is left of slices where requests of several processors have been joined
    l1 = 0.25 in 0.03 .. 1: share of the L1s' bandwidth at which split sums are added
    slice = 1300 in 200 .. 6000: clocks from the request of a slice of K to the first of its bytes
        from the DRAM
    copy = 0.18 in 0.05 .. 0.6: share of 32 loads of single elements a clock and processor, where
        bulk copies cannot be used
    launch = 1.4 in 0.3 .. 5: one kernel to the next in a graph, descriptors fetched, in graph
        launches of the device
    fill = 0.3 in 0 .. 4: start and end of a block, in DRAM latencies
    reduction = 1.7 in 0 .. 8: the launch that adds split sums, in graph launches
    split = 0.2 in 0 .. 2: one more part to add, in DRAM latencies
    step = 0.9 in 0 .. 3: wait for a slice of single elements, in DRAM latencies
    landing = 100 in 100 .. 100: multiple of shared memory's bandwidth at which bulk copies land
        beside reads, which do not wait for them
    sharpness = 2 in 1.3 .. 16: exponent of the norm that overlaps waves of blocks with the DRAM and
        the L2: they queue for them together
    inner = 6 in 1.5 .. 16: exponent of the norm that overlaps the slices, products and stores of
        blocks on one processor
    """
)
GROUPED = priors(
    """
    matrix = 0.85 in 0.3 .. 1: share of the datasheet's matrix rate that a full tile reaches
    dram = 0.97 in 0.7 .. 1: share of the datasheet's DRAM bandwidth, what overlaps badly apart
        (sharpness)
    port = 0.9 in 0.5 .. 1: share of a processor's port at which slices arrive
    store = 0.7 in 0.1 .. 1: share of the port at which a block brings its sums into rows and writes
        them
    l2 = 1.5 in 1.5 .. 1.5: multiple of the catalogue's L2 bandwidth, as of gemm:triton
    slice = 1300 in 200 .. 6000: clocks from the request of a slice of K to the first of its bytes
        from the DRAM
    copy = 0.18 in 0.18 .. 0.18: share of 32 loads of single elements a clock and processor, as of
        gemm:triton
    launch = 1.4 in 0.3 .. 5: one kernel to the next in a graph, descriptors fetched, in graph
        launches of the device
    fill = 0 in 0 .. 0: start and end of a block, in DRAM latencies: within its scan
    scan = 0.2 in 0 .. 4: a block's search for its member in the table of ends, in DRAM latencies
    step = 0.9 in 0.9 .. 0.9: wait for a slice of single elements, as of gemm:triton
    landing = 100 in 100 .. 100: multiple of shared memory's bandwidth at which bulk copies land
        beside reads, which do not wait for them
    sharpness = 2 in 1.3 .. 8: exponent of the norm that overlaps waves of blocks with the DRAM
    inner = 6 in 6 .. 6: exponent of the norm that overlaps the slices, products and stores of
        blocks on one processor, as of gemm:triton
    """
)
PREFILL = priors(
    """
    matrix = 0.85 in 0.2 .. 1: share of the datasheet's matrix rate, inside fused attention
    exp = 0.95 in 0.1 .. 1: share of the exponential unit's rate, the softmax's other instructions
        in series
    dram = 0.9 in 0.9 .. 0.9: share of the datasheet's DRAM bandwidth: never binds
    l2 = 2 in 2 .. 2: share of the catalogue's L2 bandwidth, as of gemm:triton
    port = 0.9 in 0.9 .. 0.9: share of a processor's port to the L2
    store = 0.13 in 0.03 .. 1: share of the port at which a block writes its rows of O
    slice = 950 in 0 .. 3000: clocks of a step that neither products nor exponentials fill:
        barriers, the end of one chain and the start of the next
    launch = 2 in 0.3 .. 8: kernel to kernel in a graph, descriptors fetched, in graph launches of
        the device
    fill = 3.5 in 0 .. 8: first loads and last stores of a block, in DRAM latencies
    turn = 1.5 in 0 .. 8: start and end of a tile of persistent blocks, in DRAM latencies
    cycle = 300 in 0 .. 3000: clocks of their step that nothing else runs beside
    step = 0.45 in 0 .. 3: first keys of the masked steps, which follow the others in a loop of
        their own, in DRAM latencies
    sharpness = 16 in 16 .. 16: exponent of the norm that overlaps what co-resident blocks do:
        nearly the maximum
    inner = 4 in 4 .. 4: exponent of the norm that overlaps what blocks of one processor do
    """
)
DECODE = priors(
    """
    matrix = 0.5 in 0.5 .. 0.5: share of the datasheet's matrix rate, padded rows counted: seldom
        binds
    exp = 0.5 in 0.5 .. 0.5: share of the exponential unit's rate: seldom binds
    dram = 0.97 in 0.85 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 2 in 2 .. 2: share of the catalogue's L2 bandwidth, as of gemm:triton
    slice = 1700 in 200 .. 4000: clocks of a step of one block: two products, a maximum over all
        warps, exponentials
    launch = 2.6 in 0.3 .. 8: kernel to kernel in a graph, descriptors fetched, in graph launches of
        the device
    fill = 2.5 in 0 .. 8: start of a block, its rows of Q and its stores, in DRAM latencies
    reduction = 2.3 in 0.5 .. 8: the launch that combines split keys, in graph launches
    split = 0.36 in 0 .. 8: one more chunk of parts to combine, in DRAM latencies
    scan = 2.4 in 0 .. 6: search of the combining kernel for an output's parts where stream-K shares
        out the keys, in DRAM latencies
    sharpness = 2.7 in 1.5 .. 16: exponent of the norm that overlaps steps and DRAM
    """
)
ROWS = priors(
    """
    launch = 0.95 in 0.2 .. 5: kernel to kernel in a graph, in graph launches of the device
    fill = 1 in 1 .. 1: first load of a kernel, in DRAM latencies: one
    queue = 0.3 in 0 .. 8: what loads wait for each other when all block slots are taken, in DRAM
        latencies
    cycle = 1 in 0.5 .. 2: cycles of a block, in those counted on an H200
    dram = 0.94 in 0.8 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1.5 in 1.5 .. 1.5: share of the catalogue's L2 bandwidth, which was derived from another
        board; in-place probes reach 1.4 of it
    sharpness = 2.8 in 1 .. 16: exponent of the norm that overlaps instructions, DRAM and L2
    """
)
SCAN = priors(
    """
    matrix = 0.3 in 0.05 .. 1: share of the datasheet's matrix rate that small tiles reach
    vector = 0.5 in 0.5 .. 0.5: share of the vector units' rate
    dram = 0.9 in 0.9 .. 0.9: share of the datasheet's DRAM bandwidth
    cycle = 0.74 in 0.1 .. 5: clocks of a chunk that hang on each other, in those of the schedule
    launch = 3 in 0.3 .. 8: kernel to kernel in a graph, in graph launches of the device
    fill = 1 in 1 .. 1: first loads and last stores, in DRAM latencies
    sharpness = 2 in 1 .. 16: exponent of the norm that overlaps blocks and DRAM
    inner = 8 in 8 .. 8: exponent of the norm that overlaps products and other instructions of a
        block, whose chunks follow each other
    """
)
NEAREST = priors(
    """
    matrix = 0.8 in 0.1 .. 1: share of the datasheet's matrix rate
    vector = 0.5 in 0.05 .. 1: share of the vector units' rate
    dram = 0.9 in 0.9 .. 0.9: share of the datasheet's DRAM bandwidth
    port = 0.9 in 0.9 .. 0.9: share of a processor's port to the L2
    l2 = 2 in 0.3 .. 4: share of the catalogue's L2 bandwidth
    cycle = 1 in 0 .. 5: clocks of a step that hang on each other, in those of the schedule
    launch = 3 in 0.3 .. 8: kernel to kernel in a graph, in graph launches of the device
    fill = 1 in 1 .. 1: first loads and last stores, in DRAM latencies
    sharpness = 4 in 4 .. 4: exponent of the norm that overlaps blocks and DRAM
    inner = 2 in 2 .. 2: exponent of the norm that overlaps products and comparisons
    """
)
MONARCH = priors(
    """
    matrix = 0.9 in 0.3 .. 1: share of the datasheet's matrix rate
    vector = 0.9 in 0.3 .. 1: share of the vector units' rate
    shared = 0.7 in 0.05 .. 1: share of the bandwidth of shared memory
    dram = 0.93 in 0.3 .. 1: share of the datasheet's DRAM bandwidth
    port = 0.9 in 0.9 .. 0.9: share of a processor's port to the L2
    cycle = 0.83 in 0 .. 5: clocks of a block that hang on each other, in those of the schedule
    launch = 4 in 0.3 .. 8: kernel to kernel in a graph, in graph launches of the device
    fill = 4 in 0 .. 8: first loads and last stores, in DRAM latencies
    sharpness = 8 in 1 .. 16: exponent of the norm that overlaps blocks and DRAM
    inner = 8 in 8 .. 8: exponent of the norm that overlaps products, factors and shared memory
    """
)
GRADIENTS = priors(
    """
    vector = 1 in 1 .. 1: share of the vector units' rate
    dram = 0.47 in 0.2 .. 1: share of the datasheet's DRAM bandwidth
    cycle = 0.6 in 0.1 .. 5: clocks of a block that hang on each other, in those of the schedule
    launch = 5 in 0.3 .. 8: kernel to kernel in a graph, in graph launches of the device
    fill = 1 in 1 .. 1: first loads and last stores, in DRAM latencies
    atomics = 1 in 1 .. 1: share of the rate of atomic additions in all
    sharpness = 8 in 1 .. 16: exponent of the norm that overlaps blocks, DRAM and atomics
    inner = 2 in 2 .. 2: exponent of the norm that overlaps a block's resources
    """
)
WINDOWS = priors(
    """
    vector = 1 in 0.3 .. 1: share of the vector units' rate
    l1 = 0.2 in 0.05 .. 1: share of the L1s' bandwidth
    dram = 0.5 in 0.3 .. 1: share of the datasheet's DRAM bandwidth
    cycle = 0.3 in 0.3 .. 0.3: clocks of a block that hang on each other, in those of the schedule
    launch = 2 in 0.3 .. 8: kernel to kernel in a graph, in graph launches of the device
    fill = 1 in 1 .. 1: first loads and last stores, in DRAM latencies
    sharpness = 8 in 8 .. 8: exponent of the norm that overlaps blocks and DRAM
    inner = 8 in 8 .. 8: exponent of the norm that overlaps a block's resources
    """
)
SUMS = priors(
    """
    matrix = 0.15 in 0.15 .. 0.15: share of the datasheet's matrix rate
    vector = 0.3 in 0.3 .. 0.3: share of the vector units' rate
    dram = 0.9 in 0.9 .. 0.9: share of the datasheet's DRAM bandwidth
    cycle = 0.66 in 0.1 .. 5: clocks of a block that hang on each other, in those of the schedule
    launch = 0.6 in 0.1 .. 8: kernel to kernel in a graph, in graph launches of the device
    fill = 0.5 in 0.5 .. 0.5: first loads and last stores, in DRAM latencies
    atomics = 0.9 in 0.05 .. 4: share of the rate of atomic additions in all
    reduction = 43 in 5 .. 100: launches of a sort, in graph launches of the device
    sharpness = 2.5 in 1 .. 16: exponent of the norm that overlaps blocks, DRAM and atomics
    inner = 8 in 8 .. 8: exponent of the norm that overlaps a block's resources
    """
)


def gated(found: Sequence[Found]) -> list[Found]:
    """An elementwise kernel joined with the one before it, where it reads what that one wrote."""
    joined: list[Found] = []
    for each in found:
        before = joined[-1] if joined else None
        if before is None or not _maps(before, each) or before.name not in each.work.inputs:
            joined.append(each)
            continue
        first, last = before.problem, each.problem
        problem = replace(
            last,
            read_bytes=first.read_bytes + last.read_bytes - first.written_bytes,
            operations={
                key: first.operations.get(key, 0) + last.operations.get(key, 0)
                for key in {**first.operations, **last.operations}
            },
            instructions=first.instructions + last.instructions,
            form="gated",
        )
        joined[-1] = replace(each, problem=problem)
    return joined


def _maps(*kernels: Found) -> bool:
    """Whether all are elementwise, at every point."""
    return all(
        each.schedule == "rows" and np.ndim(each.times) == 0 and np.all(each.problem.row_bytes == 0)
        for each in kernels
    )


@dataclass(frozen=True)
class Of:
    """Rows of some families, and of attention those of few queries or of many."""

    families: tuple[str, ...]
    few: bool | None = None

    def __call__(self, columns: Columns) -> bool:
        """Whether the row is one of them."""
        if columns["family"] not in self.families:
            return False
        return self.few is None or (float(columns["queries"]) <= FEW_QUERIES) == self.few


LIBRARY = Library(
    name="triton",
    title="our own Triton kernels",
    launches={
        name: Launch(
            *LAUNCHES[name],
            completes=COMPLETED.get(name),
            streamed=STREAMED.get(name),
            regimes=ROWS_OF_OURS if name == "gemm" else (),
        )
        for name in ("gemm", "prefill", "decode", "rows", "grouped")
    }
    | {
        "scan": Launch(triton_scan.activity, triton_scan.MENU, triton_scan.resolved),
        "nearest": Launch(nearest.activity, nearest.MENU),
        "monarch": Launch(monarch.activity, monarch.MENU, monarch.resolved),
        "gradients": Launch(grouped_gradients.activity, grouped_gradients.MENU),
        "stencil": Launch(windows.activity, windows.MENU),
        "scatter": Launch(cluster_sums.activity, cluster_sums.MENU),
    },
    rewrites=gated,
    support=(
        Support(
            ("gemm", "grouped"),
            {**HALVES, **WORDS, **FP8},
            "kernels/gemm.py and moe.py: tl.dot of one format; e4m3 from sm_89 on",
        ),
        Support(
            ("prefill",),
            {**HALVES, "fp32": GENERATIONS},
            "kernels/attention.py: q, k and v of one format, rows and keys of a block in shared"
            " memory",
            head_dim=dict.fromkeys(GENERATIONS, 256),
        ),
        Support(
            ("decode",),
            {**HALVES, "fp32": GENERATIONS},
            "kernels/decode.py: q, k and v of one format, keys of a block in shared memory; all"
            " query rows of a KV head in one block of at most 128",
            head_dim=dict.fromkeys(GENERATIONS, 512),
            query_rows=128,
        ),
        Support(
            ("nearest", "gradients"),
            {**HALVES, "fp32": GENERATIONS},
            "kernels/kmeans.py and rational.py: operands of one format",
        ),
        Support(
            ("monarch",), HALVES, "kernels/fourier.py: planes and matrices of one format of 16 bits"
        ),
    ),
    priors={
        "gemm": GEMM,
        "grouped": GROUPED,
        "prefill": PREFILL,
        "decode": DECODE,
        "rows": ROWS,
        "scan": SCAN,
        "nearest": NEAREST,
        "monarch": MONARCH,
        "gradients": GRADIENTS,
        "stencil": WINDOWS,
        "scatter": SUMS,
    },
    measured=Measured(
        "hwmodel.validation.measure.triton_kernels:triton_builder",
        (
            "hwmodel.validation.measure.triton_kernels:triton_streams",
            "hwmodel.validation.measure.fused_shapes:fused_streams",
        ),
        {
            "triton-gemm": Sampled(0.06, 200, counters=24),
            "triton-attention": Sampled(0.06, 150, counters=14),
            "triton-decode": Sampled(0.05, 150, counters=10),
            "triton-moe": Sampled(0.05, 120),
            "triton-rows": Sampled(0.04, 150),
            "triton-menu": Sampled(0.08, 650),
            "power-attention": Sampled(0.025, 70),
            "chunk-scan": Sampled(0.015, 60),
            "delta-rule": Sampled(0.015, 60),
            "kmeans": Sampled(0.03, 90),
            "kmeans-update": Sampled(0.025, 80),
            "fft-convolution": Sampled(0.03, 60),
            "rational-backward": Sampled(0.02, 70),
            "depthwise": Sampled(0.025, 90),
            "norm-quantise": Sampled(0.01, 40),
        },
    ),
    reported=(
        Reported("GEMM Triton", Of(("gemm",))),
        Reported("prefill Triton", Of(("attention",), few=False)),
        Reported("decode Triton", Of(("attention",), few=True)),
        Reported("MoE Triton", Of(("moe",))),
        Reported("rows Triton", Of((*ROW_KERNELS, "norm_quantise"))),
        Reported("scans Triton", Of(("power_attention", "chunk_scan", "delta_rule"))),
        Reported("nearest Triton", Of(("kmeans_assignment",))),
        Reported("cluster sums Triton", Of(("kmeans_update",))),
        Reported("transforms Triton", Of(("fft_convolution",))),
        Reported("gradients Triton", Of(("rational_backward",))),
        Reported("depthwise Triton", Of(("depthwise",))),
    ),
)
