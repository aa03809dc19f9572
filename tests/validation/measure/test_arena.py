"""The pools of inputs fit the device that they are drawn on."""

# pyright: basic, reportMissingImports=false

import pytest

pytest.importorskip("torch", reason="the measuring code needs torch")

from hwmodel.validation.measure.arena import POOL_BYTES, pool_bytes


def test_a_large_device_has_whole_pools() -> None:
    assert pool_bytes(141e9) == POOL_BYTES
    assert pool_bytes(80e9) == POOL_BYTES


def test_a_small_device_keeps_half_of_its_memory_free() -> None:
    # Each dtype has two pools: activations and weights.
    assert 2 * sum(pool_bytes(24e9).values()) <= 12e9
