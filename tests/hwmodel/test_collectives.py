"""Collectives as estimates: time against the link by hand, bytes of all ranks, arrays."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hwmodel.collectives import estimate
from hwmodel.errors import CoverageError, InputError
from hwmodel.network import LIBRARY
from hwmodel.registry import device

H200 = device("h200")
SENT = {"all_reduce": 14, "all_gather": 7, "reduce_scatter": 7, "all_to_all": 7, "p2p": 8}
"""Eighths of its buffer that one of 8 ranks must send."""


@pytest.mark.parametrize("op", LIBRARY)
def test_large_transfers_take_what_their_bytes_take_on_the_link(op: str) -> None:
    found = estimate(op, 2**30, 8, H200)
    least_s = SENT[op] / 8 * 2**30 / 450e9
    assert_allclose(found.bound_s, least_s)
    assert least_s <= float(found.time_s) <= 1.6 * least_s
    assert found.bottleneck == "link"


@pytest.mark.parametrize("op", LIBRARY)
@pytest.mark.parametrize("size", [1, 8, 1024, 2**20])
def test_the_limit_is_that_of_the_algorithm_that_sends_least(op: str, size: int) -> None:
    """A tree sends more than a ring and may still be chosen; the limit does not follow it."""
    part = -(-size // 8)
    sends = {"all_reduce": 14 * part, "p2p": size}.get(op, 7 * part)
    found = estimate(op, size, 8, H200)
    assert_allclose(found.bound_s, sends / 450e9)
    assert found.time_s > found.bound_s


def test_bytes_are_those_of_all_ranks() -> None:
    """All-gather of 8 kB: each rank reads its kB and writes all eight."""
    found = estimate("all_gather", 8000, 8, H200)
    assert (found.dram_bytes_read, found.dram_bytes_written) == (8000, 64000)


@pytest.mark.parametrize("op", LIBRARY)
def test_arrays_answer_what_scalars_answer(op: str) -> None:
    sizes, ranks = np.array([1.0, 1e3, 1e6, 1e9]), np.array([2.0, 3.0, 8.0])
    sweep = estimate(op, sizes[:, None], ranks, H200).record()
    for i, size in enumerate(sizes):
        for j, rank in enumerate(ranks):
            alone = estimate(op, int(size), int(rank), H200).record()
            for field in ("time_s", "energy_j", "dram_bytes_read", "bound_bytes"):
                assert_allclose(np.broadcast_to(sweep[field], (4, 3))[i, j], alone[field])


def test_an_estimate_names_the_numbers_of_ranks() -> None:
    assert estimate("all_reduce", 1e6, np.array([8, 2, 8]), H200).device.startswith("2, 8 x NVIDIA")


def test_impossible_collectives_are_refused() -> None:
    with pytest.raises(InputError, match="9 ranks, but one NVLink"):
        estimate("all_reduce", 1e6, 9, H200)
    with pytest.raises(InputError, match="expected a number above 0, found -5"):
        estimate("all_reduce", -5, 8, H200)
    with pytest.raises(CoverageError, match="needs a link"):
        estimate("all_reduce", 1e6, 2, device("l40s").but(link=None))
