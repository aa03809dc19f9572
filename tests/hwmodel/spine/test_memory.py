"""Memory fit: the largest batch fits, one more does not; numbers by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import InputError
from hwmodel.spine.memory import MemoryFit, fit

H200 = device("h200").but(dram={"capacity": "141 GB"})
LLAMA_8B: dict[str, Any] = {
    # 8,030,261,248 parameters in bf16; 2 x 32 layers x 8 KV heads x 128 x 2 bytes a token.
    "weights_bytes": 16_060_522_496,
    "kv_bytes_per_token": 131_072,
    "activation_bytes_per_sequence": 0,
}


def llama(batch: int, context: int = 8192, hardware: Hardware = H200) -> MemoryFit:
    return fit(**LLAMA_8B, batch=batch, context=context, hardware=hardware)


def test_llama_8b_on_an_h200_by_hand() -> None:
    """126.9 GB beside the reserve, less 16.06 GB of weights, is 103.2 caches of 1 GiB each."""
    found = llama(103)
    assert found.kv_cache_bytes == 103 * 2**30
    assert found.reserve_bytes == 14_100_000_000
    assert found.total_bytes == 103 * 2**30 + 16_060_522_496 + 14_100_000_000
    assert found.largest_batch == 103
    assert found.fits
    assert found.short_by_bytes == 0
    over = llama(104)
    assert not over.fits
    assert over.short_by_bytes == 104 * 2**30 + 30_160_522_496 - 141_000_000_000


def test_the_line_says_by_how_much_it_does_not_fit() -> None:
    assert str(llama(1)).startswith("fits: ")
    assert str(llama(128)) == "does not fit: 26.6 GB short of 141 GB; largest batch 103"


def test_weights_that_do_not_fit_leave_no_batch() -> None:
    found = fit(**LLAMA_8B | {"weights_bytes": 140 * 10**9}, batch=1, context=1, hardware=H200)
    assert found.largest_batch == 0
    assert not found.fits


def test_devices_add_up() -> None:
    one, eight = llama(1), llama(1, hardware=H200 * 8)
    assert eight.capacity_bytes == 8 * one.capacity_bytes
    assert eight.largest_batch > 8 * one.largest_batch  # the weights are there once


def test_no_reserve_uses_the_last_byte() -> None:
    small = H200.but(hbm={"capacity_bytes": 1000})
    sizes = {"weights_bytes": 400, "kv_bytes_per_token": 10, "activation_bytes_per_sequence": 100}
    found = fit(**sizes, batch=3, context=10, hardware=small, reserve_fraction=0.0)
    assert (found.total_bytes, found.largest_batch, bool(found.fits)) == (1000, 3, True)


SIZES = st.integers(0, 10**6)


@given(SIZES, SIZES, st.integers(1, 10**4), st.integers(1, 10**4), st.floats(0, 0.9))
@settings(max_examples=100)
def test_the_largest_batch_fits_and_one_more_does_not(
    weights: int, cache: int, activation: int, context: int, reserve: float
) -> None:
    def at(batch: int) -> MemoryFit:
        return fit(
            weights_bytes=weights * 1000,
            kv_bytes_per_token=cache / 7,  # no whole number: quantised caches have scales
            activation_bytes_per_sequence=activation,
            batch=batch,
            context=context,
            hardware=H200,
            reserve_fraction=reserve,
        )

    largest = at(1).largest_batch
    assert isinstance(largest, int)
    if largest:
        assert at(largest).fits
        assert at(largest).total_bytes <= at(largest).capacity_bytes * (1 + 1e-12)
    beyond = at(largest + 1)
    assert not beyond.fits
    assert beyond.total_bytes >= beyond.capacity_bytes * (1 - 1e-12)


def test_arrays_give_what_a_loop_over_scalars_gives() -> None:
    contexts = np.array([1024.0, 8192.0, 131072.0])
    together = fit(**LLAMA_8B, batch=64, context=contexts, hardware=H200)
    alone = [llama(64, int(context)) for context in contexts]
    assert_array_equal(together.largest_batch, [found.largest_batch for found in alone])
    assert_array_equal(together.fits, [found.fits for found in alone])
    assert_array_equal(together.short_by_bytes, [found.short_by_bytes for found in alone])
    assert str(together) == "memory fit at 3 points, of which 2 fit"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights_bytes": -1}, "weights_bytes: expected a number of 0 or more"),
        ({"kv_bytes_per_token": float("nan")}, "kv_bytes_per_token: expected a finite"),
        ({"batch": 0}, "batch: expected a number above 0"),
        ({"batch": 1.5}, "batch: expected a whole number"),
        ({"context": 0}, "context: expected"),
        ({"kv_bytes_per_token": 0}, "needs no memory"),
        ({"reserve_fraction": 1.0}, "reserve_fraction: expected 0 or more and below 1, found 1.0"),
    ],
)
def test_impossible_sizes_are_refused(change: dict[str, Any], said: str) -> None:
    data: dict[str, Any] = LLAMA_8B | {"batch": 1, "context": 128, "hardware": H200} | change
    with pytest.raises(InputError, match=said):
        fit(**data)
