"""The fold: FuseMax's latencies, pipelines walked event by event, and the laws of time."""

import heapq
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import (
    Activity,
    Chance,
    Overlap,
    Rates,
    Repeat,
    Serial,
    Waves,
    Work,
    fold,
    rounds,
    totals,
)
from hwmodel.spine.power import energy_j

# --- Pipelines, walked event by event.

MACHINE = Rates(
    operations={("matrix", "flop", "bf16"): 1.0, ("vector", "flop", "fp32"): 1.0},
    read={"dram": 1.0, "l2": 1.0, "shared": 1.0},
    written={"dram": 1.0},
    messages={"link": (1.0, 1.0)},
    slots={"launch": ("launch", 1.0), "fill": ("launch", 1.0)},
    private=frozenset({"matrix", "vector", "shared"}),
)


def matrix(flops: Amount) -> Work:
    return Work(operations={("matrix", "flop", "bf16"): flops})


def reading(level: str, size: Amount) -> Work:
    return Work(read={level: size})


def stage_walk(stages: tuple[int, int, int], steps: int) -> int:
    """Cycles until every step has passed three stages, one clock at a time.

    All stages start a turn together, at the barrier after the slowest of the turn before.
    """
    cycle = done = entered = 0
    held: list[bool] = [False, False, False]
    while done < steps:
        held = [entered < steps, *held[:2]]
        entered += held[0]
        left = [length if busy else 0 for length, busy in zip(stages, held, strict=True)]
        while any(left):
            left = [max(0, cycles - 1) for cycles in left]
            cycle += 1
        done += held[2]
    return cycle


@pytest.mark.parametrize("stages", [(3, 2, 5), (7, 2, 5), (1, 9, 4), (4, 4, 4), (2, 1, 1)])
@pytest.mark.parametrize("steps", [2, 3, 8, 33])
def test_three_stage_gemm_tile_equals_a_walk_clock_by_clock(
    stages: tuple[int, int, int], steps: int
) -> None:
    """Load from DRAM, copy from shared memory, multiply: prologue, steady state, drain."""
    load, copy, multiply = (
        reading("dram", stages[0]),
        reading("shared", stages[1]),
        matrix(stages[2]),
    )
    tile = Serial(
        (
            load,
            Overlap((load, copy)),
            Repeat(steps - 2, Overlap((load, copy, multiply))),
            Overlap((copy, multiply)),
            multiply,
        )
    )
    folded = fold(tile, MACHINE)
    assert folded.time_s == stage_walk(stages, steps)
    assert dict(folded.busy_s) == {
        "dram": stages[0] * steps,
        "shared": stages[1] * steps,
        "matrix": stages[2] * steps,
    }


@pytest.mark.parametrize("stages", [(3, 2, 5), (1, 1, 9), (4, 4, 4)])
def test_fill_as_a_slot_is_exposed_once(stages: tuple[int, int, int]) -> None:
    """Stages that run on as soon as they can: where the last is slowest, the first two are fill."""
    steps = 40
    ends = [0, 0, 0]
    for _ in range(steps):
        ready = 0
        for stage, length in enumerate(stages):
            ready = ends[stage] = max(ready, ends[stage]) + length
    load, copy, multiply = stages
    leaf = Work(
        operations={("matrix", "flop", "bf16"): multiply * steps},
        read={"dram": load * steps, "shared": copy * steps},
        slots={"fill": load + copy},
    )
    assert fold(leaf, MACHINE).time_s == ends[2]


@pytest.mark.parametrize("seed", range(5))
def test_double_buffered_experts_equal_a_walk_event_by_event(seed: int) -> None:
    """Expert i + 1 loads while i computes: one channel, one array, two buffers."""
    random = np.random.default_rng(seed)
    loads = [int(n) for n in random.integers(1, 50, 12)]
    computes = [int(n) for n in random.integers(0, 50, 12)]

    loaded = computed = before = 0  # when expert i is loaded, i - 1 computed, i - 2 computed
    for load, compute in zip(loads, computes, strict=True):
        loaded = max(loaded, before) + load
        before, computed = computed, max(loaded, computed) + compute

    steps = [
        Overlap((reading("dram", load), matrix(compute)))
        for load, compute in zip(loads[1:], computes, strict=False)
    ]
    tree = Serial((reading("dram", loads[0]), *steps, matrix(computes[-1])))
    assert fold(tree, MACHINE).time_s == computed


# --- Waves.


