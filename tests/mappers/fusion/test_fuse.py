"""Fused mappings: published figures, the walk of the loops, passes, pinned parts, refusals."""

import random
import statistics
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.mappers.fusion.form import TileRule
from hwmodel.mappers.fusion.fuse import fuse
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.mapped import NestMapped
from hwmodel.quantity.errors import CapacityError, CoverageError, UnknownNameError
from hwmodel.spine.mapping import Compute, Keep, walk
from hwmodel.spine.mapping import Mapping as LoopNest
from tests.loop_walk import walk as walked
from tests.thorough import but, thorough

KIB = 1024
THREE_STEPS = """
QK[b, m, p] = Q[b, p, e] * K[b, m, e]
SM[b, m, p] = exp(QK[b, m, p])
AV[b, p, f] = sum(m) SM[b, m, p] * V[b, m, f]
"""
SIX_STEPS = """
QK[b, m, p] = Q[b, p, e] * K[b, m, e]
GM[b, p] = max(m) QK[b, m, p]
SN[b, m, p] = exp(QK[b, m, p] - GM[b, p])
SD[b, p] = sum(m) SN[b, m, p]
A[b, m, p] = SN[b, m, p] / SD[b, p]
AV[b, p, f] = sum(m) A[b, m, p] * V[b, m, f]
"""


def machine(buffer_bytes: int) -> Hardware:
    return device("peer-a2").but(buffer={"capacity_bytes": buffer_bytes})


def heads(text: str, length: int, batch: int = 12, wide: int = 64) -> Cascade:
    sizes = {"b": batch, "m": length, "p": length, "e": wide, "f": wide}
    return parse(text, sizes=sizes, dtypes={"*": "bf16"})


def moved_in_a_walk(cascade: Cascade, mapping: LoopNest) -> float:
    """Bytes across the boundary of the outermost memory, turn by turn; bf16."""
    found = walked(cascade, mapping, ["dram", "buffer"])
    return 2 * sum(
        n
        for counted in (found.fills, found.drains, found.returns)
        for (_, outer, _), n in counted.items()
        if outer == "dram"
    )


@pytest.mark.parametrize(
    ("length", "batch", "buffer_bytes", "mapspace", "known"),
    [
        (1024, 12, 1024 * KIB, "uniform", 6_291_456),  # Q, K, V and O once
        (4096, 12, 1024 * KIB, "uniform", 37_748_736),
        (16384, 12, 1024 * KIB, "uniform", 301_989_888),
        (16384, 12, 1024 * KIB, "divisors", 452_984_832),
        (16384, 12, 1024 * KIB, "pinned", 292_577_280),
        (256, 1, 16 * KIB, "divisors", 557_056),
    ],
)
def test_fused_attention_moves_what_is_known_or_less(
    length: int, batch: int, buffer_bytes: int, mapspace: str, known: int
) -> None:
    """Peers' figures for attention in three steps, and our own for free tiles."""
    cascade = heads(THREE_STEPS, length, batch)
    found = certified(fuse, cascade, machine(buffer_bytes), mapspace=mapspace)
    assert found.traffic_bytes <= known
    assert found.certificate.optimal_in_mapspace == (mapspace != "pinned")
    assert found.certificate.bound <= found.traffic_bytes
    assert found.costs.counts.footprint_bytes["buffer"] <= buffer_bytes


def test_free_tiles_reach_the_figure_of_five_passes_exactly() -> None:
    """2 S E bytes (1 + passes) of 12 heads; a query tile of 3277 rows makes five passes."""
    found = certified(fuse, heads(THREE_STEPS, 16384), machine(1024 * KIB))
    assert found.traffic_bytes == 12 * 2 * 16384 * 64 * 2 * (1 + 5)
    assert found.tiles["p"] == 3277


def test_rows_between_passes_are_held_whole_or_written_out() -> None:
    """Attention in three passes in a buffer of 16 KiB, length 256, by hand.

    QK, maximum, numerator and sum for 29 queries at a time: Q once, K in 9 turns, the numerators
    written; then numerators read, V in 3 turns, the output: 32,768 (1 + 9) + 131,072 + 131,072 +
    32,768 (3 + 1). A schedule that keeps a tile of a row in place of the row would move 589,824.
    """
    found = certified(fuse, heads(SIX_STEPS, 256, batch=1), machine(16 * KIB))
    assert found.traffic_bytes == 32_768 * 10 + 2 * 131_072 + 32_768 * 4
    inner = [node for _, node in walk(found.mapping.nest) if isinstance(node, Keep)]
    assert [node.tensor for node in inner].count("SN") == 2  # made in one group, read in another


