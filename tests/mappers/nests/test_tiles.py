"""The tile mapper against exhaustive search, published optima and an integer program."""

import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise, permutations, product
from math import prod
from typing import Any

import pytest
from hypothesis import strategies as st

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.rules import OVERLAP, PORTS, Rules
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.costs import Costs, cost
from hwmodel.mappers.nests.front import front
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.mappers.nests.tiles import map_tiles
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError, UnknownNameError
from hwmodel.spine.mapping import Compute, Keep, Loop, Mapping
from tests.loop_walk import walk
from tests.thorough import but_first, tried

PRODUCT = "Z[m, n] = A[m, k] * B[k, n]"
TEXTS = {
    "product": (PRODUCT, "mnk"),
    "batch": ("Z[b, m] = A[b, m, k] * B[b, k]", "bmk"),
    "shared": ("Z[b, m] = A[b, k] * B[m, k]", "bmk"),
    "window": ("tensor I[i]\nZ[c, y] = I[y+r] * W[c, r]", "cyr"),
    "stride": ("tensor I[i]\nZ[c, y] = I[2*y+r] * W[c, r]", "cyr"),
    "map": ("Z[m, n] = exp(A[m, n]) + B[n]", "mn"),
    "four": ("Z[a, b] = A[a, c] * B[c, d] * C[d, b]", "abcd"),
}


def product_of(size: int, dtype: str) -> Cascade:
    return parse(PRODUCT, sizes={"m": size, "n": size, "k": size}, dtypes={"*": dtype})


def machine(capacity: str | float, **changes: Any) -> Hardware:
    field = "capacity" if isinstance(capacity, str) else "capacity_bytes"
    return device("peer-a2").but(buffer={field: capacity}, **changes)


@pytest.mark.parametrize(
    ("size", "dtype", "capacity", "mapspace", "traffic"),
    [
        (1024, "int8", "128 KiB", "uniform", 7_340_032),
        (1024, "int8", "128 KiB", "divisors", 9_437_184),
        (4096, "int8", "128 KiB", "uniform", 402_653_184),
        (4096, "int8", "128 KiB", "divisors", 553_648_128),
        (4096, "int8", "512 KiB", "uniform", 218_103_808),
        (4096, "int8", "512 KiB", "divisors", 285_212_672),
        (4096, "bf16", "512 KiB", "uniform", 603_979_776),
        (4096, "bf16", "512 KiB", "divisors", 838_860_800),
    ],
)
def test_the_known_optima_of_square_products(
    size: int, dtype: str, capacity: str, mapspace: str, traffic: int
) -> None:
    """AccelForge 1.0.467 (divisors; free sizes at 1024) and an enumerator of all tile sizes."""
    found = certified(map_tiles, product_of(size, dtype), machine(capacity), mapspace=mapspace)
    assert found.traffic_bytes == traffic
    assert found.certificate.optimal_in_mapspace
    assert found.least.bytes <= traffic


def tile_sequence(
    outside: tuple[tuple[str, int], ...], sizes: dict[str, int]
) -> Iterator[dict[str, tuple[int, int]]]:
    """Ranges of all ranks in each turn of the loops outside of a Keep."""
    for begins in product(*(range(0, sizes[rank], tile) for rank, tile in outside)):
        ranges = {rank: (0, size) for rank, size in sizes.items()}
        for (rank, tile), begin in zip(outside, begins, strict=True):
            ranges[rank] = (begin, min(begin + tile, sizes[rank]))
        yield ranges


