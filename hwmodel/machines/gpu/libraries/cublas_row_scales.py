"""CuBLAS's kernels for fp8 with a scale for each row (torch._scaled_mm on Hopper).

Few stages are under way. With `use_fast_accum` sums stay in the matrix units: another kernel, in
clusters, under another name and with parameters of its own.
"""

from dataclasses import replace

from hwmodel.machines.gpu.libraries.library import (
    BLACKWELL,
    SIXTEEN,
    Launch,
    Library,
    Measured,
    Reported,
    Sampled,
    Support,
    priors,
)
from hwmodel.machines.gpu.schedules import cublas

GEMM = priors(
    """
    matrix_fp8 = 0.8 in 0.3 .. 1: share of the datasheet's matrix rate that a full tile reaches
    dram = 0.82 in 0.5 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1.45 in 0.3 .. 1.54: multiple of the catalogue's L2 bandwidth, which plain loads reach,
        that bulk copies do; at most 5,120 bytes a clock (NVIDIA A100 whitepaper, 2020)
    port = 0.9 in 0.3 .. 1: share of a processor's port to the L2
    store = 0.4 in 0.03 .. 1: share of the port at which a block writes its tile of C, sums scaled
        and converted on the way
    slice = 560 in 20 .. 1000: clocks that a slice of K takes at least: its share of the latency
        that the stages under way cover
    launch = 2.6 in 0.3 .. 5: one kernel to the next in a graph, first slice and last store
        included, in graph launches of the device
    scales = 0.48 in 0.48 .. 0.48: reading the scale factors, in DRAM latencies: as of family gemm,
        since every product of this one is scaled
    queue = 0.3 in 0 .. 4: what is left to do once the last byte has come from the DRAM, in DRAM
        latencies
    engine = 0.65 in 0.2 .. 1: share of the datasheet's DRAM bandwidth that all processors reach
        with few slices under way; fewer of them reach the root of their share of it
    """
)

TAKES = Support(
    ("gemm",),
    {"fp8": ("hopper", *BLACKWELL)},
    "PyTorch, torch._scaled_mm with scales [M, 1] and [1, N]: from sm_90 on",
    multiples=SIXTEEN,
)

LIBRARY = Library(
    name="cublas-row-scales",
    title="fp8 with a scale for each row",
    launches={"gemm": Launch(cublas.activity, cublas.menu(), cublas.resolved_rows)},
    support=(TAKES,),
    priors={"gemm": GEMM},
    measured=Measured(
        "hwmodel.validation.measure.library:builder",
        ("hwmodel.validation.measure.edges:edge_streams",),
        {"fp8-rows": Sampled(0.05, 120)},
    ),
    by_row={"gemm": "cublas-row-scales"},
    reported=(Reported("fp8 by row"),),
)

FAST_ACCUM = replace(
    LIBRARY,
    name="cublas-row-scales-fast-accum",
    title="fp8 with a scale for each row, fast accumulation",
    launches={"gemm": Launch(cublas.activity, cublas.menu(), cublas.resolved_rows_fast)},
    by_row={"gemm": "cublas-row-scales-fast-accum"},
    support=(replace(TAKES, source="the same with use_fast_accum: sums of fp8 products only"),),
)