def test_rows_that_fit_cost_nothing_more_than_inputs_and_outputs() -> None:
    found = certified(fuse, heads(SIX_STEPS, 1024), machine(1024 * KIB))
    assert found.traffic_bytes == 4 * 12 * 1024 * 64 * 2


@pytest.mark.parametrize("tile", [1, 8])
def test_one_pass_moves_what_softmax_in_one_step_does(tile: int) -> None:
    """State, statistics and the tile of scores are charged, and leave room for five passes."""
    cascade = attention(1, 12, 16384, 16384, 64, tile=tile)
    narrow = {name: "bf16" for name in cascade.tensors}
    found = certified(fuse, _with_formats(cascade, narrow), machine(1024 * KIB))
    assert found.traffic_bytes == 301_989_888
    held = {node.tensor: node for _, node in walk(found.mapping.nest) if isinstance(node, Keep)}
    assert held["RM"].double  # the maximum before the step is read after the new one
    rows, words = 3277, 64 + 64 + 1 + 2 + 2 * tile  # Q, output, sum, two maxima, QK and SLN
    assert found.costs.counts.footprint_bytes["buffer"] >= 2 * rows * words


def _with_formats(cascade: Cascade, formats: dict[str, str]) -> Cascade:
    tensors = {n: replace(t, dtype=formats[n]) for n, t in cascade.tensors.items()}
    return replace(cascade, tensors=tensors, origin=None)


FUSEMAX = {  # published DRAM bytes of BERT at 1 K to 1 M tokens (FuseMax artifact)
    1: 402_653_184,
    4: 1_610_612_736,
    16: 6_442_450_944,
    64: 38_654_705_664,
    256: 463_856_467_968,
    1024: 6_803_228_196_864,
}
FREE = {256: 309_237_645_312, 1024: 3_710_851_743_744}
"""Without divisors: 5 and 17 passes over K and V in place of 8 and 32."""


@pytest.mark.parametrize("kilo", FUSEMAX)
def test_fusemax_traffic_follows_from_its_tile_rule(kilo: int) -> None:
    """16 MiB less 64 KiB for tiles of K and V; query tiles of 256 rows, divisors only."""
    cascade = heads(THREE_STEPS, kilo * KIB, batch=64 * 12)
    buffer = machine(16 * KIB * KIB - 64 * KIB)
    rules = {"p": TileRule(multiple=256, divisor=True), "m": TileRule(divisor=True)}
    ruled = certified(fuse, cascade, buffer, tile_rules=rules)
    assert ruled.traffic_bytes == FUSEMAX[kilo]
    told = ruled.certificate.mapspace
    assert told == "uniform, tiles of p divide it in multiples of 256, tiles of m divide it"
    free = certified(fuse, cascade, buffer, tile_rules={"p": TileRule(multiple=256)}).traffic_bytes
    assert free == FREE.get(kilo, FUSEMAX[kilo])


@pytest.mark.parametrize("text", [THREE_STEPS, SIX_STEPS])
@pytest.mark.parametrize("mapspace", ["uniform", "pinned"])
@pytest.mark.parametrize("buffer_bytes", [thorough(36), thorough(48), 60])
def test_answers_replay_in_a_walk_of_the_loops(text: str, mapspace: str, buffer_bytes: int) -> None:
    sizes = {"b": 2, "m": 7, "p": 6, "e": 3, "f": 2}
    cascade = parse(text, sizes=sizes, dtypes={"*": "bf16"})
    found = certified(fuse, cascade, machine(buffer_bytes), mapspace=mapspace)
    assert found.traffic_bytes == moved_in_a_walk(cascade, found.mapping)
    if text is THREE_STEPS and mapspace == "pinned":
        assert found.traffic_bytes < certified(fuse, cascade, machine(buffer_bytes)).traffic_bytes
        assert LoopNest.read(found.mapping.record(), where="mapping") == found.mapping


CHAINS = (
    "Z[m, n] = A[m, k] * B[k, n]\nY[m, l] = sum(n) Z[m, n] * C[n, l]",
    "Z[m, n] = A[m, k] * B[k, n]\nX[m, n] = exp(Z[m, n])\nY[m, l] = sum(n) X[m, n] * C[n, l]",
    "D[m] = sum(n) A[m, n]\nZ[m, n] = A[m, n] / D[m]",
)