def exhaustive(
    cascade: Cascade, capacity: float, tile_choices: dict[str, list[int]]
) -> tuple[float, float] | None:
    """Least (traffic, bytes held) over every order, position and tile; one byte an element."""
    einsum = cascade.einsums[0]
    sizes = {rank: int(cascade.sizes()[rank]) for rank in einsum.ranks}
    accesses = {a.tensor: a.indices for a in (einsum.output, *einsum.reads)}
    best: tuple[float, float] | None = None

    def elements(tensor: str, ranges: dict[str, tuple[int, int]]) -> int:
        total = 1
        for index in accesses[tensor]:
            spans = [range(*ranges[rank]) for rank, _ in index.terms]
            factors = [factor for _, factor in index.terms]
            total *= len({sum(f * i for f, i in zip(factors, at)) for at in product(*spans)})  # noqa: B905
        return total

    known: dict[Any, tuple[int, int]] = {}

    def walked(tensor: str, outside: tuple[tuple[str, int], ...]) -> tuple[int, int]:
        """(moved, held) of a tensor behind these loops."""
        if (tensor, outside) in known:
            return known[tensor, outside]
        own = [rank for index in accesses[tensor] for rank, _ in index.terms]
        held, moved, last = 0, 0, None
        seen: set[Any] = set()
        for ranges in tile_sequence(outside, sizes):
            key = tuple(ranges[rank] for rank in own)
            if key == last:
                continue
            last, count = key, elements(tensor, ranges)
            held = max(held, count)
            moved += count * (2 if tensor == einsum.name and key in seen else 1)
            seen.add(key)
        known[tensor, outside] = moved, held
        return moved, held

    for order in permutations(sizes):
        for chosen in product(*(tile_choices[rank] for rank in order)):
            loops = tuple(zip(order, chosen, strict=True))
            options = [
                sorted({walked(tensor, loops[:at]) for at in range(len(loops) + 1)})
                for tensor in accesses
            ]
            for picked in product(*options):
                held = sum(size for _, size in picked)
                if held <= capacity:
                    point = float(sum(moved for moved, _ in picked)), float(held)
                    best = point if best is None else min(best, point)
    return best


@st.composite
def small_cases(draw: st.DrawFn) -> tuple[Cascade, float]:
    text, ranks = TEXTS[draw(st.sampled_from(sorted(TEXTS)))]
    most = 3 if len(ranks) > 2 else 6
    sizes = {rank: draw(st.integers(1, most if len(ranks) < 4 else 2)) for rank in ranks}
    if "+r" in text:
        sizes["r"] = draw(st.integers(1, 4))
    cascade = parse(
        text, sizes={**sizes, **({"i": 64} if "+r" in text else {})}, dtypes={"*": "int8"}
    )
    return cascade, float(draw(st.integers(2, 24)))


@tried(60, 200, small_cases(), st.booleans())
def test_the_answer_is_that_of_exhaustive_search(
    case: tuple[Cascade, float], divisors: bool
) -> None:
    cascade, capacity = case
    choices = {
        rank: [t for t in range(1, int(size) + 1) if not divisors or int(size) % t == 0]
        for rank, size in cascade.sizes().items()
    }
    expected = exhaustive(cascade, capacity, choices)
    mapspace = "divisors" if divisors else "uniform"
    if expected is None:
        with pytest.raises(CapacityError, match="would suffice"):
            certified(map_tiles, cascade, machine(capacity), mapspace=mapspace)
        return
    found = certified(map_tiles, cascade, machine(capacity), mapspace=mapspace)
    assert found.traffic_bytes == expected[0]
    if not any(len(index.terms) > 1 for a in cascade.einsums[0].reads for index in a.indices):
        assert found.costs.counts.footprint_bytes["buffer"] == expected[1], "leanest of the best"
    walked = walk(cascade, found.mapping, ["dram", "buffer"])
    moved = (walked.fills, walked.drains, walked.returns)
    assert sum(sum(table.values()) for table in moved) == found.traffic_bytes
    assert found.certificate.bound <= found.traffic_bytes


def every_nest(cascade: Cascade, twice: bool) -> Iterator[Mapping]:
    einsum = cascade.einsums[0]
    sizes = {rank: int(cascade.sizes()[rank]) for rank in einsum.ranks}
    tensors = tuple(dict.fromkeys((einsum.name, *(a.tensor for a in einsum.reads))))
    for order in permutations(sizes):
        for chosen in product(*(range(1, sizes[rank] + 1) for rank in order)):
            for positions in product(range(len(order) + 1), repeat=len(tensors)):
                nodes: list[Any] = []
                for place in range(len(order) + 1):
                    if place:
                        nodes.append(Loop(order[place - 1], chosen[place - 1]))
                    nodes += [
                        Keep(t, "buffer", twice)
                        for t, at in zip(tensors, positions, strict=True)
                        if at == place
                    ]
                yield Mapping("case", "machine", (*nodes, Compute(einsum.name)))


SMALL, EVEN = ((3, 2, 1), 9), ((2, 2, 2), 8)
"""Sizes of a product and a buffer's capacity; the even one has thousands of nests."""