def list_schedule(tiles: list[float], slots: int) -> float:
    """End of a greedy schedule: each tile goes to the slot that is free first."""
    free = [0.0] * slots
    for tile in tiles:
        heapq.heappush(free, heapq.heappop(free) + tile)
    return max(free)


@pytest.mark.parametrize("tiles", [1, 7, 8, 9, 64, 65, 131])
@pytest.mark.parametrize("slots", [1, 3, 8])
def test_waves_of_equal_tiles_equal_a_greedy_schedule(tiles: int, slots: int) -> None:
    """One slot has 1/slots of the machine, so a tile of 6 operations takes 6 * slots there."""
    assert_allclose(
        fold(Waves(tiles, slots, matrix(6)), MACHINE).time_s,
        list_schedule([6.0 * slots] * tiles, slots),
    )


def test_a_shared_resource_serves_all_tiles_whatever_the_rounds() -> None:
    """9 tiles on 8 slots: 2 rounds of 8 s on the private units; 9 x 3 s on DRAM, which binds."""
    tile = Work(operations={("matrix", "flop", "bf16"): 1}, read={"dram": 3})
    folded = fold(Waves(9, 8, tile), MACHINE)
    assert folded.time_s == 27
    assert dict(folded.busy_s) == {"matrix": 16, "dram": 27}


def test_latencies_repeat_with_every_round() -> None:
    tile = Work(operations={("matrix", "flop", "bf16"): 1}, slots={"fill": 5})
    assert fold(Waves(9, 8, tile), MACHINE).time_s == 2 * (8 + 5)


@pytest.mark.parametrize("seed", range(5))
def test_rounds_of_unequal_tiles_lie_within_a_third_of_longest_first(seed: int) -> None:
    random = np.random.default_rng(seed)
    tiles = sorted(random.uniform(0.2, 3.0, 100), reverse=True)
    mean = sum(tiles) / len(tiles)
    model = float(np.asarray(rounds(100, 16, tiles[0] / mean))) * mean
    walked = list_schedule([float(t) for t in tiles], 16)
    assert model <= walked <= model * 4 / 3


def test_equal_tiles_take_whole_rounds() -> None:
    """100 tiles on 16 slots: six rounds, and one of the four left over."""
    assert rounds(100, 16) == rounds(100, 16, 1) == 7
    assert rounds(96, 16) == 6


def test_waves_inside_waves_are_refused() -> None:
    with pytest.raises(CoverageError, match="Waves inside a Waves"):
        fold(Waves(4, 2, Waves(4, 2, matrix(1))), MACHINE)


# --- Sums, residency, expectations.


def test_counts_and_energy_are_sums_over_the_leaves() -> None:
    """Hand count: 3 x (10 + 5) + 0.25 x 8 = 47 flops, 3 x 4 = 12 bytes, 2 messages of 6 bytes."""
    tree = Serial(
        (
            Repeat(3, Overlap((matrix(10), Serial((matrix(5), reading("dram", 4)))))),
            Chance(0.25, matrix(8)),
            Work(messages={"link": (2, 12)}, atomics=(7, 3)),
        )
    )
    total = totals(tree)
    assert total.operations["matrix", "flop", "bf16"] == 47
    assert total.read["dram"] == 12
    assert total.messages["link"] == (2, 12)
    assert total.atomics == (7, 3)
    rates = replace(
        MACHINE,
        operation_j={("matrix", "flop", "bf16"): 2.0},
        byte_j={"dram": 10.0, "link": 100.0},
        static_w=3.0,
    )
    assert energy_j(tree, rates, 5.0) == 3 * 5 + 47 * 2 + 12 * 10 + 12 * 100
    assert energy_j(tree, replace(rates, byte_j={"dram": 10.0}), 5.0) == 3 * 5 + 47 * 2 + 12 * 10


def test_live_bytes_are_the_most_that_are_live_at_once() -> None:
    small, large = Work(live={"shared": 3}), Work(live={"shared": 10, "dram": 1})
    assert totals(Serial((small, large))).live == {"shared": 10, "dram": 1}
    assert totals(Overlap((small, large))).live == {"shared": 13, "dram": 1}
    assert totals(Repeat(7, large)).live == {"shared": 10, "dram": 1}
    assert totals(Waves(100, 4, small)).live == {"shared": 12}
    assert totals(Waves(2, 4, small)).live == {"shared": 6}


