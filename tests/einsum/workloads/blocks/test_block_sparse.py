"""Attention to chosen blocks: what is kept, what is read, what is chosen among."""

import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.workloads.model import Model, model

M3 = {"model_type": "minimax_m3", "torch_dtype": "bfloat16"}
"""MiniMax M3's own sizes: 60 layers, of which the first three attend to all keys."""


def stage(read: Model, name: str, context: int) -> Stage:
    return next(s for s in read.decode(1, context).stages if s.name == name)


def test_keys_values_and_index_keys_of_all_tokens_are_kept() -> None:
    read = model(M3)
    token = 60 * 2 * 4 * 128 * 2 + 57 * 128 * 2
    assert read.kv_bytes_per_token == token
    assert read.kv_bytes(1, 100_000) == 100_000 * token


@pytest.mark.parametrize(("context", "keys"), [(1000, 1000), (2048, 2048), (100_000, 2048)])
def test_a_query_reads_sixteen_blocks_at_most(context: int, keys: int) -> None:
    chosen = stage(model(M3), "attention, window 2048", context)
    assert chosen.cascade.ranks["m"].size == keys
    assert chosen.times == 57
    assert stage(model(M3), "attention", context).cascade.ranks["m"].size == context


def test_every_key_is_scored_and_the_best_of_each_block_counts() -> None:
    read = model(M3)
    scores, blocks = (stage(read, f"index {n}", 100_000).cascade for n in ("scores", "blocks"))
    assert cascade_counts(scores)["multiply", "bf16"] == 4 * 128 * 100_000
    assert blocks.ranks["c"].size == 782  # blocks of 128, the last one not full
    assert blocks.ranks["k"].size == 128


def test_layers_are_as_the_checkpoint_s_own_keys_say() -> None:
    layers = {
        "sparse_attention_config": {"sparse_attention_freq": [0, 1], "sparse_topk_blocks": 2},
        **{"moe_layer_freq": [1, 0], "num_hidden_layers": 2},
    }
    made = [s.name for s in model(M3 | layers).decode(1, 5000).stages]
    assert "attention" in made
    assert "attention, window 256" in made
    assert made.count("router") == 1


def test_parameters_equal_those_that_transformers_builds() -> None:
    """Its `MiniMaxM3VLTextModel` of these sizes has 1,500,192, without indexer and head."""
    sizes = {
        **{"vocab_size": 320, "hidden_size": 96, "intermediate_size": 136, "num_hidden_layers": 4},
        **{"num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 24, "rotary_dim": 12},
        **{"num_local_experts": 8, "num_experts_per_tok": 2, "shared_intermediate_size": 56},
        "mlp_layer_types": ["sparse"] * 4,
    }
    read = model(M3 | sizes | {"layer_types": ["full_attention"] * 4})
    assert read.parameters == 1_500_192 + 320 * 96
    sparse = model(M3 | sizes | {"layer_types": ["sparse_attention"] * 4, "index_n_heads": 3})
    indexer = (3 + 1) * 128 * 96 + 2 * 128
    assert sparse.parameters == read.parameters + 4 * indexer


def test_both_phases_are_predicted() -> None:
    read = model(M3 | {"num_hidden_layers": 4})
    for run in (read.prefill(1, 4096), read.decode(4, 9000)):
        estimate = hw.predict(run, on="h200")
        assert estimate.time_s > estimate.bound_s > 0
