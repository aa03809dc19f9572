"""Engines that may serve a model."""

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.drafts import Drafts
from hwmodel.einsum.workloads.model import model
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.deployments.kinds import kinds


def test_a_dense_model_is_divided_by_tp_and_pp_alone() -> None:
    """Llama's 8 heads of keys, four stages at the most: 1, 2, 4, 8 by 1, 2, 3, 4, up to 8."""
    found = list(kinds(model("llama-3.1-8b"), [device("h100")], 8))
    degrees = {(kind.ways.tp, kind.ways.pp) for kind in found}
    assert degrees == {(1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (2, 3), (2, 4),
                       (4, 1), (4, 2), (8, 1)}  # fmt: skip
    assert {(kind.weights, kind.cache) for kind in found} == {
        (weights, cache) for weights in ("bf16", "fp8") for cache in ("bf16", "fp8")
    }
    assert len(found) == 4 * len(degrees)
    assert {kind.weights for kind in found if kind.quantised} == {"fp8"}


def test_experts_are_on_all_devices_of_a_stage_or_undivided() -> None:
    found = list(kinds(model("deepseek-v3"), [device("h200")], 16))
    assert {kind.weights for kind in found} == {"fp8"}
    assert not any(kind.quantised for kind in found)
    for kind in found:
        ways = kind.ways
        assert ways.tp <= 8
        assert ways.ep in (1, ways.tp * ways.dp)
        assert ways.dp == 1 or ways.ep > 1
    assert any(kind.ways.dp == 16 for kind in found)


def test_engines_that_draft_stand_beside_those_that_do_not() -> None:
    """On two devices tp=2 may draft by one or by both; a pipeline does not."""
    draft = Drafts.of("model=qwen2.5-0.5b,tokens=3,acceptance=0.8,tp=2")
    found = list(kinds(hw.model("llama-3.1-8b"), [hw.device("h100")], 2, ["bf16/bf16"], draft))
    assert sorted((each.degrees, each.draft is not None) for each in found) == [
        ("pp=2", False),
        ("tp=1", False),
        ("tp=2", False),
        ("tp=2", True),
    ]
    (drafts,) = (each for each in found if each.draft is not None)
    assert drafts.words.endswith(", drafts")
    assert (drafts.queries, drafts.makes) == (4, pytest.approx(1 + 0.8 + 0.64 + 0.512))
