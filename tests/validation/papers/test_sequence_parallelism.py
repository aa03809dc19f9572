"""Sequence parallelism's figures: the length holds, the batch is missed and by how much."""

import pytest

from hwmodel.validation.papers import sequence_parallelism
from hwmodel.validation.papers.sequence_parallelism import largest


def test_the_length_holds_and_the_batch_falls_short() -> None:
    batch, length = sequence_parallelism.claims()
    assert length.holds
    assert not batch.holds
    assert 9 < batch.ours < batch.published


def test_fewer_devices_hold_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence_parallelism, "TOKENS", 16)
    batch, length = sequence_parallelism.claims()
    assert batch.ours < 4
    assert length.ours < 2


def test_the_largest_number_is_found_to_half_a_percent() -> None:
    found = [largest(lambda n, most=most: n <= most) for most in (0, 1, 2, 77, 1000, 12345)]
    assert found[:4] == [0, 1, 2, 77]
    assert 995 <= found[4] <= 1000
    assert 12280 <= found[5] <= 12345
