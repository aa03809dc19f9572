"""Loop orders and Keep positions that are worth looking at."""

import pytest

from hwmodel.mappers.nests.loops import Pattern, structures
from hwmodel.quantity.errors import CoverageError


def pattern(ranks: str, *tensors: str, windows: str = "") -> Pattern:
    sets = tuple(frozenset(t) for t in tensors)
    return Pattern(tuple(ranks), sets, tuple(s & frozenset(windows) for s in sets))


def test_what_is_left_of_a_product_by_hand() -> None:
    """One tensor streams past two, or two stream past one, in every role, and their variants."""
    found = structures(pattern("mnk", "mn", "mk", "kn"))
    stays = {frozenset("mn"), frozenset("mk"), frozenset("kn")}
    for alone in range(3):
        best = [s for s in found if not s.footings[alone][1] and s.footings[alone][0] in stays]
        others = [sum(len(s.footings[i][1]) for i in range(3)) for s in best]
        assert min(others) == 0
        assert max(others) == 2
    assert len(found) == 15


def test_a_rank_of_every_tensor_stands_outermost_and_adds_no_structure() -> None:
    batched = structures(pattern("bmnk", "bmn", "bmk", "bkn"))
    assert len(batched) == 15
    assert all(s.order[0] == "b" for s in batched)
    assert all("b" in tiled for s in batched for tiled, _ in s.footings)


def test_no_structure_left_dominates_another() -> None:
    shape = pattern("cyr", "cy", "yr", "cr", windows="yr")
    found = structures(shape)
    for one in found:
        for other in found:
            pairs = list(zip(one.footings, other.footings, shape.windows, strict=True))
            better = all(
                a[1] <= b[1] and a[0] >= b[0] and not (a[0] ^ b[0]) & w for a, b, w in pairs
            )
            assert one is other or not better


def test_positions_stand_behind_the_loops_that_they_claim() -> None:
    for structure in structures(pattern("mnk", "mn", "mk", "kn")):
        for (tiled, visits), position in zip(structure.footings, structure.positions, strict=True):
            assert frozenset(structure.order[:position]) == tiled | visits


def test_too_many_ranks_are_refused() -> None:
    with pytest.raises(CoverageError, match="expected at most 7"):
        structures(pattern("abcdefgh", "abcd", "efgh"))
