"""Linear layers of engines: bytes that narrowing moves, by hand, rows in turns, and a host."""

import pytest

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import limits
from hwmodel.machines.gpu.rates import rates
from hwmodel.machines.gpu.schedules import cublas
from hwmodel.machines.gpu.schedules.gemm import GemmProblem
from hwmodel.machines.gpu.schedules.layers import Layer
from hwmodel.machines.gpu.schedules.library_tile import LibraryTile
from hwmodel.spine.activity import fold, totals

H200 = device("h200")
ROOM = limits(H200)


def made(M: int, N: int = 1024, K: int = 2048) -> tuple[GemmProblem, LibraryTile]:
    problem = GemmProblem(M=M, N=N, K=K, dtype_a="fp8", dtype_b="fp8", dtype_out="bf16")
    return problem, cublas.resolved(cublas.menu()[0], problem, ROOM)


def seconds(layer: Layer, values: dict[str, float], M: int, N: int = 1024, K: int = 2048) -> float:
    return float(fold(layer(*made(M, N, K), ROOM), rates(H200, values)).time_s)


def test_narrowing_reads_two_bytes_of_each_activation_and_writes_one() -> None:
    alone = totals(cublas.activity(*made(512), ROOM))
    for how in ("stream", "rows"):
        layer = totals(Layer(narrows=how)(*made(512), ROOM))
        for level in ("dram", "l2"):
            assert layer.read[level] - alone.read[level] == pytest.approx(2 * 512 * 2048)
        assert layer.written["dram"] - alone.written["dram"] == pytest.approx(512 * 2048)
    plain = totals(Layer(narrows="")(*made(512), ROOM))
    assert plain.read["dram"] == alone.read["dram"]


@pytest.mark.parametrize(("rows", "turns"), [(1, 1), (264, 1), (265, 2), (2640, 10)])
def test_rows_take_turns_two_on_each_of_132_processors(rows: int, turns: int) -> None:
    layer = Layer(narrows="rows")
    waits = [{"cycle": clocks, "narrow": 1e6} for clocks in (1e5, 1e5 + 1e3)]
    times = [seconds(layer, values, rows, K=128) for values in waits]
    # all else is hidden by so long a wait
    clocks = turns * 1e3 / float(H200.clock_hz)
    assert times[1] - times[0] == pytest.approx(clocks, rel=1e-6)


def test_a_long_row_is_narrowed_at_so_many_elements_a_clock() -> None:
    layer, K = Layer(narrows="rows"), 2**16
    each = [seconds(layer, {"cycle": 0.0, "narrow": share}, 1, K=K) for share in (0.01, 0.02)]
    # two rows share a processor's 32 x 0.01 elements a clock, whether both are there or not
    clocks = 2 * K / (32 * 0.01) - 2 * K / (32 * 0.02)
    assert each[0] - each[1] == pytest.approx(clocks / float(H200.clock_hz), rel=1e-6)


def test_a_layer_outside_of_a_graph_takes_its_hosts_time_or_its_own() -> None:
    values = {"host": 3.0, "host_few": 1.0, "host_other": 7.0, "host_ragged": 0.5}
    eager_s = float(H200.launch.eager_s)
    sizes = ((16, 8192, 1.0), (15, 8192, 1.0), (64, 8192, 3.0), (65, 8192, 3.5), (65, 8224, 7.0))
    for M, N, launches in sizes:
        found = seconds(Layer(eager=True), values, M, N)
        assert found == pytest.approx(launches * eager_s)
    large = [seconds(Layer(eager=each), values, 2**17, 8192, 8192) for each in (True, False)]
    assert large[0] == pytest.approx(large[1])
