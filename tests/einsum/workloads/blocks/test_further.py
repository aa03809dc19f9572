"""Modules that predict further tokens: counted by hand, and read by any of their keys."""

import math
from typing import Any

import pytest

from hwmodel.einsum.workloads.blocks.further import last_layer
from hwmodel.einsum.workloads.model import model


def test_a_module_of_deepseek_v3_has_a_layer_of_experts_and_a_product_of_both_halves() -> None:
    """256 experts and a shared one of 7168 x 2048, a router, latent attention, [14336 -> 7168]."""
    network = model("deepseek-v3").network
    assert network.further == 1
    found = sum(
        math.prod(w.shape) * w.copies
        for block in network.module
        for w in block.weights()
        if w.role not in ("norm", "bias")
    )
    experts = (256 + 1) * 3 * 7168 * 2048 + 256 * 7168
    queries = 7168 * 1536 + 1536 * 128 * 192
    keys = 7168 * 576 + 512 * 128 * 256
    assert found == experts + queries + keys + 128 * 128 * 7168 + 14336 * 7168
    assert model("deepseek-v3").parameters == pytest.approx(671e9, rel=0.001)  # without it


@pytest.mark.parametrize(
    ("config", "count"), [("minimax-m2", 3), ("kimi-k2", 0), ("qwen3.5-35b-a3b", 1)]
)
def test_configs_say_by_several_keys_how_many_there_are(config: str, count: int) -> None:
    assert model(config).network.further == count


def test_hybrids_say_by_a_pattern_what_a_module_is() -> None:
    nano: Any = model("nemotron-3-nano-30b-a3b").config
    made = type(nano)(**{**nano.model_dump(), "num_nextn_predict_layers": 2})
    said = type(nano)(**{**made.model_dump(), "mtp_hybrid_override_pattern": "*E"})
    ahead = said.ahead(said.network())
    assert ahead.further == 2
    kinds = [block.name for block in ahead.module if hasattr(block, "name")]
    assert [name for name in kinds if name.endswith(" norm")][-2:] == ["attention norm", "moe norm"]
    plain = made.ahead(made.network())
    assert plain.module[3:] == last_layer(plain)
