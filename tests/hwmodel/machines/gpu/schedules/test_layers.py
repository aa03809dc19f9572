"""Linear layers of engines: bytes that narrowing moves, by hand, and a host that hides the rest."""

import numpy as np
import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.rates import rates
from hwmodel.machines.gpu.schedules import cublas
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.machines.gpu.schedules.layers import Layer
from hwmodel.spine.activity import fold, totals

H200 = device("h200")
ROOM = limits(H200)
PROBLEM = GemmProblem(M=512, N=1024, K=2048, dtype_a="fp8", dtype_b="fp8", dtype_out="bf16")
TILE = cublas.resolved(cublas.menu()[0], PROBLEM, ROOM)


def test_narrowing_reads_two_bytes_of_each_activation_and_writes_one() -> None:
    alone, layer = (
        totals(each(PROBLEM, TILE, ROOM)) for each in (cublas.activity, Layer(narrows=True))
    )
    for level in ("dram", "l2"):
        assert layer.read[level] - alone.read[level] == pytest.approx(2 * 512 * 2048)
    assert layer.written["dram"] - alone.written["dram"] == pytest.approx(512 * 2048)
    plain = totals(Layer(narrows=False)(PROBLEM, TILE, ROOM))
    assert plain.read["dram"] == alone.read["dram"]


def test_a_layer_outside_of_a_graph_takes_its_hosts_time_or_its_own() -> None:
    values = {"host": 3.0}
    for M, hidden in ((16, False), (2**17, True)):
        problem = GemmProblem(M=M, N=8192, K=8192, dtype_a="fp8", dtype_b="fp8")
        tile = cublas.resolved(cublas.menu()[0], problem, ROOM)
        eager, graph = (
            fold(Layer(eager=each)(problem, tile, ROOM), rates(H200, values)).time_s
            for each in (True, False)
        )
        host_s = 3.0 * float(np.asarray(H200.launch.eager_s))
        assert eager == pytest.approx(graph if hidden else host_s)
