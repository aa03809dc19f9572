"""Machines with several memories and an array: optima against search without pruning, and peers."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.convolution import conv2d
from hwmodel.hardware.catalogue import device
from hwmodel.machines.spatial.rules import PORTS
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.levels import front_levels, map_levels
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.mappers.nests.tiles import map_tiles
from hwmodel.quantity.errors import CapacityError, CoverageError, UnknownNameError
from hwmodel.spine.mapping import Keep, Loop
from tests.mappers.nests.exhaustive import (
    PICO,
    PRODUCT,
    TEXTS,
    WINDOWS,
    Tiny,
    a3,
    every_mapping,
    product_of,
    ragged_case,
    ragged_costs,
    tiny,
    walked,
)
from tests.thorough import but_first

CASES = [*((seed, WINDOWS) for seed in range(8)), *((seed, TEXTS) for seed in range(30))]


ORDER = [case for pair in zip(CASES[:8], CASES[8:16], strict=True) for case in pair] + CASES[16:]
"""Windows and others in turn."""


@pytest.mark.parametrize(("seed", "texts"), but_first(6, ORDER))
def test_the_best_is_that_of_search_without_pruning(
    seed: int, texts: dict[str, tuple[str, str, int]]
) -> None:
    case = tiny(seed, texts)
    energy, time = (np.concatenate(x) for x in zip(*every_mapping(case), strict=True))
    for objective, values in (("energy", energy), ("latency", time), ("edp", energy * time)):
        found = certified(
            map_levels, case.cascade, case.machine, objective=objective, mapspace="interleaved"
        )
        scale = {"energy": PICO, "latency": 1e-9, "edp": PICO * 1e-9}[objective]
        assert found.certificate.value == pytest.approx(values.min() * scale, rel=1e-9)
        assert found.certificate.optimal_in_mapspace
    front = [
        (joules, seconds)
        for joules, seconds in sorted(
            {(round(e, 6), round(t, 6)) for e, t in zip(energy, time, strict=True)}
        )
        if not any(
            (energy <= joules + 1e-6) & (time < seconds - 1e-6)
            | (energy < joules - 1e-6) & (time <= seconds + 1e-6)
        )
    ]
    answers = front_levels(case.cascade, case.machine)
    found_front = [(a.costs.energy_j / PICO, a.costs.time_s * 1e9) for a in answers]
    assert len(found_front) == len(front)
    assert np.allclose(found_front, front, rtol=1e-6)


WALKED = [*((seed, TEXTS) for seed in (*range(100, 112), 8)), *((s, WINDOWS) for s in range(4))]


@pytest.mark.parametrize(("seed", "texts"), WALKED)
def test_what_the_answer_moves_is_what_a_walk_through_its_words_moves(
    seed: int, texts: dict[str, tuple[str, str, int]]
) -> None:
    case = tiny(seed, texts)
    if (seed, texts) == (8, TEXTS):  # registers hold sums while the buffer goes on to other tiles
        machine = a3("40 B", register={"capacity": "8 B"})
        machine = machine.but(arrays={"elements": {"rows": 2, "columns": 2}})
        case = Tiny(product_of(8), machine, 2)
    for objective in ("energy", "latency"):
        found = certified(
            map_levels, case.cascade, case.machine, objective=objective, mapspace="interleaved"
        )
        work = found.costs.work
        counted = {
            level: work.read.get(level, 0) + work.written.get(level, 0)
            for level in case.machine.memories
        }
        assert counted == walked(case, found.mapping)


# What peers publish, and laws.


def test_the_three_level_machine_at_1024() -> None:
    """Best known: 7,975,469,056 in all; arithmetic, registers, buffer and DRAM as published."""
    found = certified(map_levels, product_of(1024), a3(), objective="energy")
    assert found.certificate.value == pytest.approx(7_975_469_056 * PICO, rel=1e-12)
    work = found.costs.work
    moved = {
        n: work.read.get(n, 0) + work.written.get(n, 0) for n in ("register", "buffer", "dram")
    }
    assert moved["register"] == 4_712_300_544
    assert moved["buffer"] * 6 == 301_989_888
    assert moved["dram"] * 200 == 1_887_436_800
    assert sum(work.operations.values()) == 2 * 1_073_741_824
    assert found.costs.time_s == pytest.approx(4_194_304e-9)
    assert found.certificate.optimal_in_mapspace
    assert 0 < found.certificate.gap_to_bound < 0.2


def test_the_three_level_machine_at_256() -> None:
    """Best known with 16 KiB: 187,432,960 at 65,536 cycles, keeps of all levels in any order."""
    (found,) = front_levels(product_of(256), a3("16 KiB"))
    levels = [node.level for node in found.mapping.nest if isinstance(node, Keep)]
    assert "buffer" in levels[levels.index("register") :]
    assert found.certificate.value == pytest.approx(187_432_960 * PICO, rel=1e-12)
    assert found.costs.time_s == pytest.approx(65_536e-9)
    assert found.certificate.optimal_in_mapspace


@pytest.mark.parametrize(
    ("buffer", "published"), [("128 KiB", 506_135_052_288), ("512 KiB", 449_897_824_256)]
)
def test_at_4096_less_energy_than_published(buffer: str, published: int) -> None:
    found = certified(map_levels, product_of(4096), a3(buffer), objective="energy")
    assert found.certificate.value < published * PICO
    assert found.certificate.optimal_in_mapspace


@pytest.mark.parametrize(
    ("size", "buffer", "gain"), [(1024, "128 KiB", 0), (60, "1 KiB", 0), (90, "300 B", 8100)]
)
def test_without_an_array_two_levels_are_what_the_two_level_mapper_finds(
    size: int, buffer: str, gain: int
) -> None:
    """But where a rank walked by two loops is better than by one, as in the last case."""
    machine = device("peer-a2").but(buffer={"capacity": buffer})
    found = certified(map_levels, product_of(size), machine, objective="traffic")
    tiles = certified(
        map_tiles, product_of(size), machine, objective="traffic", mapspace="divisors"
    )
    assert found.certificate.value == tiles.certificate.value - gain
    assert found.certificate.optimal_in_mapspace


def test_a_larger_buffer_never_needs_more_energy() -> None:
    sizes = ("64 B", "512 B", "8 KiB")
    values = [
        certified(map_levels, product_of(32), a3(size), objective="energy").certificate.value
        for size in sizes
    ]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


def test_more_bandwidth_is_never_slower() -> None:
    rates = ("0.25 GB/s", "1 GB/s", "4 GB/s", "16 GB/s")
    values = [
        certified(
            map_levels, product_of(32), a3("1 KiB", dram={"bandwidth": rate}), objective="latency"
        ).certificate.value
        for rate in rates
    ]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


@pytest.mark.thorough
def test_each_answer_of_a_front_trades_time_for_energy() -> None:
    machine = a3("64 B", dram={"bandwidth": "2 GB/s", "energy": "20 pJ/B"})
    front = front_levels(product_of(16), machine)
    points = [(each.costs.energy_j, each.costs.time_s) for each in front]
    assert len(points) > 1
    assert [time for _, time in points] == sorted((time for _, time in points), reverse=True)
    least = certified(map_levels, product_of(16), machine, objective="energy").costs.energy_j
    fastest = certified(map_levels, product_of(16), machine, objective="latency").costs
    assert points[0][0] == pytest.approx(least)
    assert points[-1] == pytest.approx((fastest.energy_j, fastest.time_s))


def test_idle_watts_count_while_the_array_works() -> None:
    idle = a3("1 KiB").but(power={"idle": "1 W"})
    still, drawn = (
        certified(map_levels, product_of(32), a3("1 KiB"), objective="energy"),
        certified(map_levels, product_of(32), idle, objective="energy"),
    )
    least = still.certificate.value + drawn.costs.time_s * 1.0
    assert drawn.certificate.value >= least * (1 - 1e-12)
    assert drawn.certificate.optimal_in_mapspace


# What it refuses.


def test_a_register_without_room_for_one_of_each_tensor_says_what_would_suffice() -> None:
    with pytest.raises(CapacityError, match=r"register holds 2 bytes.*3 bytes would suffice"):
        certified(map_levels, product_of(4), a3(register={"capacity": "2 B"}), objective="energy")


def test_several_einsums_other_rules_and_unknown_mapspaces_are_refused() -> None:
    two = parse("T[m] = A[m]\nZ[m] = exp(T[m])", sizes={"m": 4}, dtypes={"*": "int8"})
    with pytest.raises(CoverageError, match="one Einsum, found 2"):
        certified(map_levels, two, a3())
    with pytest.raises(CoverageError, match="'overlap', found 'ports'"):
        certified(map_levels, product_of(4), a3(), rules=PORTS, objective="energy")
    with pytest.raises(UnknownNameError, match=r"known: .*interleaved.*ragged"):
        certified(map_levels, product_of(4), a3(), mapspace="uniform", objective="energy")


def test_too_many_divisors_are_refused_before_the_memory_runs_out() -> None:
    with pytest.raises(CoverageError, match="boxes of divisors"):
        certified(map_levels, product_of(720_720), a3(), objective="energy")


def vectors(size: int, mapspace: str) -> NestMapped:
    wide = {"bandwidth": "1 PB/s"}
    machine = a3(arrays={"elements": {"columns": 1}}, dram=wide).but(buffer=wide)
    cascade = parse("Z[m] = A[m] * B[m]", sizes={"m": size}, dtypes={"*": "int8"})
    return certified(map_levels, cascade, machine, objective="latency", mapspace=mapspace)


def test_where_spreads_must_divide_a_prime_size_leaves_the_array_idle() -> None:
    """1009 is prime: 1009 steps of one element; padded to 1024, 64 steps of 16."""
    prime, padded = vectors(1009, "interleaved"), vectors(1024, "interleaved")
    for found, elements, steps in ((prime, 1, 1009), (padded, 16, 64)):
        assert (found.costs.counts.elements, found.costs.counts.steps) == (elements, steps)
        assert found.certificate.optimal_in_mapspace
        assert "tiles and spreads that divide their ranks" in found.certificate.given[-1]
    assert not any("elements work" in note for note in padded.notes)
    (note,) = (note for note in prime.notes if "elements work" in note)
    assert "1 of 16 elements work (6.2%)" in note
    assert "pad sizes to multiples of 16 for more: m 1,009 -> 1,024" in note
    assert note in " ".join(str(prime).split())


def test_rows_that_are_partly_idle_take_a_prime_size_as_fast_as_the_next_multiple() -> None:
    """ceil(1009 / 16) = 64 steps of 16 elements; 1009 of the 1024 turns of elements do work."""
    found = vectors(1009, "ragged")
    assert (found.costs.counts.elements, found.costs.counts.steps) == (16, 64)
    assert found.certificate.optimal_in_mapspace
    assert found.utilisation == pytest.approx(1009 / 1024)
    assert found.record()["utilisation"] == found.utilisation
    assert "98.5% of the elements' turns do work" in " ".join(str(found).split())


@pytest.mark.parametrize("size", [1009, 1021])
def test_a_prime_product_costs_no_more_than_the_next_multiple(size: int) -> None:
    """1024: 7,975,469,056 units in 4,194,304 cycles; nothing in the mapspace is 1 % better."""
    found = certified(map_levels, product_of(size), a3(), objective="energy")
    assert found.certificate.value <= 7_975_469_056 * PICO
    assert found.costs.time_s <= 4_194_304e-9
    assert found.certificate.mapspace_gap < 0.01
    assert found.utilisation == pytest.approx(size**3 / (256 * found.costs.counts.steps))


@pytest.mark.thorough
def test_random_sizes_cost_no_more_than_their_next_multiples() -> None:
    draw = random.Random(7)
    for objective in ("energy", "latency"):
        for _ in range(3):
            sizes = {rank: draw.randint(17, 64) for rank in "mnk"}
            whole = {rank: -(-size // 16) * 16 for rank, size in sizes.items()}
            ours, next_ = (
                certified(
                    map_levels,
                    parse(PRODUCT, sizes=each, dtypes={"*": "int8"}),
                    a3("2 KiB"),
                    objective=objective,
                    mapspace=mapspace,
                ).certificate
                for each, mapspace in ((sizes, "ragged"), (whole, "interleaved"))
            )
            assert ours.value <= next_.value * (1 + 1e-9)
            assert ours.mapspace_bound <= ours.value * (1 + 1e-9)


def test_a_rank_that_no_side_divides_is_not_padded_where_it_lies_along_none() -> None:
    """All 51 columns are computed at once, of 41 rows eight: five times in two turns, once in one.

    That takes less than the DRAM, which brings inputs and outputs once, at 16 bytes a turn.
    """
    work = parse(PRODUCT, sizes={"m": 41, "n": 51, "k": 23}, dtypes={"*": "int8"})
    found = certified(map_levels, work, a3("128 KiB"), objective="latency")
    assert found.costs.counts.steps == (5 * 2 + 1) * 23
    assert found.costs.time_s == pytest.approx((41 * 51 + 41 * 23 + 51 * 23) / 16e9)
    assert found.certificate.optimal_in_mapspace


RAGGED = [
    ("stride", (3, 2), (4, 1)),
    ("map", (3, 2), (2, 1)),
    ("row", (3, 2), (2, 1)),
    ("row", (1, 5), (4, 1)),
    ("map", (3, 3), (2, 1)),
]


@pytest.mark.parametrize(("text", "sizes", "array"), but_first(2, RAGGED))
def test_no_walk_with_idle_elements_falls_below_what_is_proven(
    text: str, sizes: tuple[int, ...], array: tuple[int, int]
) -> None:
    """All nests of sizes as they are and of the next multiples, counted one by one."""
    case = ragged_case(text, sizes, array)
    every = list(ragged_costs(case, text))
    for objective in ("energy", "latency", "edp"):
        least = min(costs.value(objective) for costs in every)
        proof = certified(map_levels, case.cascade, case.machine, objective=objective).certificate
        assert proof.mapspace_bound <= least * (1 + 1e-9)
        assert proof.value >= least * (1 - 1e-9)
        if proof.optimal_in_mapspace:
            assert proof.value == pytest.approx(least, rel=1e-9)


ZEROS = [
    ("row", (2, 2), (2, 1), "skipping", {"A": "0.5 exact", "B": 0.5}),
]


@pytest.mark.parametrize(("text", "sizes", "array", "sparsity", "densities"), ZEROS)
def test_the_best_of_work_with_zeros_is_that_of_all_nests_counted_one_by_one(
    text: str, sizes: tuple[int, ...], array: tuple[int, int], sparsity: str, densities: Any
) -> None:
    dense = ragged_case(text, sizes, array)
    machine = dense.machine.but(
        sparsity=sparsity,
        register={"capacity": "6 B"},
        arrays={"elements": {"hop_energy": "2 pJ/B"}},
    )
    case = replace(dense, cascade=dense.cascade.sparse(**densities), machine=machine)
    every = list(ragged_costs(case, text))
    for objective in ("energy", "latency", "edp"):
        least = min(costs.value(objective) for costs in every)
        proof = certified(
            map_levels, case.cascade, machine, objective=objective, mapspace="interleaved"
        ).certificate
        assert proof.value == pytest.approx(least, rel=1e-9)
        assert proof.optimal_in_mapspace
        assert proof.bound <= least * (1 + 1e-9)


@pytest.mark.thorough
def test_when_time_is_over_the_best_that_was_found_is_the_answer_with_its_gap() -> None:
    """At once, some nest, and how good it is."""
    hurried = certified(
        map_levels, product_of(24), a3("256 B"), objective="energy", time_limit_s=0.0
    )
    patient = certified(map_levels, product_of(24), a3("256 B"), objective="energy")
    assert hurried.certificate.mapspace_bound <= patient.certificate.mapspace_bound
    assert patient.certificate.value <= hurried.certificate.value
    assert not hurried.certificate.optimal_in_mapspace
    assert 0 < hurried.certificate.mapspace_gap < 1


def test_a_convolution_on_rows_and_columns_of_eyeriss_by_hand() -> None:
    """A window of 3 rows by 13 rows of outputs; of 12 rows 4 sets fit: 156 of 168 elements.

    Filters and channels are 2 each, so that a set has one of each; an element adds 13 outputs of 3
    taps. Each row of the input goes once to the buffer, and from there once to a diagonal.
    """
    layer = conv2d(
        batch=1, channels=2, filters=2, height=15, width=15, window=3, dtype="int16"
    ).but(out_dtype="int16")
    found = certified(
        map_levels, layer, device("eyeriss"), objective="latency", mapspace="row-stationary"
    )
    assert found.costs.counts.elements == 156
    assert found.costs.counts.steps == 2 * 2 * 13 * 13 * 9 // 156
    assert found.utilisation == pytest.approx(156 / 168)
    spread = {(n.rank, n.array) for n in found.mapping.nest if isinstance(n, Loop) and n.array}
    assert spread == {("r", "rows"), ("c", "rows"), ("k", "rows"), ("y", "columns")}
    (rows,) = (t for t in found.costs.counts.transfers if (t.tensor, t.outer) == ("I", "buffer"))
    assert rows.fills == 2 * 15 * 15
    assert rows.copies == 2 * 2 * 13 * 3 * 15
