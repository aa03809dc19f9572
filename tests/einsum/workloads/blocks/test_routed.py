"""Blocks that some tokens pass: expectations by enumeration, keys by hand."""

from fractions import Fraction
from itertools import product
from math import comb, prod
from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.workloads.blocks.attention import Attention
from hwmodel.einsum.workloads.blocks.block import Block, Step, caches, seen
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.routed import Choice, Keys, Routed, passing
from hwmodel.einsum.workloads.blocks.share import Share
from hwmodel.einsum.workloads.precision import Precision

MLP, BATCH = Mlp(64, 96), 8
HEADS = Attention(64, 4, 2, 16)


def share() -> Share:
    """One device, bf16."""
    return Share(Precision("bf16", "bf16", "bf16", "bf16"))


def operations(block: Block, step: Step) -> Any:
    """All operations expected."""
    made = block.stages(step, share())
    return sum(s.times * sum(cascade_counts(s.cascade).values()) for s in made)


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
@pytest.mark.parametrize("chance", [Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)])
def test_rows_are_those_expected_and_runs_those_in_which_any_passes(
    rows: int, chance: Fraction
) -> None:
    """Over all subsets of the rows."""
    each = [comb(rows, n) * chance**n * (1 - chance) ** (rows - n) for n in range(rows + 1)]
    mean = float(sum(n * p for n, p in enumerate(each)))
    some, often = passing(rows, float(chance))
    assert some * often == pytest.approx(mean)
    runs = float(1 - each[0])
    assert abs(often - runs) <= runs / (2 * some) + 1e-12  # whole rows


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_expected_operations_of_a_choice_are_those_of_all_patterns_together(batch: int) -> None:
    """Two ways and none, over every choice of every row."""
    small, big = Mlp(64, 32), Mlp(64, 96)
    chances = {"small": 0.3, "big": 0.5, "none": 0.2}
    one = {"small": small, "big": big}
    token = {n: operations(b, Step(1, 1, 5, True)) for n, b in one.items()} | {"none": 0.0}
    expected = 0.0
    for pattern in product(chances, repeat=batch):
        chance = prod(chances[way] for way in pattern)
        expected += chance * sum(token[way] for way in pattern)
    choice = Choice(64, (small, big), (0.3, 0.5))
    assert operations(choice, Step(batch, 1, 5, True)) == pytest.approx(expected)


def test_a_prompt_has_its_share_of_tokens_and_of_keys() -> None:
    """A quarter of 64 tokens: 16, which see each other; causal pairs 16 * 17 / 2."""
    step = Step(2, 64, 64, False)
    (scores,) = (
        s for s in Routed(HEADS, 0.25).stages(step, share()) if s.role == "attention.scores"
    )
    sizes = scores.cascade.sizes()
    assert (sizes["p"], scores.cascade.origin is not None) == (16, True)
    pairs = cascade_counts(scores.cascade)["multiply", "bf16"] / (2 * 4 * 2 * 16)
    assert pairs == 16 * 17 / 2


def test_tokens_that_see_all_keys_do_their_share_of_the_whole() -> None:
    """They stand anywhere in the prompt: a quarter of all causal pairs."""
    step = Step(2, 64, 64, False)
    routed = Routed(HEADS, 0.25, keys="all").stages(step, share())
    (scores,) = (s for s in routed if s.role == "attention.scores")
    pairs = scores.times * cascade_counts(scores.cascade)["multiply", "bf16"] / (2 * 4 * 2 * 16)
    assert pairs == 64 * 65 / 2 / 4
    (output,) = (s for s in routed if s.role == "attention.output")
    assert output.cascade.sizes()["m"] == 2 * 16


@pytest.mark.parametrize(("keys", "kept"), [("own", 250), ("all", 1000)])
def test_keys_are_kept_of_the_tokens_that_passed(keys: Keys, kept: int) -> None:
    (cache,) = caches(Routed(HEADS, 0.25, keys=keys))
    assert seen(1000, cache.window) == kept


def test_what_everything_passes_is_the_block_itself() -> None:
    step = Step(BATCH, 1, 100, True)
    assert Routed(MLP, 1.0).stages(step, share()) == MLP.stages(step, share())


def test_sizes_may_be_arrays() -> None:
    batches = np.array([1.0, 4.0, 64.0])
    together = operations(Routed(MLP, 0.3), Step(batches, 1, 5, True))
    alone = [operations(Routed(MLP, 0.3), Step(int(b), 1, 5, True)) for b in batches]
    np.testing.assert_allclose(together, alone)
