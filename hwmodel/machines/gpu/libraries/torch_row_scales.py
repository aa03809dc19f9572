"""torch's grouped products in fp8 with a scale for each row (torch._scaled_grouped_mm)."""

from hwmodel.machines.gpu.libraries.library import (
    SIXTEEN,
    Launch,
    Library,
    Measured,
    Reported,
    Sampled,
    Support,
    priors,
)
from hwmodel.machines.gpu.schedules import grouped

GROUPED = priors(
    """
    matrix = 0.85 in 0.3 .. 1: share of the datasheet's matrix rate that a full tile reaches
    dram = 0.85 in 0.3 .. 1: share of the datasheet's DRAM bandwidth
    l2 = 1 in 0.3 .. 1: share of the L2's bandwidth
    port = 1 in 0.3 .. 1: share of a processor's port to the L2
    store = 0.3 in 0.03 .. 1: share of the port at which a block writes its tile of C, sums
        converted on the way
    slice = 2000 in 50 .. 6000: clocks that a slice from the DRAM takes at least: its share of the
        latency that the stages under way cover
    launch = 12 in 0.3 .. 30: a small kernel that writes every member's sizes and addresses, then
        this one, in graph launches
    fill = 2 in 0 .. 8: start of a tile, whose operands' addresses are written first, in DRAM
        latencies
    engine = 0.6 in 0.2 .. 1: share of the DRAM's bandwidth at which rows are read that begin off
        memory lines
    sharpness = 4 in 1 .. 16: exponent of the norm that overlaps the slices with the DRAM's stream
    """
)

LIBRARY = Library(
    name="torch-row-scales",
    title="torch, experts in fp8 with a scale for each row",
    launches={"grouped": Launch(grouped.activity, grouped.menu(), grouped.resolved_rows)},
    calls={"rows": "torch"},
    support=(
        Support(
            ("grouped",),
            {"fp8": ("hopper", "blackwell", "cdna3", "cdna4")},
            "PyTorch, torch._scaled_grouped_mm: fp8 with a scale for each row, from sm_90 on",
            multiples=SIXTEEN,
        ),
    ),
    priors={"grouped": GROUPED},
    measured=Measured(
        "hwmodel.validation.measure.library:builder",
        ("hwmodel.validation.measure.edges:edge_streams",),
        {"fp8-grouped": Sampled(0.06, 90)},
    ),
    by_row={"grouped": "torch-row-scales"},
    reported=(Reported("MoE fp8"),),
)
