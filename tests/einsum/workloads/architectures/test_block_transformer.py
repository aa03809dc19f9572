"""A decoder of blocks and one of their tokens, by hand."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import InputError

NEOX: dict[str, Any] = {
    **{"model_type": "gpt_neox", "hidden_size": 64, "intermediate_size": 256},
    **{"num_hidden_layers": 3, "num_attention_heads": 4},
}
BLOCKS: dict[str, Any] = {
    **{"model_type": "block_transformer", "vocab_size": 500, "torch_dtype": "bfloat16"},
    **{"block_length": 4, "prefix": 2, "embedder_size": 16},
    **{"block_decoder": NEOX, "token_decoder": {**NEOX, "num_hidden_layers": 2}},
}


def test_parameters_are_those_of_both_decoders_and_what_joins_them() -> None:
    layer = 12 * 64 * 64 + 13 * 64
    tables = 500 * 16 + 2 * 500 * 64
    expansion = 2 * 64 * 64 + 2 * 64
    assert model(BLOCKS).parameters == 5 * layer + 2 * 2 * 64 + tables + expansion


def test_a_quarter_of_the_context_is_kept_and_five_positions_of_the_last_block() -> None:
    """Keys and values of 64 elements, bf16."""
    assert model(BLOCKS).kv_bytes(1, 1000) == 2 * 2 * 64 * (3 * 250 + 2 * 5)


def test_a_longer_block_makes_longer_contexts_cheaper() -> None:
    lengths = {n: hw.model({**BLOCKS, "block_length": n, "embedder_size": 64 // n}) for n in (2, 8)}
    steps = {n: hw.predict(read.decode(64, 8192), on="h200") for n, read in lengths.items()}
    assert steps[8].time_s < steps[2].time_s
    assert [each.serving and each.serving.tokens for each in steps.values()] == [64, 64]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"embedder_size": 20}, "expected 64 (hidden_size of block_decoder) over the 4 tokens"),
        ({"token_decoder": {"model_type": "magic"}}, "token_decoder: model_type: expected that"),
        ({"token_decoder": {"model_type": "mamba"}}, "a plain decoder, such as 'gpt_neox'"),
        ({"block_decoder": {"model_type": "gpt_neox"}}, "block_decoder: hidden_size: Field"),
    ],
)
def test_what_makes_no_model_is_refused_by_its_key(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        model({**BLOCKS, **keys})
    assert said in str(refused.value)
