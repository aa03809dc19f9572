"""Mappings of Timeloop and AccelForge: counts of reference outputs, nests, what is refused.

Counts are those of the reference outputs in timeloop-accelergy-exercises (Accelergy-Project), of
`example_designs/eyeriss_like` and `01_accelergy_timeloop_2020_ispass/timeloop/03` and `01`.
"""

from typing import Any

import pytest

from hwmodel.einsum.importers.timeloop_problem import einsum_names, problem
from hwmodel.hardware.hardware import limits
from hwmodel.hardware.timeloop import architecture
from hwmodel.machines.spatial.counts import Counts
from hwmodel.machines.spatial.nest import evaluate
from hwmodel.machines.spatial.timeloop import mapping
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.spine.mapping import Compute, Keep, Loop
from hwmodel.spine.mapping import Mapping as LoopNest
from tests.hwmodel.hardware.test_timeloop import COLUMN, PE, component, timeloop
from tests.loop_walk import walk

BYTES = {"width": 64, "datawidth": 8}
SMALL = {"depth": 64, "width": 8, "datawidth": 8}
THREE = timeloop(
    component("MainMemory", "DRAM", **BYTES),
    component("GlobalBuffer", "SRAM", depth=32768, **BYTES),
    component("RegisterFile", "regfile", **SMALL),
    component("MACC", "intmac", width=8),
)
CONV: dict[str, Any] = {
    "shape": {
        "dimensions": ["K", "R", "P"],
        "data_spaces": [
            {"name": "Weights", "projection": [[["K"]], [["R"]]]},
            {"name": "Inputs", "projection": [[["R"], ["P"]]]},
            {"name": "Outputs", "projection": [[["K"]], [["P"]]], "read_write": True},
        ],
    },
    "instance": {"K": 32, "R": 3, "P": 16},
}


def target(name: str, factors: str, order: str, kind: str = "temporal", **more: Any) -> Any:
    return {"target": name, "type": kind, "factors": factors, "permutation": order, **more}


def kept(name: str, *tensors: str) -> Any:
    return {"target": name, "type": "dataspace", "keep": list(tensors)}


BYPASS = [
    target("MainMemory", "R=1 P=1 K=1", "PRK"),
    target("GlobalBuffer", "R=1 P=16 K=0", "PRK"),
    target("RegisterFile", "R=3 P=1 K=2", "RPK"),
    kept("GlobalBuffer", "Weights", "Inputs"),
    kept("RegisterFile", "Outputs"),
]


def counted(
    machine: dict[str, Any], work: dict[str, Any], nest: Any
) -> tuple[Counts, dict[tuple[str, str], tuple[int | float, int | float, int]]]:
    """Counts, and (reads, fills, updates) by memory and tensor as Timeloop counts them.

    It leaves out the reads of an inner memory by which sums go out.
    """
    read = architecture(machine)
    cascade = problem(work, read.bits)
    found = evaluate(
        cascade,
        mapping(nest, read, cascade, einsum_names(work)),
        limits(read.hardware),
    )
    table: dict[tuple[str, str], tuple[int | float, int | float, int]] = {}
    for level in read.levels:
        for tensor in cascade.tensors:
            ins = [t for t in found.transfers if (t.inner, t.tensor) == (level.memory, tensor)]
            outs = [t for t in found.transfers if (t.outer, t.tensor) == (level.memory, tensor)]
            near = [t for t in found.touches if (t.level, t.tensor) == (level.memory, tensor)]
            reads = sum(t.fills + t.returns for t in outs)
            reads += sum(t.points - t.first if t.made else t.points for t in near)
            fills = sum(t.copies + t.returned for t in ins)
            updates = sum(t.drains for t in outs) + sum(t.points for t in near if t.made)
            if ins or outs or near:
                table[level.name, tensor] = (reads, fills, updates)
    return found, table


def test_a_bypassed_buffer_counts_as_in_the_reference_output() -> None:
    found, table = counted(THREE, {"problem": CONV}, BYPASS)
    assert found.steps == 1536
    assert table == {
        ("RegisterFile", "Outputs"): (1024, 0, 1536),
        ("GlobalBuffer", "Weights"): (1536, 96, 0),
        ("GlobalBuffer", "Inputs"): (1536, 18, 0),
        ("MainMemory", "Weights"): (96, 0, 0),
        ("MainMemory", "Inputs"): (18, 0, 0),
        ("MainMemory", "Outputs"): (0, 0, 512),
    }


