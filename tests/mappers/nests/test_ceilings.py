"""Tile sizes worth looking at."""

import pytest

from hwmodel.mappers.nests.ceilings import distinct_ceilings, divisors


@pytest.mark.parametrize("size", [1, 2, 3, 7, 12, 64, 97, 360, 1000])
def test_one_tile_stands_for_each_number_of_turns_and_it_is_the_smallest(size: int) -> None:
    smallest: dict[int, int] = {}
    for tile in range(size, 0, -1):
        smallest[-(-size // tile)] = tile
    assert list(distinct_ceilings(size)) == sorted(smallest.values())


@pytest.mark.parametrize("size", [1, 2, 12, 49, 97, 360])
def test_divisors_leave_no_remainder(size: int) -> None:
    assert list(divisors(size)) == [t for t in range(1, size + 1) if size % t == 0]


def test_few_tiles_stand_for_many() -> None:
    assert len(distinct_ceilings(10**6)) < 2_001
