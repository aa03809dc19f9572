"""Parts of ranks: their tiles are searched, and the best of all is the answer."""

from itertools import product
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.hardware.hardware import limits
from hwmodel.machines.spatial.nest import evaluate
from hwmodel.mappers.fusion.form import form_of, orders
from hwmodel.mappers.fusion.fuse import fuse
from hwmodel.mappers.fusion.parts import partitions
from hwmodel.mappers.fusion.search import Search
from hwmodel.mappers.fusion.tree import mapping_of
from hwmodel.mappers.nests.certify import certified
from hwmodel.quantity.errors import CapacityError, CoverageError

LARGEST = """
rank m = m1 x m0
S[m1, m0, p] = Q[p] * K[m1, m0]
L[m1, p] = max(m0) S[m1, m0, p]
R[m1+1, p] = max(R[m1, p], L[m1, p]) ; R[0, p] = -inf
Z[p] = exp(R[M1, p])
"""
"""The running maximum of scores."""
CORRECTED = """
rank m = m1 x m0
S[m1, m0, p] = Q[p, e] * K[m1, m0, e]
L[m1, p] = max(m0) S[m1, m0, p]
R[m1+1, p] = max(R[m1, p], L[m1, p]) ; R[0, p] = -inf
N[m1, m0, p] = exp(S[m1, m0, p] - R[m1+1, p])
D[m1, p] = sum(m0) N[m1, m0, p]
"""
"""Numerators and their sums, by the maximum so far."""


def largest(tile: int, keys: int = 8) -> Cascade:
    return parse(LARGEST, sizes={"m": keys, "m0": tile, "p": 3}, dtypes={"*": "int8"})


def tiles(keys: int, tile: int) -> list[tuple[int, int, int]]:
    work = hw.workloads.attention(batch=1, heads=1, queries=8, keys=keys, head_dim=8, tile=tile)
    each = [form.sizes() for form in partitions(work)]
    return [(int(s["m1"]), int(s["m0"]), int(s["m"])) for s in each]  # type: ignore[arg-type]


def test_parts_divide_the_rank_and_the_written_ones_come_first() -> None:
    assert tiles(12, 4) == [
        (3, 4, 12),
        (4, 3, 12),
        (2, 6, 12),
        (6, 2, 12),
        (1, 12, 12),
        (12, 1, 12),
    ]


def test_a_prime_rank_is_padded_by_an_eighth_at_most_or_not_divided() -> None:
    found = tiles(1021, 128)
    assert found[0] == (8, 128, 1024)
    assert {(1, 1021, 1021), (1021, 1, 1021)} < set(found)
    assert all(outer * inner == held <= 1021 * 1.125 for outer, inner, held in found)


@pytest.mark.parametrize("objective", ["traffic", "energy", "latency"])
@pytest.mark.parametrize("capacity", [7, 12, 40])
def test_the_answer_is_the_best_of_all_tiles_written_by_hand(objective: str, capacity: int) -> None:
    machine = hw.device("peer-a2").but(buffer={"capacity": f"{capacity} B"})
    values: list[float] = []
    for tile in (1, 2, 4, 8):
        try:
            values.append(certified(fuse, largest(tile), machine, objective=objective).value)
        except CapacityError:
            continue
    found = hw.map(largest(2), on=machine, objective=objective)
    assert found.value == pytest.approx(min(values), rel=1e-12)
    assert found.certificate.optimal_in_mapspace


def test_parts_that_share_a_rank_with_a_third_one_keep_its_number() -> None:
    work = hw.workloads.attention(
        batch=1, heads=1, queries=1, keys=16, head_dim=4, tile=4, splits=2
    )
    assert [(f.sizes()["s"], f.sizes()["m1"], f.sizes()["m0"]) for f in partitions(work)] == [
        (2, 2, 4),
        (2, 1, 8),
        (2, 4, 2),
        (2, 8, 1),
    ]
    odd = hw.workloads.attention(batch=1, heads=1, queries=1, keys=15, head_dim=4, splits=2)
    with pytest.raises(CoverageError, match="not alike"):
        partitions(odd)


def test_every_tree_that_was_in_hand_moves_what_was_promised() -> None:
    """Of running sums, whose states are held once, however deep the rows inside are."""
    machine = hw.device("peer-a2").but(buffer={"capacity": "1 MB"})
    seen: list[float] = []

    class Watched(Search):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name == "in_hand" and value is not None:
                mapping = mapping_of(work, machine, self.form, value[1], "buffer")
                counts = evaluate(work, mapping, limits(machine))
                assert counts.traffic_bytes("dram") == value[0] * self.form.slices
                assert counts.footprint_bytes["buffer"] <= self.capacity
                seen.append(value[0])

    for keys, queries, width in product((4, 6, 8), (2, 4), (1, 4)):
        sizes = {"m": keys, "m0": 2, "p": queries, "e": width}
        work = parse(CORRECTED, sizes=sizes, dtypes={"*": "int8"})
        for order, capacity in product(orders(work), (12, 20, 32)):
            Watched(form_of(work, order), {}).best(capacity)
    assert len(seen) > 30
