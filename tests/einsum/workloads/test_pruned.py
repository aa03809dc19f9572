"""Cascade pruning: which layers keep what, and that sets only shrink."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwmodel as hw
from hwmodel.einsum.counts import operation_counts
from hwmodel.einsum.workloads.pruned import kept, pruned_attention
from hwmodel.quantity.errors import InputError

SIZES: dict[str, Any] = {"layers": 12, "batch": 1, "heads": 12, "keys": 1000, "head_dim": 64}


def test_the_first_layers_keep_all_and_the_mean_is_that_asked_for() -> None:
    """15 % of 12 layers is 1.8: two keep all tokens; the others' mean is 0.6."""
    found = kept(12, 1000, 0.6, 0.15, start=0.9)
    assert found[:2] == (1000, 1000)
    assert found[2] == 900
    assert found[-1] == 300
    assert sum(found[2:]) / 10 == pytest.approx(600, abs=1)


@given(
    layers=st.integers(1, 40),
    size=st.integers(1, 5000),
    mean=st.floats(0.51, 1.0),
    after=st.floats(0.0, 1.0),
)
def test_sets_only_shrink_and_never_vanish(
    layers: int, size: int, mean: float, after: float
) -> None:
    found = kept(layers, size, mean, after)
    assert len(found) == layers
    assert all(size >= a >= b >= 1 for a, b in pairwise(found))


def test_without_pruning_all_layers_are_one_stage() -> None:
    stack = pruned_attention(**SIZES)
    assert [stage.times for stage in stack.stages] == [12]
    plain = hw.workloads.attention(
        batch=1, heads=12, queries=1000, keys=1000, head_dim=64, dtype="int8"
    )
    (stage,) = stack.stages
    for one, other in zip(stage.cascade.einsums, plain.einsums, strict=True):
        assert operation_counts(one, stage.cascade) == operation_counts(other, plain)


def test_a_pruned_token_asks_no_query_in_a_sentence_and_one_query_generates() -> None:
    sentence = pruned_attention(**SIZES, token_keep=0.6)
    generated = pruned_attention(**SIZES, token_keep=0.6, queries=1)
    assert sentence.stages[-1].cascade.ranks["p"].size < 1000
    assert all(stage.cascade.ranks["p"].size == 1 for stage in generated.stages)


def test_the_same_workload_with_other_arguments() -> None:
    stack = hw.workloads.pruned_attention(**SIZES, token_keep=0.6)
    assert stack.but(token_keep=1.0).stages[0].times == 12


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"token_keep": 0.0}, "token_keep"),
        ({"head_keep": 1.5}, "head_keep"),
        ({"token_keep": 0.3}, "between 0.5 and 1"),
        ({"layers": 0}, "layers"),
    ],
)
def test_arguments_at_fault_are_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        pruned_attention(**(SIZES | changes))
