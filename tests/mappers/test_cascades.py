"""Which mapper answers, and Einsums that are mapped one by one."""

from functools import partial

import pytest

from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.hardware.catalogue import device
from hwmodel.machines.spatial.boxes import alone
from hwmodel.mappers.cascades import map_front, map_nests
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.tiles import map_tiles
from hwmodel.quantity.errors import CoverageError, UnknownNameError

CHAIN = parse(
    "T[m, n] = A[m, k] * B[k, n]\nZ[m, p] = T[m, n] * C[n, p]",
    sizes={"m": 64, "n": 48, "k": 32, "p": 40},
    dtypes={"*": "int8"},
    name="chain",
)
MACHINE = device("peer-a2").but(buffer={"capacity": "1 KiB"})


def test_unfused_is_the_sum_of_the_best_of_each() -> None:
    parts = [certified(map_tiles, alone(e, CHAIN), MACHINE).traffic_bytes for e in CHAIN.einsums]
    whole = certified(map_nests, CHAIN, MACHINE, fused=False)
    assert whole.traffic_bytes == sum(parts)
    assert whole.certificate.mapspace == "uniform, unfused"
    assert whole.certificate.optimal_in_mapspace


def test_fusing_is_never_worse_and_saves_the_intermediate_where_it_fits() -> None:
    fused, apart = (certified(map_nests, CHAIN, MACHINE, fused=f) for f in (True, False))
    assert fused.traffic_bytes <= apart.traffic_bytes
    roomy = MACHINE.but(buffer={"capacity": "64 KiB"})
    least = 64 * 32 + 32 * 48 + 48 * 40 + 64 * 40
    assert certified(map_nests, CHAIN, roomy).traffic_bytes == least
    assert certified(map_nests, CHAIN, roomy, fused=False).traffic_bytes == least + 2 * 64 * 48


def test_a_fused_answer_for_time_is_the_one_for_traffic() -> None:
    by_time = certified(map_nests, CHAIN, MACHINE, objective="latency")
    assert by_time.certificate.objective == "latency"
    assert by_time.traffic_bytes == certified(map_nests, CHAIN, MACHINE).traffic_bytes


def test_what_was_not_proven_for_traffic_is_not_for_time() -> None:
    """`pinned` is searched by its best so far: an optimum may hide, but not below a bound."""
    for objective in ("traffic", "latency", "energy"):
        found = certified(map_nests, CHAIN, MACHINE, mapspace="pinned", objective=objective)
        least = found.value == found.certificate.bound  # time is that of arithmetic alone
        assert least == (objective == "latency") == found.certificate.optimal_in_mapspace
        proven = certified(map_nests, CHAIN, MACHINE, objective=objective)
        assert proven.certificate.optimal_in_mapspace


def test_a_cascade_on_an_array_says_what_was_not_searched() -> None:
    found = certified(map_nests, CHAIN, device("peer-a3"))
    assert found.certificate.optimal_in_mapspace
    partial = certified(map_nests, attention(1, 1, 256, 256, 16, passes=3), device("fusemax"))
    for answer, kept in ((found, "nothing is kept in register"), (partial, "leave out lane, reg")):
        assert any("outermost boundary alone was searched" in note for note in answer.notes)
        assert any(kept in note for note in answer.notes)
        assert "hw.predict says both" in str(answer)
        record = answer.record()
        for name in ("time_s", "energy_j", "bottleneck"):
            assert record[name] is None
            assert f"{record['traffic_bytes']:,} bytes cross the dram boundary\n" in str(answer)


@pytest.mark.thorough
def test_a_recurrence_runs_fused_on_an_array_in_less_than_three_times_the_least() -> None:
    """Of a binding time is `predict`'s; without one it is of a nest on all elements, not on one."""
    work = attention(1, 1, 128, 128, 16)
    machine = device("peer-a3")
    found = certified(map_nests, work, machine, objective="latency", time_limit_s=4.0)
    assert found.certificate.bound <= found.value < 3 * found.certificate.bound
    with pytest.raises(CoverageError, match="expected objective 'traffic' for several"):
        certified(map_nests, CHAIN, device("fusemax"), objective="latency")


def test_the_parts_that_were_chosen_for_a_rank_are_said() -> None:
    machine = device("peer-a2")
    work = attention(1, 1, 8, 60, 4, tile=16)
    found = certified(map_nests, work, machine)
    assert found.certificate.optimal_in_mapspace
    (given,) = found.certificate.given
    outer, inner = (found.cascade.ranks[name].size for name in ("m1", "m0"))
    told = f"m in parts m1 x m0 of {outer} x {inner}, the best that divide it, or an eighth more"
    assert given == told
    assert given in " ".join(str(found).split())
    assert found.record()["mapspace_given"] == [given]
    assert certified(map_nests, CHAIN, MACHINE).certificate.given == ()


def test_windows_say_that_what_tiles_share_is_fetched_anew() -> None:
    made = parse(
        "tensor I[c, q]\nO[c, p] = I[c, p+r] * W[c, r]",
        sizes={"c": 2, "p": 6, "r": 3, "q": 8},
        dtypes={"*": "int8"},
        name="depthwise",
    )
    found = certified(map_nests, made, device("peer-a2").but(buffer={"capacity_bytes": 7}))
    assert found.certificate.given == (
        "a tile of a window fetched anew whenever one of its ranks moves on",
    )
    assert found.traffic_bytes >= 2 * (6 + 8 + 3)


def test_machines_and_words_that_no_mapper_covers_are_refused() -> None:
    for asked in (partial(certified, map_nests), map_front):
        with pytest.raises(CoverageError, match=r"such as peer-a2, .* kind 'gpu'"):
            asked(CHAIN, device("h200"))
    with pytest.raises(CoverageError, match="expected one Einsum for a front, found 2"):
        map_front(CHAIN, MACHINE)
    with pytest.raises(CoverageError, match="one Einsum on a memory and buffers"):
        certified(map_nests, CHAIN, MACHINE, double=True)
    running = attention(1, 1, 256, 256, 8)
    with pytest.raises(CoverageError, match="recurrent along m1 where nothing is fused"):
        certified(map_nests, running, MACHINE, fused=False)
    with pytest.raises(UnknownNameError, match="accounting rules"):
        certified(map_nests, CHAIN, MACHINE, rules="none")


def test_a_what_if_that_leaves_joules_as_they_were_says_so() -> None:
    """The source of peer-a2's joules has no law of capacity; bytes alone do not depend on it."""
    said = "memories.buffer.energy: its source has no law of capacity"
    assert any(
        said in note for note in certified(map_nests, CHAIN, MACHINE, objective="energy").notes
    )
    assert not any(said in note for note in certified(map_nests, CHAIN, MACHINE).notes)
