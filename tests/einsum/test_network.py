"""Networks: when a workload is one cascade by itself, and how it is made again."""

from dataclasses import replace

import hwmodel as hw
from hwmodel.einsum.cascade import Collective, Stage
from hwmodel.einsum.network import Stack, lone

GEMM = hw.workloads.gemm(M=2, N=3, K=4)
ONCE = Stage(GEMM)


def test_a_cascade_is_lone_and_so_is_a_network_of_one_stage() -> None:
    assert lone(GEMM) is GEMM
    assert lone(Stack("once", (ONCE,))) is GEMM


def test_what_is_repeated_divided_or_served_is_no_lone_cascade() -> None:
    joined = replace(ONCE, collective=Collective("all_reduce", 8, 2))
    for stages in ((ONCE, ONCE), (replace(ONCE, times=2),), (joined,)):
        assert lone(Stack("more", stages)) is None
    assert lone(hw.model("llama-3.2-1b").decode(1, 8)) is None


def test_a_network_of_one_stage_is_mapped_as_its_cascade() -> None:
    alone = hw.map(GEMM.but(dtype="int8"), "peer-a2")
    network = Stack("once", (Stage(GEMM.but(dtype="int8")),))
    assert hw.map(network, "peer-a2").value == alone.value
