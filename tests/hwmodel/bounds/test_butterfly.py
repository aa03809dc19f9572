"""Butterfly networks: against perfect pebbling, and against passes of small transforms."""

from dataclasses import replace

import numpy as np
import pytest

from hwmodel.bounds.bound import bound_of
from hwmodel.bounds.butterfly import Network, butterflies_beyond_compulsory, network
from hwmodel.einsum.workloads.fft import fft
from tests.hwmodel.bounds.pebbles import butterflies, least_traffic


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("room", [2, 3, 4, 5])
def test_no_network_is_pebbled_with_less(stages: int, room: int) -> None:
    """Real values: half a complex network, whose two parts are as good as two of a batch."""
    least = least_traffic(butterflies(stages), room, again=False)
    real = Network(stages, batch=0.5, word_bytes=1, compulsory_bytes=0)
    assert butterflies_beyond_compulsory(real, room) <= least


@pytest.mark.parametrize("points", [2**12, 2**16, 2**20])
@pytest.mark.parametrize("held", [2**6, 2**8, 2**10])
def test_passes_of_small_transforms_move_more_but_not_much_more(points: int, held: int) -> None:
    """With room for `held` complex points, each pass does log2(held) stages and moves all twice."""
    stages = int(np.log2(points))
    passes = -(-stages // int(np.log2(held)))
    moved = passes * 2 * points * 8
    found = bound_of(fft(points), held * 8).bytes
    assert moved / 4 < found <= moved + 3 * 8 * points  # twiddles on top of the bound


def test_a_transform_that_fits_is_about_read_and_written_once() -> None:
    found = bound_of(fft(256), 2**20)
    weights = 2 * (256 - 1) + 2 * 8  # cosines and sines of all stages, and their signs
    once = 4 * (4 * 256 + weights)
    assert 0.9 * once < found.bytes <= once


def test_a_long_transform_says_what_it_assumes() -> None:
    assert "none computed twice" in bound_of(fft(2**16), 4096).reason


def test_a_transform_is_known_by_its_einsums_whoever_wrote_them() -> None:
    made = fft(points=64, batch=8)
    told = network(replace(made, origin=None, name="mine"))
    known = network(made)
    assert told is not None
    assert known is not None
    assert (told.stages, told.batch, told.word_bytes) == (6, 8, 4)
    assert told.compulsory_bytes == known.compulsory_bytes > 0
    shorter = replace(made, einsums=made.einsums[:-1])
    assert network(shorter) is None
    ranks = {name: replace(rank, size=3) for name, rank in made.ranks.items() if name != "n"}
    assert network(replace(made, ranks={**ranks, "n": made.ranks["n"]})) is None
