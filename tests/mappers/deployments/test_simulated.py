"""What simulated streams say of deployments, beside the steady state and the workload `serving`."""

from dataclasses import replace
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.drafts import Drafts
from hwmodel.mappers.deployments.kinds import Kind, kinds
from hwmodel.mappers.deployments.pools import Deployment, Pool
from hwmodel.mappers.deployments.simulated import Streams, share_of
from hwmodel.mappers.deployments.steady import Limits, Settled
from hwmodel.mappers.deployments.traffic import Traffic

TRAFFIC = Traffic(8, 1000, 60)
SETTLED = Settled(10, 0.01, 0.05, 0.1, 500, 0.3, 0.3)


@pytest.fixture(scope="module")
def kind() -> Kind:
    return next(iter(kinds(hw.model("llama-3.1-8b"), [hw.device("h100")], 1)))


def deployed(*pools: Pool) -> Deployment:
    return Deployment(pools, 1.0, 0.05, 0.1, 0.01)


def test_a_stream_waits_what_the_workload_serving_says(kind: Kind) -> None:
    one = deployed(Pool(kind, 1, Limits(2048, 64), SETTLED))
    seen = Streams(TRAFFIC, 95, 600, seed=3).of(one)
    asked: dict[str, Any] = {
        **{"input": 1000, "output": 60, "rate_per_s": 8, "requests": 600, "seed": 3},
        **{"max_batch_tokens": 2048, "max_batch": 64},
    }
    served: Any = hw.predict(hw.model("llama-3.1-8b").serving(**asked), on="h100")
    assert seen.requests == 600
    assert seen.tpot_s == pytest.approx(served.tpot_s, rel=0.03)
    assert seen.ttft_s == pytest.approx(served.ttft_s, rel=0.05)
    assert seen.ttft_s < seen.ttft_late_s


def test_pools_ship_caches_before_the_first_token(kind: Kind) -> None:
    """A prompt of 1,000 tokens is 131 MB of keys and values: 2.6 ms of a link of 50 GB/s."""
    reads = Pool(kind, 1, Limits(2048, 64), SETTLED, "prefill")
    makes = Pool(kind, 1, Limits(2048, 64), SETTLED, "decode")
    streams = Streams(Traffic(0.5, 1000, 60), 95, 100)
    both, one = streams.of(deployed(reads, makes)), streams.of(deployed(reads))
    prompt = hw.predict(kind.model.prefill(1, 1000), on="h100", engine="vllm")
    assert both.ttft_s == pytest.approx(prompt.sustained_time_s + 0.00262, rel=0.1)
    assert both.tpot_s <= one.tpot_s  # which reads prompts between tokens


def test_engines_that_draft_wait_what_the_workload_says_too(kind: Kind) -> None:
    draft = "model=qwen2.5-0.5b,tokens=3,acceptance=0.8"
    drafts = replace(kind, draft=Drafts.of(draft))
    seen = Streams(Traffic(2, 1000, 60), 95, 200, seed=3).of(
        deployed(Pool(drafts, 1, Limits(2048, 64), SETTLED))
    )
    work = hw.model("llama-3.1-8b").serving(
        input=1000, output=60, rate_per_s=2, requests=200, seed=3,
        max_batch_tokens=2048, max_batch=64, draft=draft,
    )  # fmt: skip
    served: Any = hw.predict(work, on="h100")
    assert seen.tpot_s == pytest.approx(served.tpot_s, rel=0.03)
    assert seen.ttft_s == pytest.approx(served.ttft_s, rel=0.05)


@pytest.mark.parametrize(
    ("replicas", "share"), [([1], 1), ([4], 1), ([8], 0.5), ([64, 16], 0.25), ([10, 7], 1)]
)
def test_some_engines_of_each_pool_stand_for_all_in_whole_numbers(
    replicas: list[int], share: float
) -> None:
    assert share_of(replicas) == share