def test_a_window_that_moves_on_is_fetched_anew_where_timeloop_fetches_what_is_new() -> None:
    """16 windows of 3 are 48 here and 18 there; all other counts are the reference output's."""
    two = timeloop(THREE["architecture"]["nodes"][0], *THREE["architecture"]["nodes"][2:])
    line = {
        "shape": {
            "dimensions": ["R", "P"],
            "data_spaces": [
                {"name": "Weights", "projection": [[["R"]]]},
                {"name": "Inputs", "projection": [[["R"], ["P"]]]},
                {"name": "Outputs", "projection": [[["P"]]], "read_write": True},
            ],
        },
        "instance": {"R": 3, "P": 16},
    }
    nest = [target("MainMemory", "R=1 P=16", "PR"), target("RegisterFile", "R=3 P=1", "RP")]
    _, table = counted(two, {"problem": line}, nest)
    assert table["RegisterFile", "Inputs"] == (48, 48, 0)
    assert table["RegisterFile", "Weights"] == (48, 3, 0)
    assert table["RegisterFile", "Outputs"] == (32, 0, 48)
    assert table["MainMemory", "Outputs"] == (0, 0, 16)


def test_an_eyeriss_like_array_counts_as_in_the_reference_output() -> None:
    """A strided convolution of 3 to 32 channels, 112 x 112; 9 of 12 rows by 14 columns."""
    machine = timeloop(
        component("DRAM", "DRAM", type="LPDDR4", **BYTES),
        component("shared_glb", "smartbuffer_SRAM", depth=16384, **BYTES),
        COLUMN,
        PE,
        component("ifmap_spad", "smartbuffer_RF", depth=12, width=16, datawidth=8),
        component("weights_spad", "smartbuffer_RF", depth=192, width=16, datawidth=8),
        component("psum_spad", "smartbuffer_RF", depth=16, width=16, datawidth=16),
        component("mac", "intmac"),
    )
    work = {
        "shape": {
            "dimensions": list("CMRSNPQ"),
            "coefficients": [{"name": "Step", "default": 2}],
            "data_spaces": [
                {"name": "Weights", "projection": [[["C"]], [["M"]], [["R"]], [["S"]]]},
                {
                    "name": "Inputs",
                    "projection": [
                        [["N"]],
                        [["C"]],
                        [["R"], ["P", "Step"]],
                        [["S"], ["Q", "Step"]],
                    ],
                },
                {
                    "name": "Outputs",
                    "projection": [[["N"]], [["M"]], [["Q"]], [["P"]]],
                    "read_write": True,
                },
            ],
        },
        "instance": {"C": 3, "M": 32, "R": 3, "S": 3, "N": 1, "P": 112, "Q": 112},
    }
    nest = [
        target("psum_spad", "C1 M8 R1 S1 N1 P1 Q1", "MCRSNPQ"),
        target("weights_spad", "C1 M1 R3 S1 N1 P1 Q1", "RCMSNPQ"),
        target("inter_PE_spatial", "C3 M1 R1 S3 N1 P1 Q1", "SCMRNPQ", "spatial", split=0),
        target("inter_PE_column_spatial", "Q14", "QCMRSNP", "spatial", split=1),
        target("shared_glb", "P14 Q4", "QPCMRSN"),
        target("DRAM", "M4 P8 Q2", "MQPCRSN"),
        kept("psum_spad", "Outputs"),
        kept("weights_spad", "Weights"),
        kept("ifmap_spad", "Inputs"),
        kept("shared_glb", "Inputs", "Outputs"),
    ]
    found, table = counted(machine, {"problem": work}, nest)
    assert (found.steps, found.elements) == (86016, 9 * 14)
    assert table == {
        ("psum_spad", "Outputs"): (7225344, 0, 10838016),
        ("weights_spad", "Weights"): (10838016, 193536, 0),
        ("ifmap_spad", "Inputs"): (10838016, 1354752, 0),
        ("shared_glb", "Inputs"): (1354752, 157296, 0),
        ("shared_glb", "Outputs"): (0, 0, 401408),
        ("DRAM", "Weights"): (13824, 0, 0),
        ("DRAM", "Inputs"): (157296, 0, 0),
        ("DRAM", "Outputs"): (0, 0, 401408),
    }


