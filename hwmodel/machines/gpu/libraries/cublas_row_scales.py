"""CuBLAS's kernels for fp8 with a scale for each row (torch._scaled_mm on Hopper).

One tile for all sizes (`schedules.cublas.resolved_rows`), so that rows beyond an edge of A or B and
rows that begin off a sector cost more than elsewhere. With `use_fast_accum` sums stay in the matrix
units: another kernel, in clusters, under another name and with parameters of its own.
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
    l2 = 1.45 in 0.3 .. 2.2: multiple of the catalogue's L2 bandwidth, which plain loads reach,
        that bulk copies do: requests of several processors for one line are joined before the L2
    port = 0.9 in 0.3 .. 1: share of a processor's port to the L2
    store = 0.4 in 0.03 .. 1: share of the port at which a block writes its tile of C, sums scaled
        and converted on the way
    slice = 450 in 20 .. 1000: clocks that a slice of K takes at least: its share of the latency
        that the stages under way cover
    launch = 2.6 in 0.3 .. 5: one kernel to the next in a graph, first slice and last store
        included, in graph launches of the device
    scales = 0.48 in 0.48 .. 0.48: reading the scale factors, in DRAM latencies: as of family gemm,
        since every product of this one is scaled
    landing = 100 in 100 .. 100: multiple of shared memory's bandwidth at which bulk copies land
        beside reads, which do not wait for them
    sharpness = 2.5 in 1 .. 32: exponent of the norm that overlaps the tiles with the DRAM's stream
    inner = 9 in 9 .. 9: exponent of the norm that overlaps what the slices of one tile wait for
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