@pytest.mark.parametrize(
    ("rules", "twice", "places"),
    but_first(
        1,
        [
            (OVERLAP, False, (SMALL,)),
            (OVERLAP, False, (EVEN,)),
            (PORTS, False, (EVEN, SMALL)),
            (PORTS, True, (EVEN, SMALL)),
        ],
    ),
)
def test_every_objective_is_least_among_all_nests(
    rules: Rules, twice: bool, places: tuple[tuple[tuple[int, int, int], int], ...]
) -> None:
    """With fast arithmetic, so that transfers and first tiles decide."""
    fast = {"mac": {"rate_per_s": {"int8": 1e12}}}
    idle = {"idle_w": 0.5}
    for sizes, capacity in places:
        cascade = parse(PRODUCT, sizes=dict(zip("mnk", sizes, strict=True)), dtypes={"*": "int8"})
        hardware = machine(float(capacity * (2 if twice else 1)), units=fast, power=idle)
        costs: list[Costs] = []
        for nest in every_nest(cascade, twice):
            with suppress(CapacityError):
                costs.append(cost(cascade, hardware, nest, rules))
        for objective in ("traffic", "energy", "latency", "edp"):
            found = certified(
                map_tiles, cascade, hardware, objective=objective, rules=rules, double=twice
            )
            least = min(each.value(objective) for each in costs)
            assert found.certificate.value == pytest.approx(least, rel=1e-12), objective


def test_buffers_of_their_own_hold_their_tensors_alone() -> None:
    """Z's own 100 bytes hold a 10 x 10 tile; the inputs stream through one byte of each rank."""
    levels = device("peer-a2").memories
    own = {
        "dram": levels["dram"],
        "sums": levels["buffer"].but(capacity_bytes=100),
        "inputs": levels["buffer"].but(capacity_bytes=20),
    }
    hardware = device("peer-a2").model_copy(update={"memories": own})
    cascade = parse(PRODUCT, sizes={"m": 40, "n": 40, "k": 40}, dtypes={"*": "int8"})
    found = certified(map_tiles, cascade, hardware, shares={"sums": ("Z",), "inputs": ("A", "B")})
    assert found.traffic_bytes == 1600 + 4 * 1600 + 4 * 1600
    assert found.costs.counts.footprint_bytes == {"sums": 100, "inputs": 20}
    with pytest.raises(InputError, match="which tensors share which memory"):
        certified(map_tiles, cascade, hardware)
    with pytest.raises(UnknownNameError, match="'Q'"):
        certified(map_tiles, cascade, hardware, shares={"sums": ("Q",), "inputs": ("A", "B")})


def test_tiles_kept_twice_take_twice_the_room() -> None:
    cascade = product_of(256, "int8")
    twice = certified(map_tiles, cascade, machine(20_000.0), double=True)
    once = certified(map_tiles, cascade, machine(10_000.0))
    assert twice.traffic_bytes == once.traffic_bytes
    assert twice.costs.counts.footprint_bytes["buffer"] <= 20_000


def test_a_larger_buffer_never_moves_more() -> None:
    cascade = product_of(97, "int8")
    moved = [
        certified(map_tiles, cascade, machine(float(size))).traffic_bytes
        for size in range(3, 4000, 157)
    ]
    assert moved == sorted(moved, reverse=True)


def test_a_convolution_with_all_its_ranks_is_no_worse_than_one_by_hand() -> None:
    text = "tensor I[n, c, h, w]\nO[n, k, y, x] = I[n, c, y+r, x+s] * W[k, c, r, s]"
    sizes = {"n": 1, "k": 16, "c": 16, "y": 14, "x": 14, "r": 3, "s": 3, "h": 16, "w": 16}
    cascade = parse(text, sizes=sizes, dtypes={"*": "int8"})
    hardware = machine(4096.0)
    found = certified(map_tiles, cascade, hardware)
    by_hand = Mapping(
        "case",
        "machine",
        (
            *(Keep("W", "buffer"), Loop("y", 4), Keep("O", "buffer")),
            *(Loop("c", 1), Keep("I", "buffer"), Compute("O")),
        ),
    )
    assert found.traffic_bytes <= cost(cascade, hardware, by_hand, OVERLAP).traffic_bytes
    assert found.certificate.optimal_in_mapspace
    compulsory = 16 * 16 * 16 + 16 * 16 * 9 + 16 * 14 * 14
    assert found.traffic_bytes >= compulsory


