"""Why no engine will do: what is told of those that come near, and of devices without an engine."""

import pytest

from hwmodel.einsum.workloads.model import model
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.deployments.kinds import kinds
from hwmodel.mappers.deployments.missed import Missed
from hwmodel.mappers.deployments.pools import Pool
from hwmodel.mappers.deployments.steady import Limits, Settled
from hwmodel.mappers.deployments.traffic import Promise
from hwmodel.quantity.errors import CapacityError
from hwmodel.verbs.deploy import deploy

PROMISE = Promise.of("ttft=0.1s,tpot=10ms")


def pool(ttft_s: float, tpot_s: float, replicas: int) -> Pool:
    kind = next(iter(kinds(model("llama-3.1-8b"), [device("h100")], 2, ("fp8",))))
    waits = Settled(1.0, tpot_s, ttft_s, ttft_s, 100.0, 0.5, 0.5)
    return Pool(kind, replicas, Limits(1024, 64), waits)


def test_the_nearest_is_the_one_whose_worst_wait_is_least_over_its_promise() -> None:
    missed = Missed()
    for each in (pool(0.05, 0.03, 1), pool(0.12, 0.011, 2), pool(0.19, 0.005, 3)):
        missed.by(each, PROMISE)
    assert missed.over == pytest.approx(1.2)
    (told,) = missed.told
    assert told.startswith("nearest is 2 x (h100 tp=1")
    assert told.endswith("with 120 ms to a first token, p95 and 11 ms to a further token")


def test_a_device_that_no_engine_is_known_on_is_said() -> None:
    asked = {"traffic": "rate=1,input=100,output=9", "slo": "ttft=9s", "max_devices": 1}
    answer = deploy("qwen3-0.6b", on="mi300x", **asked)  # pyright: ignore
    assert any("NVIDIA's GPUs alone: on mi300x" in told for told in answer.warnings)


def test_weights_that_fit_nowhere_are_said_and_nothing_that_would_not_help() -> None:
    asked = {"traffic": "rate=1,input=100,output=9", "slo": "ttft=9s", "max_devices": 1}
    with pytest.raises(CapacityError) as error:
        deploy("llama-3.1-405b", on="l4", **asked)  # pyright: ignore
    assert "by weights that do not fit" in str(error.value)
    assert "more seconds" not in str(error.value)
