"""Kernels that choose: their values against NumPy, their products' FLOP by hand."""

import numpy as np
import pytest

from hwmodel.einsum.counts import flops, footprint_bytes
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads import selection
from hwmodel.einsum.workloads.selection import Heads

RANDOM = np.random.default_rng(0)


def test_an_order_is_that_of_a_sort() -> None:
    rows = RANDOM.random((3, 17))
    made = evaluate(selection.order(3, 17, "fp32"), {"X": rows})["PLACE"][-1]
    assert np.array_equal(made, np.argsort(np.argsort(-rows, axis=1), axis=1))


def test_a_cut_leaves_the_mass_that_is_asked_for() -> None:
    rows = RANDOM.dirichlet(np.full(40, 0.3), 5)
    steps = 0.5 ** np.arange(2, 2 + selection.HALVINGS)
    given = {"X": rows, "GOAL": np.array(0.9), "STEP": steps}
    cuts = evaluate(selection.cut(5, 40, "fp32"), given)["CUT"][-1]
    for row, threshold in zip(rows, cuts, strict=True):
        largest = np.sort(row)[::-1]
        fewest = int(np.argmax(np.cumsum(largest) >= 0.9)) + 1
        # Bisection ends within 2^-17 of the last element of the smallest such set.
        assert threshold == pytest.approx(largest[fewest - 1], abs=2**-16)


def test_moved_rows_are_those_of_an_order() -> None:
    table, places = RANDOM.random((6, 4)), np.array([5, 0, 3])
    made = evaluate(selection.moved(6, 3, 4, "fp32", "moved"), {"X": table, "PLACE": places})
    assert np.array_equal(made["Y"], table[places])


def test_means_of_blocks_are_means() -> None:
    blocks = RANDOM.random((2, 3, 4))
    made = evaluate(selection.mean(2, 3, 4, "fp32", "means"), {"X": blocks})["Y"]
    assert made == pytest.approx(blocks.mean(axis=1))


def test_a_probe_costs_2_queries_keys_head_dim_for_each_head() -> None:
    # 4 heads in 2 groups, 16 queries, 100 keys of 8 elements.
    probe = selection.probe(3, 2, 2, 16, 100, 8, "bf16", "bf16")
    assert flops(probe) == 3 * 4 * 2 * 16 * 100 * 8
    assert footprint_bytes("K", probe) == 3 * 2 * 100 * 8 * 2


def test_blocks_cost_2_blocks_squared_head_dim_for_each_head() -> None:
    heads = Heads(1, 1024, 1024, 2, 4, 64, "bf16", "bf16", decoding=False)
    scores = next(c for c in selection.chosen_blocks(heads, 128) if c.name == "block scores")
    assert flops(scores) == 8 * 2 * 8 * 8 * 64
