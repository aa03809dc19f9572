"""DeepSeek V4: totals, caches, keys that a query sees, streams; small cascades against NumPy."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.blocks.block import Step
from hwmodel.einsum.workloads.blocks.compressed import Compressor
from hwmodel.einsum.workloads.blocks.share import Share
from hwmodel.einsum.workloads.blocks.streams import Collapse, Combine
from hwmodel.einsum.workloads.model import model
from hwmodel.einsum.workloads.precision import Precision
from hwmodel.quantity.errors import CoverageError, InputError

FLASH: dict[str, Any] = {
    # deepseek-ai/DeepSeek-V4-Flash, config.json
    **{"model_type": "deepseek_v4", "hidden_size": 4096, "num_hidden_layers": 43},
    **{"vocab_size": 129280, "torch_dtype": "bfloat16", "qk_rope_head_dim": 64},
    "compress_ratios": [0, 0, *[4, 128] * 20, 4, 0],
}
SHARE = Share(Precision("fp32", "fp32", "fp32", "fp32"), layers=(0,))
STEP = Step(batch=1, queries=3, context=3, decoding=False)
DRAW = np.random.default_rng(5).standard_normal


def stages(context: int) -> dict[str, Any]:
    return {stage.name: stage for stage in model(FLASH).decode(4, context).stages}


def named(block: Collapse | Combine, name: str) -> Cascade:
    return next(s.cascade for s in block.stages(STEP, SHARE) if s.name == name)


def test_the_total_is_that_which_transformers_builds() -> None:
    found = model(FLASH)
    assert found.parameters == 284_332_230_231
    assert found.active_parameters / 1e9 == pytest.approx(13.8, abs=0.1)  # stated: 284 B, 13 B


def test_layers_keep_a_window_and_a_part_of_an_entry_for_each_token() -> None:
    found = model(FLASH)
    # 21 layers keep 512 / 4 and the indexer's 128 / 4, 20 layers 512 / 128 elements a token
    entries = 21 * (128 + 32) + 20 * 4
    assert found.kv_bytes_per_token == 2 * (43 * 512 + entries)
    # not yet entries: keys and weights of 4 tokens, twice as wide, and of 128 tokens
    unfinished = 21 * 2 * 4 * 2 * (512 + 128) + 20 * 2 * 128 * 512
    whole = 2 * (43 * 128 * 512 + 100_000 * entries + unfinished)
    assert found.kv_bytes(1, 100_000) == whole
    assert found.kv_bytes(1, 10**6) / 1e9 == pytest.approx(2 * 3440 / 1000, rel=2e-3)


@pytest.mark.parametrize(
    ("context", "sparse", "heavy"),
    [(100, 100 + 25, 100), (4096, 128 + 512, 128 + 32), (10**6, 128 + 512, 128 + 7812)],
)
def test_a_query_sees_a_window_and_entries(context: int, sparse: int, heavy: int) -> None:
    steps = model(FLASH).decode(4, context).stages
    scores = [s for s in steps if s.role == "attention.scores"]
    seen = {s.times: s.cascade.sizes()["m"] for s in scores}
    assert seen == {2: min(context, 128), 21: sparse, 20: heavy}
    assert all(s.cascade.sizes()["e"] == s.cascade.sizes()["f"] == 512 for s in scores)


def test_streams_are_collapsed_before_each_block_and_mixed_after_it() -> None:
    found = [s for s in model(FLASH).decode(4, 100).stages if s.role.startswith("streams.")]
    runs: dict[str, int] = {}
    for stage in found:
        runs[stage.name] = runs.get(stage.name, 0) + int(stage.times)
    layers = 2 * 43
    assert runs == {
        **{"streams copy": 1, "streams norm": layers + 1, "streams mix": layers + 1},
        **{"streams balance": layers * 40, "streams collapse": layers + 1},
        "streams combine": layers,
    }


def test_a_collapse_and_a_mixture_are_sums_over_streams() -> None:
    x, p, c, o = DRAW((3, 4, 6)), DRAW((3, 4)), DRAW((3, 4, 4)), DRAW((3, 6))
    before, after = Collapse(6, 4, 20, "model.layers.{layer}.attn_hc"), Combine(6, 4)
    made = evaluate(named(before, "streams collapse"), {"X": x, "P": p})["Y"]
    np.testing.assert_allclose(made, np.einsum("tnd,tn->td", x, p))
    given = {"X": x, "C": c, "P": p, "O": o}
    mixed = np.einsum("tnm,tnd->tmd", c, x) + p[:, :, None] * o[:, None]
    np.testing.assert_allclose(evaluate(named(after, "streams combine"), given)["Y"], mixed)
    balanced = evaluate(named(before, "streams balance"), {"X": abs(c)})["Y"]
    np.testing.assert_allclose(balanced.sum(-1), 1)


def test_an_entry_is_the_sum_of_its_tokens_under_a_softmax() -> None:
    compressor = Compressor(hidden=8, dim=5, rate=3, overlapping=False, path="c")
    gate, key, shift = DRAW((2, 3, 5)), DRAW((2, 3, 5)), DRAW((3, 5))
    made = evaluate(compressor.compress(2, "fp32"), {"G": gate, "X": key, "BIAS": shift})["Y"]
    weights = np.exp(gate + shift)
    np.testing.assert_allclose(made, (weights / weights.sum(1, keepdims=True) * key).sum(1))
    wide = replace(compressor, overlapping=True)
    assert wide.compress(2, "fp32").sizes() == {"n": 2, "r": 6, "d": 5}


def test_a_step_has_a_time_and_says_what_is_not_fused() -> None:
    step = model(FLASH | {"quantization_config": {"quant_method": "fp8"}}).decode(8, 4096, tp=8)
    assert hw.predict(step, "h200").time_s > 0
    assert any("engines fuse them" in words for words in step.warnings)


def test_layers_that_cannot_be_read_are_refused_by_name() -> None:
    with pytest.raises(CoverageError, match="compress_ratios: 8 is not modelled"):
        model(FLASH | {"compress_ratios": [8] * 43})
    with pytest.raises(InputError, match="expected one entry for each of the 43 layers, found 3"):
        model(FLASH | {"compress_ratios": [4] * 3})
    with pytest.raises(InputError, match="o_groups: expected a divisor"):
        model(FLASH | {"o_groups": 3 * 7})
