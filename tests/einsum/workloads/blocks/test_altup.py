"""Alternating updates, LAuReL and borrowed keys of Gemma 3n, against its modeling file by numpy."""

from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import InputError

E4B = {"model_type": "gemma3n_text", "torch_dtype": "bfloat16"}
SMALL = {
    **E4B,
    **{"hidden_size": 32, "head_dim": 8, "num_attention_heads": 4, "num_hidden_layers": 5},
    **{"num_kv_shared_layers": 0, "intermediate_size": [16, 16, 24, 16, 16]},
}
TOKENS, WIDTH, STREAMS = 3, 32, 4


def kernel(name: str) -> Cascade:
    """The first kernel of this name in a small model's step on three tokens."""
    stages = model(SMALL).prefill(1, TOKENS).stages
    found = next(stage.cascade for stage in stages if stage.name == name)
    assert found is not None
    return found


def drawn(*shape: int) -> Any:
    """Numbers that are the same every time, and none of which is near 0."""
    return np.random.default_rng(sum(shape)).uniform(0.5, 2.0, shape)


def test_e4b_has_the_parameters_that_transformers_builds() -> None:
    """`Gemma3nForCausalLM(Gemma3nTextConfig())` of transformers 5.24.0, tied ones once."""
    assert model(E4B).parameters == 6_835_235_568


def test_the_last_15_of_35_layers_cache_nothing() -> None:
    """Of the first 20, 16 keep 512 tokens and 4 all of them: k and v, 2 heads of 256, 2 B."""
    assert model(E4B).kv_bytes(3, 10_000) == 3 * (16 * 512 + 4 * 10_000) * 2 * 2 * 256 * 2


def test_streams_are_predicted_by_a_product_with_each_tokens_own_matrix() -> None:
    streams, factors = drawn(TOKENS, STREAMS, WIDTH), drawn(TOKENS, STREAMS, STREAMS)
    made = evaluate(kernel("altup predict"), {"X": streams, "C": factors})["Y"]
    expected = np.matmul(streams.transpose(0, 2, 1), factors).transpose(0, 2, 1)
    np.testing.assert_allclose(made, expected)


def test_another_stream_gets_the_root_mean_square_of_the_first() -> None:
    first, other = drawn(TOKENS, WIDTH), 7 * drawn(TOKENS, WIDTH)[::-1]
    made = evaluate(kernel("altup magnitude"), {"H": first, "X": other})["Y"]
    wanted = np.sqrt((first**2).mean(-1, keepdims=True))
    np.testing.assert_allclose(np.sqrt((made**2).mean(-1, keepdims=True)), wanted)
    np.testing.assert_allclose(made / other, (made / other)[:, :1] + np.zeros_like(other))


def test_streams_end_as_their_mean() -> None:
    streams = drawn(TOKENS, STREAMS, WIDTH)
    made = evaluate(kernel("altup mean"), {"X": streams})["Y"]
    np.testing.assert_allclose(made, streams.mean(1))


def test_a_layers_own_input_is_added_to_all_streams_but_the_first() -> None:
    streams, own = drawn(STREAMS - 1, TOKENS, WIDTH), drawn(TOKENS, WIDTH)
    made = evaluate(kernel("layer input residual"), {"X": streams, "Z": own})["Y"]
    np.testing.assert_allclose(made, streams + own)


def test_each_layer_routes_twice_and_may_leave_the_scale_out() -> None:
    runs = {"altup norm": 2, "altup output scale": 1, "laurel left": 1, "laurel right": 1}
    for scaled in (True, False):
        made = model({**SMALL, "altup_correct_scale": scaled})
        times = dict.fromkeys(runs, 0)
        for stage in made.prefill(1, TOKENS).stages:
            if stage.name in times:
                times[stage.name] += int(stage.times)
        expected = {name: 5 * count for name, count in runs.items()}
        assert times == expected | ({} if scaled else {"altup output scale": 0})
        assert made.parameters == model(SMALL).parameters  # the vector is there all the same


def test_a_wider_mlp_of_one_layer_is_its_three_products_alone() -> None:
    even = model({**SMALL, "intermediate_size": 16})
    assert model(SMALL).parameters - even.parameters == 3 * 32 * (24 - 16)


def test_gates_that_are_cut_off_are_told() -> None:
    told = [each for each in model(E4B).warnings if "activation_sparsity_pattern" in each]
    assert len(told) == 1
    dense = model({**E4B, "activation_sparsity_pattern": [0.0] * 35})
    assert not any("activation_sparsity_pattern" in each for each in dense.warnings)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("intermediate_size", [16, 16]),
        ("activation_sparsity_pattern", [0.95]),
        ("num_kv_shared_layers", 1),  # the fifth alone has no window
        ("num_kv_shared_layers", 9),
        ("altup_num_inputs", 1),
    ],
)
def test_what_makes_no_model_is_refused_by_its_key(key: str, value: Any) -> None:
    with pytest.raises(InputError, match=key):
        model({**SMALL, key: value})