@pytest.mark.parametrize("cases", [10, thorough(60)])
def test_bounds_never_exceed_the_optimum_of_random_cascades(cases: int) -> None:
    draw, gaps = random.Random(7), list[float]()
    for _ in range(cases):
        text = draw.choice(CHAINS)
        sizes = {rank: draw.randint(2, 40) for rank in "mnkl" if f" {rank}]" in text or rank == "m"}
        cascade = parse(text, sizes=sizes, dtypes={"*": "bf16"})
        found = certified(fuse, cascade, machine(draw.choice((16, 40, 100, 250, 1000))))
        assert found.certificate.bound <= found.traffic_bytes
        gaps.append(found.certificate.gap_to_bound)
    print(f"median gap to the bound of any schedule: {statistics.median(gaps):.1%}")


def test_more_room_never_moves_more() -> None:
    cascade = heads(SIX_STEPS, 48, batch=1, wide=8)
    moved = [
        certified(fuse, cascade, machine(n)).traffic_bytes for n in (256, 512, 1024, 4096, 65536)
    ]
    assert moved == sorted(moved, reverse=True)


def test_every_einsum_is_computed_once() -> None:
    found: NestMapped = certified(fuse, heads(SIX_STEPS, 64, batch=2), machine(8 * KIB))
    names = [node.einsum for _, node in walk(found.mapping.nest) if isinstance(node, Compute)]
    assert names == ["QK", "GM", "SN", "SD", "A", "AV"]


def test_too_small_a_buffer_says_how_much_would_do() -> None:
    cascade = heads(THREE_STEPS, 16, batch=1)
    with pytest.raises(CapacityError, match="6 bytes would suffice"):
        certified(fuse, cascade, machine(5))
    assert certified(fuse, cascade, machine(6)).traffic_bytes > 0


def test_what_is_not_covered_is_named() -> None:
    with pytest.raises(UnknownNameError, match="mapspace"):
        certified(fuse, heads(THREE_STEPS, 16), machine(KIB), mapspace="uneven")
    with pytest.raises(UnknownNameError, match="rank"):
        certified(fuse, heads(THREE_STEPS, 16), machine(KIB), tile_rules={"q": TileRule()})
    causal = attention(1, 1, 16, 16, 8, causal=True, passes=3)
    with pytest.raises(CoverageError, match="pinned"):
        certified(fuse, causal, machine(KIB), mapspace="pinned")
    with pytest.raises(CoverageError, match="densities"):
        certified(fuse, attention(1, 1, 16, 16, 8, density=0.5, passes=3), machine(KIB))


def masked(text: str, band: str, length: int, wide: int) -> Cascade:
    lines = "\n".join(f"{line} | {band}" for line in text.strip().splitlines())
    return heads(lines, length, batch=1, wide=wide)


def test_causal_attention_reads_keys_up_to_each_tile_of_queries() -> None:
    """12 queries in a buffer of 80 bytes, heads of 2, by hand.

    A row of Q, of the output and a score are 2 + 2 + 1 words, a key and a value 2 each: tiles of 7
    queries would take 7 * 5 + 4 words, tiles of 6 take 34 and make as many turns. They read keys
    and values up to their end: 6, then 12.
    """
    cascade = masked(THREE_STEPS, "m <= p", 12, wide=2)
    found = certified(fuse, cascade, machine(80))
    rows = 2 * 2  # bytes of a vector
    assert found.tiles["p"] == 6
    assert found.traffic_bytes == 12 * rows * 2 + (6 + 12) * rows * 2
    done = found.costs.counts.operations
    assert sum(done.values()) == 12 * 13 // 2 * (2 * 2 + 1 + 2 * 2)  # kept points alone


def test_windows_of_keys_stay_from_query_to_query() -> None:
    """Each key and value once, in room for the window alone, at any length."""
    rows = 2 * 2
    for length in (64, 512):
        cascade = masked(THREE_STEPS, "-3 <= m - p <= 0", length, wide=2)
        # 4 keys and values of 2 words, Q and the output 2 each, a score and its exponent of 4 keys
        found = certified(fuse, cascade, machine(2 * (4 * (2 + 2 + 1 + 1) + 2 + 2)))
        assert found.traffic_bytes == found.certificate.bound == 4 * length * rows


