"""Which mapper answers, and Einsums that are mapped one by one."""

import pytest

from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.errors import CoverageError, UnknownNameError
from hwmodel.mappers.map import map_cascade, map_front
from hwmodel.mappers.tiles import map_tiles
from hwmodel.mappers.unfused import alone
from hwmodel.registry import device

CHAIN = parse(
    "T[m, n] = A[m, k] * B[k, n]\nZ[m, p] = T[m, n] * C[n, p]",
    sizes={"m": 64, "n": 48, "k": 32, "p": 40},
    dtypes={"*": "int8"},
    name="chain",
)
MACHINE = device("peer-a2").but(buffer={"capacity": "1 KiB"})


def test_unfused_is_the_sum_of_the_best_of_each() -> None:
    parts = [map_tiles(alone(e, CHAIN), MACHINE).traffic_bytes for e in CHAIN.einsums]
    whole = map_cascade(CHAIN, MACHINE, fused=False)
    assert whole.traffic_bytes == sum(parts)
    assert whole.certificate.mapspace == "uniform, unfused"
    assert whole.certificate.optimal_in_mapspace


def test_fusing_is_never_worse_and_saves_the_intermediate_where_it_fits() -> None:
    fused, apart = (map_cascade(CHAIN, MACHINE, fused=f) for f in (True, False))
    assert fused.traffic_bytes <= apart.traffic_bytes
    roomy = MACHINE.but(buffer={"capacity": "64 KiB"})
    least = 64 * 32 + 32 * 48 + 48 * 40 + 64 * 40
    assert map_cascade(CHAIN, roomy).traffic_bytes == least
    assert map_cascade(CHAIN, roomy, fused=False).traffic_bytes == least + 2 * 64 * 48


def test_a_fused_answer_for_time_is_the_one_for_traffic() -> None:
    by_time = map_cascade(CHAIN, MACHINE, objective="latency")
    assert by_time.certificate.objective == "latency"
    assert by_time.traffic_bytes == map_cascade(CHAIN, MACHINE).traffic_bytes


def test_a_cascade_on_an_array_says_what_was_not_searched() -> None:
    found = map_cascade(CHAIN, device("peer-a3"))
    assert found.certificate.optimal_in_mapspace
    assert "outermost boundary alone was searched" in found.notes[-1]
    assert "nothing is kept in register" in found.notes[-1]
    partial = map_cascade(attention(1, 1, 256, 256, 16, passes=3), device("fusemax"))
    assert any("leave out lane, register" in note for note in partial.notes)


def test_machines_and_words_that_no_mapper_covers_are_refused() -> None:
    for asked in (map_cascade, map_front):
        with pytest.raises(CoverageError, match=r"such as peer-a2, .* kind 'gpu'"):
            asked(CHAIN, device("h200"))
    with pytest.raises(CoverageError, match="expected one Einsum for a front, found 2"):
        map_front(CHAIN, MACHINE)
    with pytest.raises(CoverageError, match="one Einsum on a memory and buffers"):
        map_cascade(CHAIN, MACHINE, double=True)
    with pytest.raises(CoverageError, match="traffic at the outermost memory"):
        map_cascade(CHAIN, device("peer-a3"), objective="energy")
    running = attention(1, 1, 256, 256, 8)
    with pytest.raises(CoverageError, match="recurrent along m1 where nothing is fused"):
        map_cascade(running, MACHINE, fused=False)
    with pytest.raises(UnknownNameError, match="accounting rules"):
        map_cascade(CHAIN, MACHINE, rules="none")