def test_the_front_holds_the_best_mapping_of_every_buffer() -> None:
    cascade = product_of(12, "int8")
    points = front(cascade, machine(500.0))
    held = [p.costs.counts.footprint_bytes["buffer"] for p in points]
    moved = [p.traffic_bytes for p in points]
    assert held == sorted(held, reverse=True)
    assert moved == sorted(moved)
    assert len(set(moved)) == len(moved)
    for size in (3, 17, 60, 144, 300):
        within = min(m for m, h in zip(moved, held, strict=True) if h <= size)
        assert within == certified(map_tiles, cascade, machine(float(size))).traffic_bytes


def test_nothing_fits_says_what_would_suffice() -> None:
    cascade = product_of(64, "bf16")
    with pytest.raises(CapacityError, match="needs 6 bytes of buffer, which has 5; 6 bytes would"):
        certified(map_tiles, cascade, machine(5.0))
    assert certified(map_tiles, cascade, machine(6.0)).costs.counts.footprint_bytes == {"buffer": 6}


def test_names_and_shapes_that_no_mapspace_has_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="mapspace 'powers'"):
        certified(map_tiles, product_of(8, "int8"), machine(64.0), mapspace="powers")
    with pytest.raises(UnknownNameError, match="objective 'area'"):
        certified(map_tiles, product_of(8, "int8"), machine(64.0), objective="area")
    text = "\n".join((PRODUCT, "Y[m, n] = exp(Z[m, n])"))
    two = parse(text, sizes={"m": 2, "n": 2, "k": 2})
    with pytest.raises(CoverageError, match="expected one Einsum, found 2"):
        certified(map_tiles, two, machine(64.0))
    ranks = "abcdefgh"
    pairs = " * ".join(f"T{a}{b}[{a}, {b}]" for a, b in pairwise(ranks))
    many = parse(f"Z[a] = {pairs}", sizes=dict.fromkeys(ranks, 2))
    with pytest.raises(CoverageError, match="at most 7"):
        certified(map_tiles, many, machine(64.0))


def integer_program(size: int, capacity: int) -> float:
    """Output-stationary tiles of a square product as an integer program: least bytes moved."""
    import pulp

    solver: Any = pulp
    pairs = list(product(range(1, size + 1), repeat=2))
    program = solver.LpProblem("tiles", solver.LpMinimize)
    take = {pair: solver.LpVariable(f"t_{pair[0]}_{pair[1]}", cat="Binary") for pair in pairs}
    turns = {pair: (-(-size // pair[0]), -(-size // pair[1])) for pair in pairs}
    program += solver.lpSum(
        take[p] * (size * size * (1 + turns[p][0] + turns[p][1])) for p in pairs
    )
    program += solver.lpSum(take.values()) == 1
    program += solver.lpSum(take[a, b] * (a * b + a + b) for a, b in pairs) <= capacity
    program.solve(solver.HiGHS(msg=False))
    assert solver.LpStatus[program.status] == "Optimal"
    return float(solver.value(program.objective))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PuLP, on its own next version
@pytest.mark.parametrize(("size", "capacity"), [(24, 80), (30, 63), (17, 120)])
def test_an_integer_program_agrees_where_sums_stay(size: int, capacity: int) -> None:
    """HiGHS picks the tiles of the nest in which the output stays: no nest of ours is worse."""
    found = certified(map_tiles, product_of(size, "int8"), machine(float(capacity)))
    assert found.traffic_bytes == integer_program(size, capacity)


def test_an_answer_takes_milliseconds_once_loaded() -> None:
    cascade, hardware = product_of(4096, "int8"), machine("128 KiB")
    certified(map_tiles, cascade, hardware)
    began = time.process_time()
    certified(map_tiles, cascade, hardware)
    assert time.process_time() - began < 0.1


def test_bytes_of_an_answer_are_those_of_its_operations() -> None:
    found: NestMapped = certified(map_tiles, product_of(32, "int8"), machine(600.0))
    assert sum(found.costs.work.operations.values()) == 2 * prod((32, 32, 32))
