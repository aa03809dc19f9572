"""Linear recurrences as one fused call: a prior, of the one model whose kernels were profiled.

mamba-ssm's `mamba_chunk_scan_combined`, `selective_scan_fn` and `selective_state_update`, and
flash-linear-attention's `chunk_gated_delta_rule` and `chunk_simple_gla`, in Triton or CUDA. Small
tiles keep their matrix products far from the peak (Dao and Gu, arXiv 2405.21060, figure 10); one
token's update streams its state. Shares of the exponential unit and of the DRAM are those of
Nemotron 3 Nano's five chunk kernels and of its update, in vLLM 0.22.1 on an H200.
"""

from hwmodel.machines.gpu.libraries.library import Launch, Library, priors
from hwmodel.machines.gpu.schedules import scan

PRIOR = priors(
    """
    matrix = 0.25 in 0.05 .. 1: share of the datasheet's matrix rate
    vector = 0.4 in 0.1 .. 1: share of the vector units' rate
    exp = 0.15 in 0.05 .. 1: share of the exponential unit's rate
    dram = 0.7 in 0.3 .. 1: share of the datasheet's DRAM bandwidth
    launch = 2 in 0.3 .. 8: kernel to kernel in a graph, in graph launches of the device
    step = 1 in 0 .. 5: one step of the recurrence, in DRAM latencies
    sharpness = 4 in 1 .. 16: exponent of the norm that overlaps units and DRAM
    """,
    interval=(0.4, 4.0),
)
LIBRARY = Library(
    name="recurrences",
    title="linear recurrences, fused",
    launches={"scan": Launch(scan.activity, (scan.ScanTile(),))},
    priors={"scan": PRIOR},
)
