"""Recurrences on a GPU: one call, recognised by the state that it leaves; a prior, as told."""

import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.recurrence import causal_conv, chunked, scanned, updated
from hwmodel.einsum.workloads.transformer import kv_write
from hwmodel.machines.gpu.lower import lower


@pytest.mark.parametrize(
    "cascade",
    [
        chunked(1, 512, 2, 4, 64, 64),
        chunked(1, 512, 2, 4, 64, 64, rule="delta"),
        scanned(1, 512, 256, 16),
        updated(4, 2, 4, 64, 64),
        updated(4, 1, 1, 16, 256, rule="channel"),
        causal_conv(4, 1, 256, 4, decoding=True),
    ],
    ids=["linear", "delta", "channel", "one token", "one token's channels", "one token's filter"],
)
def test_what_leaves_a_state_is_one_call_and_told_as_a_prior(cascade: Cascade) -> None:
    (call,) = lower(cascade)
    assert call.family == "scan:recurrences"
    estimate = hw.predict(cascade, on="h200")
    assert any("uncalibrated: scan:recurrences" in told for told in estimate.warnings)
    assert estimate.time_s >= estimate.bound_s


def test_a_copy_into_the_cache_is_no_recurrence() -> None:
    (call,) = lower(kv_write(1, 64, 4, 64))
    assert call.schedule == "rows"


def test_one_token_takes_the_time_of_its_states_between_the_prior_s_bounds() -> None:
    """256 sequences of 32 heads of 128 x 128 in fp32 are read and written at 4.8 TB/s."""
    estimate = hw.predict(updated(256, 16, 32, 128, 128, rule="delta"), on="h200")
    stream = 2 * 256 * 32 * 128 * 128 * 4 / 4.8e12
    assert stream < estimate.time_s < 2 * stream


def test_products_of_chunks_run_on_the_matrix_unit() -> None:
    """Twice the chunk, keys and values a token: 4 products of a chunk, in FLOP, are most of it."""
    (call,) = lower(chunked(1, 4096, 8, 8, 128, 128, chunk=64))
    matrix = call.problem.operations["matrix", "flop", "bf16"]
    pairs = 64 * 65 / 2
    each = 2 * (2 * pairs * 128 + 2 * 64 * 128 * 128)
    assert matrix == 64 * 8 * each


def test_thin_states_take_no_longer_than_wide_ones() -> None:
    """A block is of one head, however few values or keys that has (it was 4,096 numbers of any)."""
    times = [
        float(hw.predict(chunked(2, 4096, 16, 16, keys, values), on="h200").time_s)
        for keys, values in ((1, 128), (128, 1), (128, 8), (128, 64))
    ]
    assert times == sorted(times)
