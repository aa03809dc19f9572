"""Routing around the experts."""

import numpy as np

from hwmodel.einsum.counts import footprint_bytes
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.dispatch import (
    SOFTMAX,
    Scoring,
    combine_kernels,
    gather_rows,
    router_kernels,
    top_k,
)


def test_top_k_finds_the_largest_and_where_they_stand() -> None:
    scores = np.random.default_rng(3).permuted(np.arange(24.0).reshape(3, 8), axis=1)
    found = evaluate(top_k(3, 8, 3), {"X": scores})
    order = np.argsort(-scores, axis=1)[:, :3]
    np.testing.assert_array_equal(found["CHOSEN"], order)
    np.testing.assert_array_equal(found["Y"], np.take_along_axis(scores, order, axis=1))


def test_weights_are_normalised_where_the_model_does_so() -> None:
    with_sum = [s.name for s in router_kernels(10, 8, 2, SOFTMAX)]
    without = [s.name for s in router_kernels(10, 8, 2, Scoring(normalised=False))]
    assert set(with_sum) - set(without) == {"weights sum", "weights divide"}


def test_scores_become_fp32_before_top_k() -> None:
    softmax = router_kernels(10, 8, 2, SOFTMAX)[0].cascade
    assert (softmax.tensors["X"].dtype, softmax.tensors["Y"].dtype) == ("bf16", "fp32")


def test_gathered_rows_are_read_once_each_and_never_more_than_the_table_has() -> None:
    few, many = gather_rows(3, 10, 16), gather_rows(30, 10, 16)
    assert footprint_bytes("X", few) == 3 * 16 * 2
    assert footprint_bytes("X", many) == 10 * 16 * 2
    assert footprint_bytes("Y", many) == 30 * 16 * 2


def test_the_combination_reads_every_row_and_writes_every_token() -> None:
    added = combine_kernels(5, 2, 16)[-1].cascade
    assert footprint_bytes("X", added) == 5 * 2 * 16 * 2
    assert footprint_bytes("Y", added) == 5 * 16 * 2
    rows, zeros = np.random.default_rng(4).normal(size=(5, 2, 16)), np.zeros((5, 16))
    found = evaluate(added, {"X": rows, "Z": zeros})["Y"]
    np.testing.assert_allclose(found, rows.sum(1))