def test_chance_is_the_expectation_over_all_outcomes() -> None:
    """Four rescales, each with probability 0.3: the mean over the 16 outcomes."""
    p, flops = 0.3, [5, 7, 11, 2]
    tree = Serial(tuple(Chance(p, matrix(n)) for n in flops))
    expected = sum(
        np.prod([p if happens else 1 - p for happens in outcome])
        * sum(n for n, happens in zip(flops, outcome, strict=True) if happens)
        for outcome in itertools.product((False, True), repeat=len(flops))
    )
    assert_allclose(fold(tree, MACHINE).time_s, expected)
    assert_allclose(totals(tree).operations["matrix", "flop", "bf16"], expected)


def test_the_hottest_address_binds_atomics() -> None:
    rates = replace(MACHINE, atomics=(100.0, 2.0))
    assert fold(Work(atomics=(100, 10)), rates).time_s == 5
    assert fold(Work(atomics=(1000, 10)), rates).time_s == 10


@pytest.mark.parametrize(
    ("work", "named"),
    [
        (Work(operations={("matrix", "flop", "fp4"): 1}), "fp4; it has: matrix flop bf16$"),
        (
            Work(operations={("tensor", "flop", "fp4"): 1}),
            "fp4; it has: matrix flop bf16, vector flop fp32$",
        ),
        (Work(read={"l3": 1}), "l3; it has: dram, l2, shared$"),
        (Work(written={"shared": 1}), "shared; it has: dram$"),
        (Work(messages={"pcie": (1, 1)}), "pcie; it has: link$"),
        (Work(slots={"drain": 1}), "drain; it has: fill, launch$"),
    ],
)
def test_what_the_machine_lacks_is_named(work: Work, named: str) -> None:
    with pytest.raises(CoverageError, match=named):
        fold(work, MACHINE)


# --- Exactness and arrays.


def test_a_trillion_parameter_training_step_counts_exactly() -> None:
    """6 x 1e12 parameters x 8.5e6 tokens = 5.1e19 FLOPs, beyond what int64 holds."""
    step = Repeat(8_500_000, Repeat(3, matrix(2 * 10**12)))
    flops = totals(step).operations["matrix", "flop", "bf16"]
    assert flops == 51 * 10**18
    assert isinstance(flops, int)
    many = totals(Repeat(np.array([8.5e6, 8.5e6]), matrix(6 * 10**12)))
    np.testing.assert_array_equal(many.operations["matrix", "flop", "bf16"], [5.1e19, 5.1e19])


def mixed(a: Amount, b: Amount, n: Amount) -> Activity:
    """A tree with every node."""
    tile = Work(
        operations={("matrix", "flop", "bf16"): a, ("vector", "flop", "fp32"): b},
        read={"dram": b, "shared": a},
        written={"dram": n},
        messages={"link": (n, a)},
        live={"shared": a},
        slots={"launch": 1},
    )
    return Serial(
        (
            Waves(n, 4, tile),
            Overlap((Repeat(n, tile), Chance(0.5, matrix(b)))),
        )
    )


@pytest.mark.parametrize("sharpness", [np.inf, 4.0])
def test_arrays_broadcast_to_what_a_loop_over_scalars_gives(sharpness: float) -> None:
    rates = replace(MACHINE, sharpness=sharpness)
    random = np.random.default_rng(0)
    a = random.integers(1, 100, (5, 1)).astype(np.float64)
    b = random.integers(1, 100, (1, 6)).astype(np.float64)
    n = random.integers(1, 30, (5, 6)).astype(np.float64)
    together = np.asarray(fold(mixed(a, b, n), rates).time_s)
    assert together.shape == (5, 6)
    for i, j in itertools.product(range(5), range(6)):
        alone = fold(mixed(int(a[i, 0]), int(b[0, j]), int(n[i, j])), rates).time_s
        assert_allclose(together[i, j], alone, rtol=1e-12)


# --- Laws.

COUNT = st.integers(0, 100)


def leaf(flops: int, vector: int, dram: int, shared: int, fill: int) -> Work:
    return Work(
        operations={("matrix", "flop", "bf16"): flops, ("vector", "flop", "fp32"): vector},
        read={"dram": dram, "shared": shared},
        slots={"fill": fill},
    )


LEAF = st.builds(
    leaf,
    COUNT,
    COUNT,
    COUNT,
    COUNT,
    st.integers(0, 3),
)


def nodes(children: st.SearchStrategy[Activity]) -> st.SearchStrategy[Activity]:
    several = st.lists(children, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Serial, several),
        st.builds(Overlap, several),
        st.builds(Repeat, st.integers(1, 5), children),
        st.builds(Chance, st.floats(0, 1, allow_subnormal=False), children),
    )


