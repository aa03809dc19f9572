"""Decoders said layer by layer: BASED, recursions, MLPs by choice, by hand and by enumeration."""

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.workloads.model import Model, model
from hwmodel.quantity.errors import CoverageError, InputError

SIZES: dict[str, Any] = {
    **{"vocab_size": 1000, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 6},
    **{"num_attention_heads": 4, "torch_dtype": "bfloat16"},
}
LAYERED = {**SIZES, "model_type": "layered"}
HEADS, MLP = {"block": "attention"}, {"block": "mlp"}


def of(stages: tuple[Stage, ...], role: str) -> float:
    """Multiplications of the stages that do this."""
    done = (
        s.times * cascade_counts(s.cascade)["multiply", "bf16"] for s in stages if s.role == role
    )
    return float(sum(done))


def operations(read: Model, batch: int = 4) -> float:
    """All operations of a step."""
    stages = read.decode(batch, 100).stages
    return float(sum(s.times * sum(cascade_counts(s.cascade).values()) for s in stages))


def test_layers_of_which_nothing_is_said_are_those_of_llama() -> None:
    ours, llama = model(LAYERED), model({**SIZES, "model_type": "llama"})
    assert ours.parameters == llama.parameters
    assert ours.decode(3, 100).stages == llama.decode(3, 100).stages
    assert ours.prefill(3, 100).stages == llama.prefill(3, 100).stages


@pytest.mark.parametrize(("keys", "kept"), [("own", 2 / 3), ("all", 1 / 3)])
def test_three_recursions_keep_two_thirds_of_the_keys_or_one(keys: str, kept: float) -> None:
    """(Nr + 1) / (2 Nr), or 1 / Nr with keys and values taken from the first."""
    plain = model(LAYERED)
    thirds = model({**LAYERED, "num_hidden_layers": 2, "recursions": 3, "recursion_keys": keys})
    assert thirds.kv_bytes(1, 3072) == plain.kv_bytes(1, 3072) * kept


def test_recursed_weights_are_held_once_and_read_in_each_application() -> None:
    recursed = {"num_hidden_layers": 2, "recursions": 3, "recursion_shares": [1, 1, 1]}
    thirds, plain = model({**LAYERED, **recursed}), model(LAYERED)
    two = model({**LAYERED, "num_hidden_layers": 2})
    assert thirds.parameters == two.parameters
    assert thirds.decode(4, 100).stages == plain.decode(4, 100).stages
    times = {s.name: s.times for s in thirds.decode(4, 100).stages}
    assert times["gate-up"] == 6


def test_attention_of_a_recursion_falls_with_the_square_of_its_share_or_with_it() -> None:
    """Half of 64 tokens: pairs 32 * 33 / 2 of 64 * 65 / 2, or half of them."""
    given = {**LAYERED, "num_hidden_layers": 1, "recursions": 2, "recursion_shares": [1, 0.5]}
    each = 4 * 2 * 32  # heads, two products, elements
    for keys, pairs in (("own", 64 * 65 / 2 + 32 * 33 / 2), ("all", 1.5 * 64 * 65 / 2)):
        step = model({**given, "recursion_keys": keys}).prefill(1, 64)
        assert of(step.stages, "attention.scores") == each * pairs


def test_first_and_last_layers_may_stand_outside_of_the_recursion() -> None:
    read = model(
        {
            **{**LAYERED, "num_hidden_layers": 4, "recursions": 3, "unshared_first": 1},
            **{"unshared_last": 1, "recursion_shares": [1, 1, 1]},
        }
    )
    assert read.network.depth == 1 + 3 * 2 + 1
    assert read.parameters == model({**LAYERED, "num_hidden_layers": 4}).parameters


def test_expected_operations_of_layers_that_choose_are_those_of_all_729_patterns() -> None:
    """Six layers with a big MLP, a small one or none: Duo-LLM's oracle walks the same patterns."""
    chances = {"small": 0.3, "big": 0.5, "none": 0.2}
    mlps = {"small": {**MLP, "width": 64}, "big": {**MLP, "width": 256}}
    fixed = {"small": [HEADS, mlps["small"]], "big": [HEADS, mlps["big"]], "none": [HEADS]}
    patterns = Counter(tuple(sorted(p)) for p in product(chances, repeat=6))
    assert sum(patterns.values()) == 3**6
    expected = 0.0
    for pattern, count in patterns.items():
        chance = 1.0
        for kind in pattern:
            chance *= chances[kind]
        given = {**LAYERED, "kinds": fixed, "layer_types": list(pattern)}
        expected += count * chance * operations(model(given))
    ways = [{**mlps[kind], "tokens": chances[kind]} for kind in mlps]
    choosing = model({**LAYERED, "kinds": {"layer": [HEADS, {"block": "choice", "ways": ways}]}})
    # Beside the MLPs: routers of three ways; a norm and a residual for tokens that skip the MLP.
    routers = 6 * 4 * 2 * 3 * 128
    skipped = operations(model({**LAYERED, "kinds": {"layer": [HEADS]}}))
    both = operations(model({**LAYERED, "kinds": {"layer": [HEADS, MLP]}}))
    mlp = 6 * 4 * (6 * 128 * 256 + 256 * 5)  # products; a SiLU of four operations, a multiply
    beside = both - skipped - mlp
    assert operations(choosing) == pytest.approx(expected + routers + beside * chances["none"])