def test_nodes_of_accelforge_are_a_nest() -> None:
    """Two products fused over m: 16 x 8 by 8 x 8 by 8 x 8, what lies between stays inside."""
    arch = [
        {"!": "Memory", "name": "Main", "size": "inf"},
        {"!": "Memory", "name": "Buffer", "size": "inf"},
        {"!": "Compute", "name": "MAC"},
    ]
    work = {
        "rank_sizes": {"M": 16, "N0": 8, "N1": 8, "N2": 8},
        "einsums": [
            {
                "name": "First",
                "tensor_accesses": [
                    {"name": "T0", "projection": ["m", "n1"]},
                    {"name": "W0", "projection": ["n1", "n0"]},
                    {"name": "T1", "projection": ["m", "n0"], "output": True},
                ],
            },
            "T2[m, n2] = T1[m, n0] * W1[n0, n2]",
        ],
    }

    def branch(name: str, *ranks: str) -> dict[str, Any]:
        loops = [{"!": "Temporal", "rank_variable": rank, "tile_shape": 1} for rank in ranks]
        return {"!": "Nested", "nodes": [*loops, {"!": "Compute", "einsum": name}]}

    def storage(place: str, *tensors: str) -> dict[str, Any]:
        return {"!": "Storage", "tensors": list(tensors), "component": place}

    nodes = [
        storage("Main", "T0", "T2", "W0", "W1"),
        storage("Buffer", "W0", "W1"),
        {"!": "Temporal", "rank_variable": "m", "tile_shape": 1},
        storage("Buffer", "T0", "T1", "T2"),
        {"!": "Sequential", "nodes": [branch("First", "n1", "n0"), branch("T2", "n0", "n2")]},
    ]
    found, table = counted({"arch": {"nodes": arch}}, {"workload": work}, {"nodes": nodes})
    assert found.traffic_bytes("dram") == 2 * 16 * 8 + 2 * 64
    assert table["Main", "T1"] == (0, 0, 0)


@pytest.mark.parametrize(
    ("nest", "told"),
    [
        ([target("Nowhere", "R=3", "R")], "Nowhere: temporal: expected loops in time at a memory"),
        ([target("MainMemory", "X=3", "X")], "factors: expected such as R=3"),
        ([{"target": "MainMemory", "type": "magic"}], "expected temporal, spatial or dataspace"),
        ("PRK", "expected a list of targets or nodes"),
        ([3], "mapping: expected a table, found 3"),
        ([target("MainMemory", "R=3", "R", split="x", kind="spatial")], "expected"),
        (
            {"nodes": [{"!": "Compute", "einsum": "Z"}]},
            "einsum: expected one of Outputs, found 'Z'",
        ),
        ({"nodes": [{"!": "Storage", "component": "L9"}]}, "expected a memory .* found 'L9'"),
        ({"nodes": [{"!": "Temporal", "rank_variable": "x"}]}, "expected a rank, found 'x'"),
        ({"nodes": [{"!": "Magic"}]}, "expected Storage, Temporal, Spatial, Sequential or Compute"),
    ],
)
def test_what_is_wrong_is_named(nest: Any, told: str) -> None:
    with pytest.raises((InputError, CoverageError), match=told):
        counted(THREE, {"problem": CONV}, nest)


def test_a_loop_that_ends_sooner_in_the_last_turn_has_a_smaller_last_tile() -> None:
    """K is 3 x 8 + 7, P 2 x 6 + 4; for each tile of K windows of 8, 8 and 6 inputs come."""
    work = {**CONV, "instance": {"K": 31, "R": 3, "P": 16}}
    nest = [
        target("MainMemory", "R=1, P=3, K=4", "PRK"),
        target("GlobalBuffer", "R=1 P=6,4 K=1", "PRK"),
        {**target("RegisterFile", "", "RPK"), "factors": ["R=3", "P=1", "K=8", 7]},
    ]
    found, table = counted(THREE, {"problem": work}, nest)
    assert found.steps == 31 * 16 * 3
    assert table["GlobalBuffer", "Weights"][1] == 31 * 3
    assert table["GlobalBuffer", "Inputs"][1] == 4 * (8 + 8 + 6)
    assert table["MainMemory", "Outputs"] == (0, 0, 31 * 16)
    nest[1]["factors"] = "R=1 P=6,3 K=1"
    with pytest.raises(CoverageError, match="p: expected factors that walk 16 points, found 15"):
        counted(THREE, {"problem": work}, nest)