PLAIN: st.SearchStrategy[Activity] = st.recursive(LEAF, nodes, max_leaves=6)
WAVES = st.builds(Waves, st.integers(1, 20), st.integers(1, 6), PLAIN)
TREE: st.SearchStrategy[Activity] = st.recursive(st.one_of(PLAIN, WAVES), nodes, max_leaves=4)
SHARPNESS = st.sampled_from([np.inf, 8.0, 2.0, 1.0])
SLACK = 1 + 1e-9


@settings(max_examples=60)
@given(TREE, SHARPNESS, st.floats(1, 10), st.sampled_from(["matrix", "dram", "shared", "fill"]))
def test_a_faster_resource_is_never_slower(
    tree: Activity, sharpness: float, factor: float, which: str
) -> None:
    slow = replace(MACHINE, sharpness=sharpness)
    fast = replace(
        slow,
        operations={k: r * factor if k[0] == which else r for k, r in slow.operations.items()},
        read={k: r * factor if k == which else r for k, r in slow.read.items()},
        slots={k: (r, s / factor if k == which else s) for k, (r, s) in slow.slots.items()},
    )
    assert fold(tree, fast).time_s <= fold(tree, slow).time_s * SLACK


@settings(max_examples=60)
@given(TREE, SHARPNESS)
def test_time_is_at_least_that_of_the_busiest_resource(tree: Activity, sharpness: float) -> None:
    folded = fold(tree, replace(MACHINE, sharpness=sharpness))
    assert max(np.max(s) for s in folded.busy_s.values()) <= folded.time_s * SLACK


@settings(max_examples=60)
@given(st.lists(TREE, min_size=1, max_size=3), SHARPNESS)
def test_overlap_lies_between_its_longest_child_and_serial(
    children: list[Activity], sharpness: float
) -> None:
    rates = replace(MACHINE, sharpness=sharpness)
    overlap = fold(Overlap(tuple(children)), rates).time_s
    alone = [fold(child, rates).time_s for child in children]
    assert max(alone) <= overlap * SLACK
    assert overlap <= sum(alone) * SLACK
    assert_allclose(fold(Serial(tuple(children)), rates).time_s, sum(alone))


@settings(max_examples=60)
@given(LEAF, st.integers(1, 40), st.integers(1, 8))
def test_waves_take_no_less_than_the_whole_machine_would(
    tile: Work, tiles: int, slots: int
) -> None:
    """Splitting over slots quantises, never speeds up; a full last round loses nothing."""
    busy = replace(tile, slots={})
    waves = fold(Waves(tiles, slots, busy), MACHINE).time_s
    whole = fold(Repeat(tiles, busy), MACHINE)
    assert waves >= max(np.max(s) for s in whole.busy_s.values()) / SLACK
    if tiles % slots == 0:
        assert waves <= whole.time_s * SLACK


@settings(max_examples=60)
@given(TREE)
def test_counts_do_not_depend_on_how_time_is_shared(tree: Activity) -> None:
    serial, overlap = totals(Serial((tree, tree))), totals(Overlap((tree, tree)))
    assert serial.operations == overlap.operations
    assert serial.read == overlap.read
    assert serial.slots == overlap.slots


def test_what_waits_for_one_thing_waits_in_turn_also_inside_a_wave() -> None:
    """Two seconds on one latency, on 4 slots 8 tiles: two rounds. Nobody else waits for it."""
    rates = Rates(slots={"stall": ("bell", 1.0), "other": ("door", 1.0)})
    same, apart = (
        Overlap((Work(slots={"stall": 1}), Work(slots={name: 1}))) for name in ("stall", "other")
    )
    assert float(fold(Waves(8, 4, same), rates).time_s) == 4
    assert float(fold(Waves(8, 4, apart), rates).time_s) == 2


def test_what_all_slots_share_is_no_time_of_a_tile() -> None:
    """Two private seconds add up where they meet fully; bytes for a tenth of one go beside them."""
    key = ("matrix", "flop", "fp16")
    rates = Rates({key: 4.0}, {"dram": 10.0}, private=frozenset({"matrix"}), inner=1.0)
    tile = Overlap(
        (Work(operations={key: 1.0}), Work(operations={key: 1.0}), Work({}, {"dram": 1}))
    )
    assert float(fold(Waves(4, 4, tile), rates).time_s) == pytest.approx(2)