def test_one_big_layer_among_small_ones_costs_less_than_all_big() -> None:
    big = {**LAYERED, "hidden_size": 2048, "num_attention_heads": 16, "intermediate_size": 8192}
    kinds = {"big": [HEADS, MLP], "small": [HEADS, {**MLP, "width": 512}]}
    one = {**big, "kinds": kinds, "layer_types": ["big", *["small"] * 5]}
    every = {**big, "kinds": kinds, "layer_types": ["big"] * 6}
    times = [hw.predict(hw.model(each).decode(8, 512), on="h200").time_s for each in (one, every)]
    assert times[0] < times[1]


def versatile(loops: int, deep: float = 0.25, **sizes: Any) -> Model:
    """An MLP of 4 slices, of which a token takes one, or all so often."""
    part = {"block": "versatile_mlp", "slices": 4, "active": 1, "loops": loops, "deep": deep}
    return model({**LAYERED, **sizes, "kinds": {"layer": [HEADS, part]}})


@pytest.mark.parametrize("loops", [1, 2, 4])
def test_a_versatile_mlp_does_its_loops_for_some_and_a_slice_for_others(loops: int) -> None:
    """Expected: g r F + (1 - g) k / E F, of 4 tokens in 6 layers."""
    stages = versatile(loops).decode(4, 100).stages
    names = ("gate-up", "down", "experts gate-up", "experts down")
    done = sum(
        s.times * float(cascade_counts(s.cascade)["multiply", "bf16"])
        for s in stages
        if s.name in names
    )
    whole = 3 * 128 * 256
    assert done == pytest.approx(6 * 4 * (0.25 * loops * whole + 0.75 * whole / 4))


def test_loops_add_no_weights_and_less_time_than_operations() -> None:
    sizes = {"hidden_size": 2048, "num_attention_heads": 16, "intermediate_size": 8192}
    once, often = (versatile(loops, 1.0, **sizes) for loops in (1, 4))
    assert once.weight_bytes == often.weight_bytes
    plain = model({**LAYERED, **sizes})
    assert once.parameters == plain.parameters + 6 * (4 * 2048 + 2 * 2048)  # two routers
    steps = [hw.predict(each.decode(1, 128), on="h200") for each in (once, often)]
    slower = steps[1].time_s / steps[0].time_s
    assert 1 < slower < steps[1].flop / steps[0].flop


def test_states_of_based_do_not_grow() -> None:
    """Seven linear layers of 493,584 elements, a window of 64, convolutions' last two inputs."""
    kinds = {
        "linear": [{"block": "linear_attention", "feature_dim": 16}, MLP],
        "window": [{"block": "attention", "window": 64}, MLP],
        "conv": [{"block": "gated_conv", "taps": 3}, MLP],
    }
    types = ["linear"] * 7 + ["window"] * 7 + ["conv"] * 22
    sizes = {"hidden_size": 1792, "intermediate_size": 3584, "num_attention_heads": 16}
    read = model(
        {**LAYERED, **sizes, "num_hidden_layers": 36, "kinds": kinds, "layer_types": types}
    )
    linear, window, conv = 7 * 493_584, 7 * 229_376, 22 * 2 * 3584
    assert read.kv_bytes(1, 1024) == 2 * (linear + window + conv)
    assert read.kv_bytes(1, 100_000) == read.kv_bytes(1, 1024)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"layer_types": ["layer"] * 5}, "expected one entry for each of the 6 layers"),
        ({"layer_types": ["other"] * 6}, "expected names of 'kinds' (layer), found 'other'"),
        ({"recursions": 2, "recursion_shares": [1]}, "one for each of the 2 applications"),
        ({"unshared_first": 7}, "expected 6 layers at most, found 7"),
        ({"kinds": {"layer": [{"block": "magic"}]}}, "kinds.layer.0"),
        ({"kinds": {"layer": [{**MLP, "wide": 3}]}}, "kinds.layer.0.mlp.wide"),
        ({"kinds": {"layer": [{**MLP, "tokens": 1.5}]}}, "less than or equal to 1"),
        (
            {"kinds": {"layer": [{"block": "choice", "ways": [MLP, MLP]}]}},
            "shares of tokens that sum to 1 at most, found 2",
        ),
        (
            {"kinds": {"layer": [{"block": "versatile_mlp", "slices": 7}]}},
            "expected slices that divide its 256 columns",
        ),
    ],
)
def test_what_makes_no_model_is_refused_by_its_key(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        model({**LAYERED, **keys})
    assert said in str(refused.value)


def test_states_cannot_be_taken_from_the_first_application() -> None:
    kinds = {"layer": [{"block": "gated_conv"}, MLP]}
    with pytest.raises(CoverageError, match="found GatedConv; use 'own'"):
        model({**LAYERED, "kinds": kinds, "recursions": 2, "recursion_keys": "all"})


def test_recursions_are_the_same_one_by_one_and_in_arrays() -> None:
    recursed = hw.model({**LAYERED, "num_hidden_layers": 2, "recursions": 3})
    batches = np.array([1.0, 4.0, 16.0])
    together = hw.predict(recursed.decode(batches, 64), on="h200").time_s
    alone = [hw.predict(recursed.decode(int(b), 64), on="h200").time_s for b in batches]
    np.testing.assert_allclose(together, alone, rtol=1e-9)


def test_a_policy_holds_for_attention_among_ways_too() -> None:
    ways = [{**HEADS, "tokens": 0.5}, {"block": "gated_conv", "tokens": 0.5}]
    given = {**LAYERED, "kinds": {"layer": [{"block": "choice", "ways": ways}, MLP]}}
    names = [s.name for s in model(given, cache_policy="keyformer").decode(2, 100).stages]
    assert "attention, key tokens" in names
    assert "attention" not in names
