"""The fused backward pass of attention: its tensors, masks and refusals."""

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.attention_backward import attention_backward
from hwmodel.quantity.errors import InputError


def test_it_makes_the_gradients_of_queries_keys_and_values() -> None:
    made = attention_backward(batch=2, heads=4, kv_heads=2, queries=8, keys=8, head_dim=16)
    assert made.outputs == ("DQ", "DK", "DV")
    assert set(made.inputs) == {"Q", "K", "V", "O", "DO", "LSE"}
    assert made.sizes()["g"] == 2
    assert made.tensors["DQ"].dtype == "bf16"


def test_heads_that_do_not_share_keys_evenly_are_refused() -> None:
    with pytest.raises(InputError, match="kv_heads: expected a divisor of heads"):
        attention_backward(batch=1, heads=4, kv_heads=3, queries=8, keys=8, head_dim=16)


@pytest.mark.parametrize("kernel", ["flash-attention-2", "cudnn"])
def test_a_longer_sequence_takes_four_times_as_long_and_a_mask_half(kernel: str) -> None:
    def seconds(queries: int, causal: bool) -> float:
        made = attention_backward(
            batch=2, heads=32, kv_heads=8, queries=queries, keys=queries, head_dim=128,
            causal=causal,
        )  # fmt: skip
        found = hw.predict(made, on="h200", kernel=kernel)
        assert found.parts[0].family == f"backward:{kernel}"
        return float(found.time_s)

    assert 3.3 < seconds(16_384, True) / seconds(8_192, True) < 4.2
    assert 1.7 < seconds(16_384, False) / seconds(16_384, True) < 2.1


def test_a_window_needs_a_causal_mask() -> None:
    with pytest.raises(InputError, match="window: expected with causal=True"):
        attention_backward(batch=1, heads=4, queries=8, keys=8, head_dim=16, window=4)