@pytest.mark.parametrize("passes", [1, 3])
def test_a_step_with_a_window_reads_no_key_outside_of_it(passes: int) -> None:
    """One query of 4 heads over 2 heads of keys and values, the last 32 of 256: bf16."""
    cascade = attention(1, 4, 1, 256, 8, kv_heads=2, window=32, passes=passes, tile=16)
    found = certified(fuse, cascade, machine(8 * KIB))
    assert found.traffic_bytes == 2 * (2 * 2 * 32 * 8 + 2 * 4 * 8)


@pytest.mark.parametrize(
    ("window", "passes"),
    but([(None, 2), (5, 1), (None, 3)], [(w, passes) for w in (None, 5) for passes in (1, 2, 3)]),
)
def test_masked_attention_is_counted_anew_at_what_the_search_promises(
    passes: int, window: int | None
) -> None:
    """The nest's counts, which `certified` compares, are no other; a mask never moves more."""
    for room in (300, 900):
        cascade = attention(1, 4, 12, 16, 4, 2, causal=True, window=window, passes=passes, tile=4)
        found = certified(fuse, cascade, machine(room))
        full = certified(fuse, attention(1, 4, 12, 16, 4, 2, passes=passes, tile=4), machine(room))
        assert found.certificate.bound <= found.traffic_bytes <= full.traffic_bytes


CONVOLUTIONS = """
tensor I[c, i, j]
Z[k, h, w] = sum(c, r, s) I[c, h+r, w+s] * F[k, c, r, s]
R[k, h, w] = max(Z[k, h, w], 0)
Y[l, y, x] = sum(k, u, v) R[k, y+u, x+v] * G[l, k, u, v]
"""


def convolutions(side: int, channels: int) -> Cascade:
    """Two layers of 3 x 3, one byte a word."""
    sizes = {"y": side, "x": side, "h": side + 2, "w": side + 2, "i": side + 4, "j": side + 4}
    sizes |= dict.fromkeys("rsuv", 3) | dict.fromkeys("ckl", channels)
    return parse(CONVOLUTIONS, sizes=sizes, dtypes={"*": "int8"})


def test_line_buffers_of_two_convolutions_by_hand() -> None:
    """14 x 14 of 4 channels, row by row, in less than the image takes: each row crosses once.

    R keeps 3 rows of 16, Z is made 3 rows at once in the first turn, which read 5 of 18 of the
    image; the filters take 144 bytes each. Each row is computed once.
    """
    cascade = convolutions(14, 4)
    once = 4 * 18 * 18 + 2 * 144 + 4 * 14 * 14
    work = 4 * 16 * 16 * 36 * 2 + 4 * 16 * 16 + 4 * 14 * 14 * 36 * 2
    found = certified(fuse, cascade, machine(1040), objective="energy")
    assert found.traffic_bytes == once
    assert found.costs.counts.footprint_bytes["buffer"] >= 4 * (3 * 16 + 5 * 18) + 2 * 144
    assert found.certificate.optimal_in_mapspace
    assert sum(found.costs.counts.operations.values()) == work
    kept = {k.tensor: k.slides for _, k in walk(found.mapping.nest) if isinstance(k, Keep)}
    assert kept == {"R": True, "I": True, "Z": False, "Y": False, "F": False, "G": False}
    assert LoopNest.read(found.mapping.record(), where="mapping") == found.mapping


def test_halos_are_computed_anew_where_that_moves_less() -> None:
    """6 x 4 by windows of 3 x 3 of 8 x 6 points, each of 2 x 2 of 9 x 7: 55 bytes.

    All goes once, 63 + 4 + 9 + 24, where each of 6 turns makes its 3 rows of 6; with each of the 48
    points made once 7 bytes more move, for 240 products less, which is the better for energy.
    """
    text = """tensor I[i, j]
    Z[h, w] = sum(r, s) I[h+r, w+s] * F[r, s]
    Y[y, x] = sum(u, v) Z[y+u, x+v] * G[u, v]"""
    sizes = {"y": 6, "x": 4, "u": 3, "v": 3, "h": 8, "w": 6, "r": 2, "s": 2, "i": 9, "j": 7}
    cascade = parse(text, sizes=sizes, dtypes={"*": "int8"})
    traffic = certified(fuse, cascade, machine(55))
    assert traffic.traffic_bytes == traffic.certificate.bound == 63 + 4 + 9 + 24
    assert traffic.costs.counts.operations["multiply", "int8"] == 6 * 3 * 6 * 4 + 24 * 9
    energy = certified(fuse, cascade, machine(55), objective="energy")
    assert energy.traffic_bytes == 107
    assert energy.costs.counts.operations["multiply", "int8"] == 48 * 4 + 24 * 9
    assert energy.certificate.bound <= energy.value < traffic.costs.energy_j
    assert not energy.certificate.optimal_in_mapspace


