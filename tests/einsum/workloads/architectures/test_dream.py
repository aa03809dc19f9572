"""Dream: Qwen 2's parameters, attention in both directions, logits of every token, no cache."""

import pytest

from hwmodel.einsum.counts import flops
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import InputError

SIZES = {
    **{"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28},
    **{"num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064},
    **{"torch_dtype": "bfloat16", "mask_token_id": 151666, "pad_token_id": 151643},
}


def test_parameters_are_those_of_qwen_2() -> None:
    read = model({"model_type": "Dream", **SIZES})
    assert read.parameters == model("qwen2.5-7b").parameters


def test_a_pass_attends_both_ways_and_makes_all_logits() -> None:
    read = model({"model_type": "Dream", **SIZES})
    stages = {stage.name: stage for stage in read.prefill(1, 64).stages}
    assert flops(stages["head"].cascade) == 2 * 64 * 3584 * 152064
    assert not stages["attention"].cascade.einsums[0].bands
    assert "kv write" not in stages
    assert read.kv_bytes(1, 64) == 0


def test_it_makes_no_tokens_one_by_one() -> None:
    with pytest.raises(InputError, match="expected a model that makes tokens one by one"):
        model({"model_type": "Dream", **SIZES}).decode(1, 64)
