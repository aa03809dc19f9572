"""Weights of a block, and their shares on devices."""

import pytest

from hwmodel.einsum.division import Division
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.quantity.errors import InputError


def test_a_split_divides_its_axis_alone() -> None:
    column = Weight("q", (64, 32), "linear", "attention", Split("heads", 8))
    row = Weight("o", (32, 64), "linear", "attention", Split("heads", 8), axis=1)
    assert column.sizes(4) == (16, 32)
    assert row.sizes(4) == (32, 16)
    assert Weight("gain", (32,), "norm", "norms").sizes(4) == (32,)


def test_pieces_fewer_than_devices_are_repeated_where_they_may_be() -> None:
    keys = Split("num_key_value_heads", 2, repeated=True)
    assert [keys.share(tp) for tp in (1, 2, 4)] == [2, 1, 1]
    with pytest.raises(InputError, match="expected a multiple of the 2 KV heads"):
        keys.share(3)
    with pytest.raises(InputError, match=r"expected a divisor of heads \(2\), found 4"):
        Split("heads", 2).share(4)


def test_a_token_uses_its_copies_alone() -> None:
    experts = Weight("e", (6, 5), "linear", "experts", Split("inner", 6), copies=8, used=2)
    assert experts.elements() == 8 * 30
    assert experts.active() == 2 * 30
    assert experts.active(Division(tp=3)) == 2 * 10


def test_a_module_is_named_in_its_layer_and_of_experts_by_the_first() -> None:
    weight = Weight("model.layers.{layer}.mlp.experts.{expert}.w1", (2, 2), "linear", "experts")
    assert weight.path_in(7) == "model.layers.7.mlp.experts.0.w1"
    assert Weight("lm_head", (2, 2), "head", "head").path_in(None) == "lm_head"


def test_a_cache_has_elements_that_grow_and_elements_that_do_not() -> None:
    cache = Cache(256, Split("heads", 4), state=1000, state_split=Split("groups", 2))
    assert (cache.per_token(2), cache.states(2)) == (128, 500)
    assert Cache(7).per_token(8) == 7


def test_new_tokens_of_decode_see_a_window_at_most() -> None:
    decode = Step(batch=2, queries=1, context=100, decoding=True)
    assert [decode.seen(window) for window in (None, 30, 300)] == [100, 30, 100]
    assert Step(batch=2, queries=100, context=100, decoding=False).seen(30) == 100
    assert Step(batch=2, queries=50, context=100, decoding=False).tokens == 100