def test_factors_have_to_fill_every_rank() -> None:
    short = [*BYPASS[:2], target("RegisterFile", "R=2 P=1 K=2", "RPK")]
    with pytest.raises(CoverageError, match="r: expected factors that walk 3 points, found 2"):
        counted(THREE, {"problem": CONV}, short)
    with pytest.raises(CoverageError, match="expected all tensors in the outermost memory"):
        counted(THREE, {"problem": CONV}, [*BYPASS, kept("MainMemory", "Inputs")])


LANES = timeloop(
    component("DRAM", "DRAM", **BYTES),
    component("glb", "SRAM", depth=1024, **BYTES),
    {"!": "Container", "name": "PE", "spatial": {"meshX": 4}},
    component("pe_buffer", "SRAM", depth=64, width=8, datawidth=8),
    {"!": "Container", "name": "lane", "spatial": {"meshX": 3, "meshY": 2}},
    component("lane_register", "regfile", depth=8, width=8, datawidth=8),
    component("mac", "intmac"),
)
PRODUCT = {
    "shape": {
        "dimensions": list("MKN"),
        "data_spaces": [
            {"name": "A", "projection": [[["M"]], [["K"]]]},
            {"name": "B", "projection": [[["K"]], [["N"]]]},
            {"name": "Z", "projection": [[["M"]], [["N"]]], "read_write": True},
        ],
    },
    "instance": {"M": 8, "K": 12, "N": 6},
}
NESTED = [
    target("DRAM", "M1 K2 N1", "MKN"),
    target("glb", "M1 K2 N2", "NKM"),
    target("PE", "M4 K1 N1", "MKN", "spatial"),
    target("pe_buffer", "M2 K1 N1", "MKN"),
    target("lane", "M1 K3 N1", "KMN", "spatial"),
    target("lane_register", "M1 K1 N3", "NKM"),
]


def test_lanes_inside_of_elements_count_as_a_walk_through_them_counts() -> None:
    """4 elements with 3 lanes of 6 each at work; PE and lane loops beside the walk's own."""
    read = architecture(LANES)
    cascade = problem({"problem": PRODUCT}, read.bits)
    nest = mapping(NESTED, read, cascade)
    found = evaluate(cascade, nest, limits(read.hardware))
    assert (found.steps, found.elements) == (8 * 12 * 6 // (4 * 3), 12)
    levels = list(read.hardware.memories)
    seen = walk(cascade, nest, levels, frozenset({"glb"}))
    for column in ("fills", "copies", "drains", "partials", "returns", "returned"):
        ours: dict[Any, int] = {}
        for t in found.transfers:
            key = t.tensor, t.outer, t.inner
            ours[key] = ours.get(key, 0) + getattr(t, column)
        theirs = {key: n for key, n in getattr(seen, column).items() if n}
        assert {key: n for key, n in ours.items() if n} == theirs, column


def test_a_fan_out_is_meant_by_the_memory_around_it_too() -> None:
    """As older mappings have it: what goes over an array stands at the memory outside of it."""
    read = architecture(LANES)
    cascade = problem({"problem": PRODUCT}, read.bits)
    names = {"PE": "glb", "lane": "pe_buffer"}
    older = [{**each, "target": names.get(each["target"], each["target"])} for each in NESTED]
    assert mapping(older, read, cascade) == mapping(NESTED, read, cascade)


def test_elements_keep_nothing_inside_of_loops_over_their_lanes() -> None:
    read = architecture(LANES)
    cascade = problem({"problem": PRODUCT}, read.bits)
    nest = LoopNest("case", "machine", (Loop("k", 4, "lane.columns"), Keep("A", "pe_buffer"), END))
    with pytest.raises(InputError, match="outside of loops over lane"):
        evaluate(cascade, nest, limits(read.hardware))


END = Compute("Z")
