"""A global convolution with a kernel made of coordinates: its value, counts by hand, laws."""

from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.hyper_zzw import hyper_zzw
from hwmodel.quantity.errors import InputError
from hwmodel.spine.estimate import Estimate


def of(stack: Stack, role: str) -> Cascade:
    """The cascade of this role."""
    return next(stage.cascade for stage in stack.stages if stage.role == role)


def spent(estimate: Estimate, begun: str) -> float:
    """Seconds of the kernels whose names begin so."""
    parts = (part for part in estimate.parts if part.name.startswith(begun))
    return sum(float(part.times * part.time_s) for part in parts)


def test_the_product_of_spectra_is_that_of_complex_numbers() -> None:
    random = np.random.default_rng(5)
    x, k = (
        random.standard_normal(s) + 1j * random.standard_normal(s) for s in ((2, 2, 64), (2, 64))
    )
    given = {"XR": x.real, "XI": x.imag, "KR": k.real, "KI": k.imag}
    made = evaluate(of(hyper_zzw(2, 4, 4), "filtered"), given)
    np.testing.assert_allclose(made["YR"] + 1j * made["YI"], x * k)


def test_two_maps_are_one_transform_of_four_times_the_places() -> None:
    """Maps of 8 x 8 with as many zeros: 256 points; radix-2: 14 operations a butterfly."""
    stack = hyper_zzw(batch=3, channels=6, side=8)
    butterflies = 128 * 8
    for role, transforms in (("kernel transform", 3), ("transform", 9), ("inverse", 9)):
        assert sum(cascade_counts(of(stack, role)).values()) == transforms * 14 * butterflies
    wrapped = hyper_zzw(batch=3, channels=6, side=8, padded=False)
    assert sum(cascade_counts(of(wrapped, "transform")).values()) == 9 * 14 * 32 * 6


def test_the_kernel_is_made_once_whatever_the_batch() -> None:
    """Three products of 64 places: 2 to 16, to 16, to 6 columns."""
    small, large = (hyper_zzw(n, 6, 8, hidden=16) for n in (1, 50))
    for each in (small, large):
        products = [s.cascade for s in each.stages if s.role.startswith("kernel product")]
        done = sum(cascade_counts(p)["multiply", "fp32"] for p in products)
        assert done == 64 * (2 * 16 + 16 * 16 + 16 * 6)


def test_its_cost_for_an_image_falls_with_the_batch() -> None:
    one, many = (hw.predict(hyper_zzw(n, 64, 32), on="h200") for n in (1, 32))
    assert spent(one, "kernel") == pytest.approx(spent(many, "kernel"))
    assert float(many.time_s) / 32 < float(one.time_s)


def test_attention_is_slower_beyond_some_size_of_a_map() -> None:
    """Of n places n log n against n^2: attention wins on small maps, and ever less."""
    gain: list[float] = []
    for side in (16, 256):
        ours = hw.predict(hyper_zzw(4, 64, side, padded=False), on="h200")
        places = side**2
        other = hw.workloads.attention(batch=4, heads=1, queries=places, keys=places, head_dim=64)
        gain.append(float(hw.predict(other, on="h200").time_s / ours.time_s))
    assert gain == sorted(gain)
    assert gain[0] < 1 < gain[-1]


@pytest.mark.parametrize("side", [0, 1, 12])
def test_sides_that_are_no_power_of_two_are_refused(side: Any) -> None:
    with pytest.raises(InputError, match=r"^hyper_zzw: side: expected"):
        hyper_zzw(1, 4, side)
