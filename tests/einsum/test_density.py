"""Densities against all placements of a few nonzeros, or the elements of a mask, one by one."""

import itertools
from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.density import density
from hwmodel.einsum.notation import parse
from hwmodel.quantity.errors import InputError, UnknownNameError

RANKS, SIZES = ("k", "n"), (4, 3)


def tiles(extents: tuple[int, int]) -> list[list[tuple[int, int]]]:
    """Elements of every tile from the first element on."""
    return [
        [
            (k, n)
            for k in range(a, min(a + extents[0], SIZES[0]))
            for n in range(b, min(b + extents[1], SIZES[1]))
        ]
        for a in range(0, SIZES[0], extents[0])
        for b in range(0, SIZES[1], extents[1])
    ]


def filled(said: Any, extents: tuple[int, int]) -> float:
    model = density(said, ranks=RANKS, where="A")
    (share,) = model.filled(RANKS, SIZES, np.array(extents)[:, None])
    return float(share)


@pytest.mark.parametrize("extents", [(1, 1), (2, 1), (2, 3), (4, 3)])
def test_tiles_of_nonzeros_drawn_at_random(extents: tuple[int, int]) -> None:
    """Three of twelve, in every way (exact); each of twelve by itself with a quarter (uniform)."""
    cells = list(itertools.product(range(4), range(3)))
    tile = set(tiles(extents)[0])
    draws = [set(chosen) for chosen in itertools.combinations(cells, 3)]
    expected = sum(bool(tile & chosen) for chosen in draws) / len(draws)
    assert filled("0.25 exact", extents) == pytest.approx(expected)
    weights = [
        (0.25 ** sum(each) * 0.75 ** (len(tile) - sum(each)), any(each))
        for each in itertools.product((0, 1), repeat=len(tile))
    ]
    assert filled(0.25, extents) == pytest.approx(sum(w for w, hit in weights if hit))


@pytest.mark.parametrize(
    ("extents", "share"), [((1, 1), 0.5), ((2, 1), 5 / 6), ((2, 3), 215 / 216)]
)
def test_two_of_four_leave_few_tiles_empty(extents: tuple[int, int], share: float) -> None:
    """Two rows of a group of four are empty in one way of six; three columns, each by itself."""
    assert filled("2 of 4 k", extents) == pytest.approx(share)
    assert filled("2 of 4 k", (3, 1)) == 1
    assert density("2 of 4 k", ranks=RANKS, where="A").mean(RANKS, SIZES) == 0.5


@pytest.mark.parametrize("extents", [(1, 1), (2, 1), (2, 3), (4, 3)])
def test_rows_that_are_kept_whole_fill_tiles_row_by_row(extents: tuple[int, int]) -> None:
    """Each of four rows is kept with 0.25, all three columns of it or none."""
    rows = {k for k, _ in tiles(extents)[0]}
    expected = 0.0
    for kept in itertools.product((0, 1), repeat=4):
        weight = 0.25 ** sum(kept) * 0.75 ** (4 - sum(kept))
        expected += weight * any(kept[k] for k in rows)
    assert filled("0.25 along k", extents) == pytest.approx(expected)
    assert density("0.25 along k", ranks=RANKS, where="A").mean(RANKS, SIZES) == 0.25
    assert str(density("0.25 along k", ranks=RANKS, where="A")) == "0.25 along k"
    with pytest.raises(InputError, match=r"rank of A 'x'; known: k, n"):
        density("0.25 along x", ranks=RANKS, where="A")


@pytest.mark.parametrize("extents", [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_bands_and_masks_are_counted_tile_by_tile(extents: tuple[int, int]) -> None:
    band = np.array([[abs(k - n) <= 1 for n in range(3)] for k in range(4)])
    every = tiles(extents)
    expected = sum(any(band[at] for at in tile) for tile in every) / len(every)
    assert filled("band 1 k n", extents) == pytest.approx(expected)
    assert filled(band, extents) == pytest.approx(expected)
    mean = density("band 1 k n", ranks=RANKS, where="A").mean(RANKS, SIZES)
    assert mean == pytest.approx(band.mean())


def test_a_text_says_densities_and_is_printed_with_them() -> None:
    text = "tensor A[m, k]: int8 ~ 0.3 exact\ntensor B[k, n]: int8 weight ~ 2 of 4 k\n"
    text += "Z[m, n] = A[m, k] * B[k, n]"
    read = parse(text, sizes={"m": 4, "n": 4, "k": 8})
    assert str(read.tensors["A"].density) == "0.3 exact"
    assert parse(str(read)).tensors == read.tensors
    dense = parse("Z[m, n] = A[m, k] * B[k, n]", sizes={"m": 4, "n": 4, "k": 8})
    named = dense.sparse(A="0.3 exact", B="2 of 4 k")
    assert named.tensors["A"].density == read.tensors["A"].density
    with pytest.raises(UnknownNameError, match="C"):
        dense.sparse(C=0.5)


@pytest.mark.parametrize(
    "said", [0, 1.5, "half", "3 of 2 k", "band 1 k", "0.5 sure", np.zeros((4, 3))]
)
def test_what_is_no_density_is_refused_with_what_would_do(said: Any) -> None:
    with pytest.raises(InputError, match=r"A: density: expected .*"):
        density(said, ranks=RANKS, where="A")


def test_a_rank_goes_by_its_name_in_any_case_and_a_wrong_one_is_told() -> None:
    assert density("2 of 4 K", ranks=RANKS, where="A") == density(
        "2 of 4 k", ranks=RANKS, where="A"
    )
    with pytest.raises(UnknownNameError, match=r"rank of A 'q'; known: k, n"):
        density("band 1 k q", ranks=RANKS, where="A")
