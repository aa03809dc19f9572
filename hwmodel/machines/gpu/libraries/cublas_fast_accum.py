"""cuBLAS in fp8 with sums left in the matrix units (torch._scaled_mm with use_fast_accum)."""

from hwmodel.machines.gpu.libraries.library import (
    BLACKWELL,
    SIXTEEN,
    Launch,
    Library,
    Measured,
    Reported,
    Support,
    of_dtype,
    priors,
)
from hwmodel.machines.gpu.schedules import cublas

GEMM = priors(
    """
    matrix_fp8 = 0.86 in 0.3 .. 1: share of the datasheet's matrix rate that a full tile reaches,
        sums left in the matrix units
    dram = 0.82 in 0.5 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1.45 in 0.3 .. 2.2: multiple of the catalogue's L2 bandwidth, which plain loads reach,
        that bulk copies do: requests of several processors for one line are joined before the L2
    port = 1 in 0.3 .. 1: share of a processor's port to the L2
    store = 0.4 in 0.03 .. 1: share of the port at which a block writes its tile of C, sums
        converted on the way
    slice = 210 in 20 .. 1000: clocks that a slice of K takes at least: barrier, and a chain of
        dependent matrix instructions
    launch = 2.6 in 0.3 .. 5: one kernel to the next in a graph, first slice and last store
        included, in graph launches of the device
    reduction = 3 in 0 .. 8: the launch that adds split sums, in graph launches
    scales = 0.48 in 0.48 .. 0.48: reading the scale factors, in DRAM latencies: as of family gemm,
        since every product of this one is scaled
    landing = 100 in 100 .. 100: multiple of shared memory's bandwidth at which bulk copies land
        beside reads, which do not wait for them (fitted: 900 and more)
    sharpness = 4 in 1 .. 32: exponent of the norm that overlaps the tiles with the DRAM's stream
    inner = 9 in 9 .. 9: exponent of the norm that overlaps what the slices of one tile wait for
    """
)

LIBRARY = Library(
    name="cublas-fast-accum",
    title="cuBLAS, fp8 with fast accumulation",
    launches={"gemm": Launch(cublas.activity, cublas.menu(), cublas.resolved_fast)},
    support=(
        Support(
            ("gemm",),
            {"fp8": ("ada", "hopper", *BLACKWELL)},
            "torch._scaled_mm, use_fast_accum: sums of fp8 products only",
            multiples=SIXTEEN,
        ),
    ),
    priors={"gemm": GEMM},
    measured=Measured(
        "hwmodel.validation.measure.library:builder",
        ("hwmodel.validation.measure.shapes:streams",),
    ),
    by_row={"gemm": "cublas-row-scales-fast-accum"},
    reported=(Reported("GEMM fp8", of_dtype("fp8")),),
)
