"""Scores of distances: counts by hand for DeBERTa and XLNet."""

from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.workloads.model import model

SIZES = {"vocab_size": 320, "hidden_size": 96, "num_attention_heads": 6, "num_hidden_layers": 3}


def test_queries_and_keys_of_deberta_meet_every_distance() -> None:
    """Two terms of a layer: 2 x 8 distances by each of 6 heads' 10 queries, 16 elements a head."""
    keys = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 8}
    read = model({"model_type": "deberta-v2", **SIZES, "intermediate_size": 136, **keys})
    stages = read.prefill(2, 10).stages
    (scores,) = (stage for stage in stages if stage.name == "position scores")
    assert scores.times == 3 * 2
    assert cascade_counts(scores.cascade)["multiply", "bf16"] == 2 * 6 * 10 * 16 * 16
    products = [stage for stage in stages if stage.name == "positions"]
    assert [(each.cascade.sizes()["m"], each.times) for each in products] == [(16, 3), (16, 3)]


def test_queries_of_xlnet_meet_two_positions_for_each_token() -> None:
    keys = {"d_model": 96, "n_layer": 3, "n_head": 6, "d_head": 16, "d_inner": 136}
    read = model({"model_type": "xlnet", "vocab_size": 320, **keys})
    made = {stage.name: stage for stage in read.prefill(2, 10).stages}
    assert (
        cascade_counts(made["position scores"].cascade)["multiply", "bf16"] == 2 * 6 * 10 * 20 * 16
    )
    assert made["positions"].cascade.sizes()["m"] == 20


def test_products_of_q_and_k_that_positions_share_are_counted_once_as_weights() -> None:
    keys = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 8}
    sizes = {"model_type": "deberta-v2", **SIZES, "intermediate_size": 136, **keys}
    own, shared = model(sizes), model({**sizes, "share_att_key": True})
    assert own.parameters - shared.parameters == 3 * 2 * (96 * 96 + 96)
    names = [stage.name for stage in shared.prefill(1, 10).stages]
    assert names.count("positions") == 1