def fused_or_apart(sizes: dict[str, int], room: int) -> float:
    """Fuse two products, or map each by itself: an integer program over tiles, one byte a word.

    Fused, rows of one side stay with their vectors of both products, and the other side passes by;
    apart, one operand of each product stays in tiles. Bytes and needs are written down by hand.
    """
    import pulp

    solver: Any = pulp
    m, p, e, f = (sizes[rank] for rank in "mpef")

    def turns(size: int, tile: int) -> int:
        return -(-size // tile)

    def apart(rows: int, columns: int, summed: int) -> list[tuple[int, int]]:
        """Either the output stays, or an operand does and the sums come and go."""
        found: list[tuple[int, int]] = []
        for a, b, c in ((rows, columns, summed), (summed, columns, rows), (rows, summed, columns)):
            for x, y in product(range(1, a + 1), range(1, b + 1)):
                across, down = turns(a, x), turns(b, y)
                if c == summed and (a, b) == (rows, columns):
                    bytes_ = a * b + c * (b * across + a * down)
                elif (a, c) == (summed, rows):  # rows pass by a tile of (summed, columns)
                    bytes_ = a * b + a * c * down + (2 * across - 1) * b * c
                else:  # columns pass by a tile of (rows, summed)
                    bytes_ = a * b + b * c * across + (2 * down - 1) * a * c
                found.append((bytes_, x * y + x + y))
        return found

    tiles = list(product(range(1, p + 1), range(1, m + 1)))
    plans: dict[str, list[tuple[int, int]]] = {
        "queries stay": [
            (p * (e + f) + turns(p, x) * m * (e + f), x * (e + f) + x * y + y) for x, y in tiles
        ],
        "keys stay": [
            (
                m * (e + f) + p * e * turns(m, y) + p * f * (2 * turns(m, y) - 1),
                y * (e + f) + x * y + x,
            )
            for x, y in tiles
        ],
        "scores": apart(m, p, e),
        "sums": apart(p, f, m),
    }
    program = solver.LpProblem("fusion", solver.LpMinimize)
    take = {
        (plan, at): solver.LpVariable(f"{plan.split()[0]}_{at}", cat="Binary")
        for plan, options in plans.items()
        for at in range(len(options))
    }
    program += solver.lpSum(plans[plan][at][0] * x for (plan, at), x in take.items())
    chosen = {plan: solver.lpSum(x for (of, _), x in take.items() if of == plan) for plan in plans}
    fused = chosen["queries stay"] + chosen["keys stay"]
    program += fused + chosen["scores"] == 1
    program += fused + chosen["sums"] == 1
    for plan in plans:
        held = (plans[plan][at][1] * x for (of, at), x in take.items() if of == plan)
        program += solver.lpSum(held) <= room
    program.solve(solver.HiGHS(msg=False))
    assert solver.LpStatus[program.status] == "Optimal"
    return float(solver.value(program.objective))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PuLP, on its own next version
@pytest.mark.parametrize(
    ("m", "p", "e", "f", "room", "as_good"),
    [
        (9, 9, 9, 12, 20, True),
        (12, 7, 3, 9, 40, True),
        (9, 6, 5, 11, 6, True),
        (4, 11, 3, 6, 6, False),
        (8, 8, 11, 2, 40, False),
    ],
)
def test_an_integer_program_agrees_on_what_to_fuse(
    m: int, p: int, e: int, f: int, room: int, as_good: bool
) -> None:
    """HiGHS never finds less; where one of its four plans is best, it finds as much."""
    sizes = {"m": m, "p": p, "e": e, "f": f}
    text = "S[m, p] = Q[p, e] * K[m, e]\nO[p, f] = sum(m) S[m, p] * V[m, f]"
    found = certified(fuse, parse(text, sizes=sizes, dtypes={"*": "int8"}), machine(room))
    least = fused_or_apart(sizes, room)
    assert found.traffic_bytes == least if as_good else found.traffic_bytes < least
