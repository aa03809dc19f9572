"""What a pool and a deployment hold is counted from their engines."""

from dataclasses import replace

import pytest

from hwmodel.einsum.workloads.model import model
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.deployments.kinds import kinds
from hwmodel.mappers.deployments.pools import Deployment, Pool, Seen
from hwmodel.mappers.deployments.steady import Limits, Settled
from hwmodel.mappers.deployments.traffic import Promise


def test_devices_and_watts_are_of_all_engines_of_all_pools() -> None:
    """Three engines of two devices at 900 W and one of two at 500 W: 8 devices, 3,200 W."""
    two = next(
        k
        for k in kinds(model("llama-3.1-8b"), [device("h100")], 2)
        if k.words.startswith("h100 tp=2")
    )
    settled = Settled(10, 0.01, 0.05, 0.1, 900, 0.3, 0.3)
    reads = Pool(two, 3, Limits(2048, 64), settled, "prefill")
    makes = Pool(two, 1, Limits(2048, 64), replace(settled, power_w=500), "decode")
    both = Deployment((reads, makes), 1.0, 0.05, 0.1, 0.01)
    assert (reads.devices, makes.devices, both.devices) == (6, 2, 8)
    assert both.power_w == pytest.approx(3200)


def test_a_promise_is_of_late_first_tokens_and_of_mean_ones_between() -> None:
    seen = Seen(100, ttft_s=0.1, ttft_late_s=0.6, tpot_s=0.02, tpot_late_s=0.05)
    assert seen.broken(Promise(0.5, 0.03)) == ("ttft",)
    assert seen.broken(Promise(0.7, 0.03)) == ()
    assert seen.broken(Promise(0.5, 0.01)) == ("ttft", "tpot")
