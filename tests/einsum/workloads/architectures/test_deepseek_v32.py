"""DeepSeek V3.2 and GLM 5: totals, caches, what an indexer computes and what it spares."""

from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.counts import footprint_bytes
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.blocks.block import Step
from hwmodel.einsum.workloads.blocks.indexer import Indexer
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import CoverageError, InputError

DEEPSEEK_V32: dict[str, Any] = {
    # deepseek-ai/DeepSeek-V3.2-Exp, config.json
    **{"model_type": "deepseek_v32", "hidden_size": 7168, "intermediate_size": 18432},
    **{"num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128},
    **{"vocab_size": 129280, "index_n_heads": 64, "index_head_dim": 128, "index_topk": 2048},
    "torch_dtype": "bfloat16",
}
GLM_5: dict[str, Any] = {
    # zai-org/GLM-5, config.json
    **{"model_type": "glm_moe_dsa", "hidden_size": 6144, "intermediate_size": 12288},
    **{"num_hidden_layers": 78, "num_attention_heads": 64, "num_key_value_heads": 64},
    **{"vocab_size": 154880, "torch_dtype": "bfloat16"},
}
SHARED = GLM_5 | {"index_topk_freq": 4, "index_skip_topk_offset": 3}


def stages(config: dict[str, Any], context: int) -> dict[str, Any]:
    return {stage.name: stage for stage in model(config).decode(4, context).stages}


def test_totals_are_those_that_transformers_builds() -> None:
    assert model(DEEPSEEK_V32).parameters == 671_877_929_216
    assert model(GLM_5).parameters == 743_911_199_232
    assert model(SHARED).parameters == 743_377_000_704  # GLM 5.2


def test_a_token_keeps_an_index_key_in_layers_that_have_an_indexer() -> None:
    assert model(DEEPSEEK_V32).kv_bytes_per_token == 61 * (576 + 128) * 2
    # layers 0, 1, 2, then one in four: 6, 10, ..., 74
    full = 3 + len(range(6, 78, 4))
    assert model(SHARED).kv_bytes_per_token == (78 * 576 + full * 128) * 2
    assert stages(SHARED, 100)["index scores"].times == full
    assert stages(SHARED, 100)["attention on latents"].times == 78


def test_queries_read_no_more_latents_than_they_choose() -> None:
    for context, read in ((1000, 1000), (2048, 2048), (100_000, 2048)):
        found = stages(DEEPSEEK_V32, context)
        latents = found["attention on latents"].cascade
        assert footprint_bytes("K", latents) == 4 * read * 576 * 2
        assert footprint_bytes("K", found["index scores"].cascade) == 4 * context * 128 * 2


def test_a_short_prompt_is_dense_and_a_long_one_chooses_for_each_token() -> None:
    found = model(DEEPSEEK_V32)
    short = {s.name: s.cascade for s in found.prefill(2, 2048).stages}
    assert short["attention"].sizes()["p"] == 2048
    long = {s.name: s.cascade.sizes() for s in found.prefill(2, 4096).stages}
    assert "attention" not in long
    assert (long["attention on latents"]["b"], long["attention on latents"]["m"]) == (8192, 2048)


def test_index_scores_are_the_weighted_sum_of_what_is_above_zero() -> None:
    indexer = Indexer(hidden=8, query_rank=6, heads=3, dim=4, turned=2)
    step = Step(batch=2, queries=5, context=7, decoding=False)
    draw = np.random.default_rng(3).standard_normal
    q, k, w = draw((2, 5, 3, 4)), draw((2, 7, 4)), draw((2, 5, 3))
    cascade = indexer.scores(step, "fp32", "fp32")
    scores = evaluate(cascade, {"Q": q, "K": k, "W": w})["I"]
    want = np.einsum("bphm,bph->bpm", np.maximum(np.einsum("bphe,bme->bphm", q, k), 0), w)
    np.testing.assert_allclose(scores, want)
    rows = draw((10, 7))
    least = np.sort(rows, axis=1)[:, -3]  # of the three best
    found = evaluate(indexer.choice(10, 7), {"X": rows, "Z": least})["Y"]
    assert (found.sum(axis=1) == 3).all()
    assert (np.where(found, rows, np.inf).min(1) > np.where(found, -np.inf, rows).max(1)).all()


def test_layers_that_cannot_be_read_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="indexer_types: expected one for each of 78 layers"):
        model(GLM_5 | {"indexer_types": ["full"] * 3})
    with pytest.raises(InputError, match="the first of them full"):
        model(GLM_5 | {"indexer_types": ["shared"] * 78})
    with pytest.raises(CoverageError, match="indexer_types: 'half' is not modelled"):
        model(GLM_5 | {"indexer_types": ["full"] + ["half"] * 77})
    with pytest.raises(CoverageError, match="mlp_layer_types: expected first_k_dense_replace"):
        model(GLM_5 | {"mlp_layer_types": ["sparse"] * 78})
    with pytest.raises(InputError, match="expected the key 'q_lora_rank'"):
        model(DEEPSEEK_V32 | {"q_lora_rank": None})
    assert any("engines fuse them" in words for words in model(GLM_5).warnings)
