"""Attention: every form computes softmax(QK)V, counts the masked work, and has its passes."""

import itertools
from typing import Any

import numpy as np
import pytest

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import footprint_bytes, operation_counts, points
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.passes import passes
from hwmodel.einsum.workloads.attention import attention
from hwmodel.quantity.errors import InputError

BATCH, HEADS, KV_HEADS, DIM, VALUE_DIM = 2, 4, 2, 3, 5
FORMS: dict[str, dict[str, Any]] = {
    "naive": {"passes": 2, "stable": False},
    "deferred": {"passes": 1, "stable": False},
    "3-pass": {"passes": 3},
    "2-pass": {"passes": 2, "tile": 2},
    "1-pass": {"passes": 1, "tile": 2},
    "split": {"splits": 2, "tile": 2},
}
MASKS: dict[str, dict[str, Any]] = {
    "full": {},
    "causal": {"causal": True},
    "window": {"causal": True, "window": 3},
}


def _visible(queries: int, keys: int, causal: bool, window: int | None) -> Any:
    """[queries, keys], written down from the convention, point by point."""
    mask = np.ones((queries, keys), dtype=bool)
    for i, j in itertools.product(range(queries), range(keys)):
        last = i + keys - queries
        if causal and j > last:
            mask[i, j] = False
        if window is not None and j <= last - window:
            mask[i, j] = False
    return mask


def _made(queries: int, keys: int, **choices: Any) -> Cascade:
    return attention(
        batch=BATCH,
        heads=HEADS,
        kv_heads=KV_HEADS,
        queries=queries,
        keys=keys,
        head_dim=DIM,
        value_dim=VALUE_DIM,
        **choices,
    )


def _split_keys(array: Any, made: Cascade) -> Any:
    """K or V [.., keys, dim] as the cascade stores it: keys in parts, the last one padded."""
    ranks = made.tensors["K"].ranks[2:-1]
    sizes = [int(made.ranks[rank].size) for rank in ranks]
    padding = int(np.prod(sizes)) - array.shape[2]
    padded = np.pad(array, ((0, 0), (0, 0), (0, padding), (0, 0)))
    return padded.reshape(*array.shape[:2], *sizes, array.shape[3])


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("queries", "keys"), [(5, 8), (8, 8), (1, 8), (4, 7)])
def test_every_form_computes_softmax_of_the_visible_keys(
    form: str, mask: str, queries: int, keys: int
) -> None:
    made = _made(queries, keys, **FORMS[form], **MASKS[mask])
    random = np.random.default_rng(7)
    q = random.normal(size=(BATCH, KV_HEADS, HEADS // KV_HEADS, queries, DIM))
    k = random.normal(size=(BATCH, KV_HEADS, keys, DIM))
    v = random.normal(size=(BATCH, KV_HEADS, keys, VALUE_DIM))
    visible = _visible(queries, keys, mask != "full", MASKS[mask].get("window"))
    weights = np.where(visible, np.exp(q @ np.swapaxes(k, -1, -2)[:, :, None]), 0.0)
    expected = weights / weights.sum(-1, keepdims=True) @ v[:, :, None]
    inputs = {"Q": q, "K": _split_keys(k, made), "V": _split_keys(v, made)}
    np.testing.assert_allclose(evaluate(made, inputs)["AV"], expected, rtol=1e-10)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("queries", "keys"), [(5, 8), (8, 8), (1, 8), (4, 7)])
def test_products_count_the_visible_points_only(
    form: str, mask: str, queries: int, keys: int
) -> None:
    made = _made(queries, keys, **FORMS[form], **MASKS[mask])
    visible = int(_visible(queries, keys, mask != "full", MASKS[mask].get("window")).sum())
    assert points(made.einsum("QK"), made) == BATCH * HEADS * visible * DIM
    second = {"1-pass": "SLNV", "split": "SLNV", "deferred": "SNV"}.get(form, "AV")
    assert points(made.einsum(second), made) == BATCH * HEADS * visible * VALUE_DIM


@pytest.mark.parametrize(
    ("form", "expected"), [("naive", 2), ("3-pass", 3), ("2-pass", 2), ("1-pass", 1)]
)
def test_the_forms_have_the_passes_of_their_names(form: str, expected: int) -> None:
    made = _made(8, 8, **FORMS[form])
    assert passes(made)["m", "QK"] == expected


def test_square_causal_work_is_half_and_the_diagonal() -> None:
    made = attention(1, 1, queries=100, keys=100, head_dim=1, causal=True)
    assert points(made.einsum("QK"), made) == 100 * 101 // 2


def test_a_single_query_sees_every_key() -> None:
    causal = attention(1, 1, queries=1, keys=100, head_dim=4, causal=True)
    full = attention(1, 1, queries=1, keys=100, head_dim=4)
    assert points(causal.einsum("QK"), causal) == points(full.einsum("QK"), full)


def test_each_score_takes_one_exponential_and_the_corrections_one_per_tile() -> None:
    made = attention(1, 1, queries=6, keys=12, head_dim=4, tile=4)
    exps = {
        einsum.name: count
        for einsum in made.einsums
        for (kind, _), count in operation_counts(einsum, made).items()
        if kind == "exp"
    }
    assert exps == {"SLN": 6 * 12, "PRM": 6 * 3}


def test_deferring_the_division_divides_outputs_instead_of_scores() -> None:
    def divisions(made: Cascade) -> Any:
        counts = (operation_counts(einsum, made) for einsum in made.einsums)
        return sum(n for c in counts for (kind, _), n in c.items() if kind == "divide")

    plain = attention(1, 1, queries=6, keys=12, head_dim=4, passes=2, stable=False)
    deferred = attention(1, 1, queries=6, keys=12, head_dim=4, stable=False)
    assert (divisions(plain), divisions(deferred)) == (6 * 12, 6 * 4)


def test_grouped_queries_share_keys_and_values() -> None:
    made = attention(2, 32, queries=7, keys=2048, head_dim=128, kv_heads=8)
    assert footprint_bytes("Q", made) == footprint_bytes("AV", made) == 2 * 2 * 32 * 7 * 128
    assert footprint_bytes("K", made) == footprint_bytes("V", made) == 2 * 2 * 8 * 2048 * 128


def test_a_window_reads_the_last_keys_only() -> None:
    made = attention(1, 1, queries=1, keys=1000, head_dim=4, causal=True, window=100, passes=3)
    assert footprint_bytes("K", made) == 100 * 4 * 2


def test_keys_that_fill_no_whole_tile_are_not_padded() -> None:
    made = attention(1, 1, queries=1, keys=1000, head_dim=4, tile=128)
    assert footprint_bytes("K", made) == 1000 * 4 * 2
    assert points(made.einsum("LM"), made) == 1000


def test_formats_of_cache_and_output() -> None:
    made = attention(1, 2, queries=1, keys=10, head_dim=4, dtype="fp8")
    assert (made.tensors["K"].dtype, made.tensors["AV"].dtype) == ("fp8", "bf16")
    made = attention(1, 2, queries=1, keys=10, head_dim=4, kv_dtype="fp8")
    assert (made.tensors["Q"].dtype, made.tensors["K"].dtype) == ("bf16", "fp8")
    assert made.tensors["K"].role == made.tensors["V"].role == "cache"


def test_arrays_of_keys_are_many_attentions() -> None:
    keys = np.array([100.0, 1000.0, 12345.0])
    together = attention(1, 8, queries=64, keys=keys, head_dim=64, causal=True)
    alone = [attention(1, 8, queries=64, keys=int(k), head_dim=64, causal=True) for k in keys]
    expected: list[Any] = [points(made.einsum("QK"), made) for made in alone]
    assert np.array_equal(np.asarray(points(together.einsum("QK"), together)), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": 11, "causal": True}, r"queries: expected at most as many as keys \(10\)"),
        ({"kv_heads": 3}, r"kv_heads: expected a divisor of heads \(4\), found 3"),
        ({"window": 4}, r"window: expected causal=True"),
        ({"passes": 4}, r"passes: expected 1, 2 or 3, found 4"),
        ({"passes": 3, "stable": False}, r"passes: expected 1 or 2 without a maximum"),
        ({"splits": 2, "passes": 2}, r"splits: expected 1 with passes=2"),
        ({"splits": 0}, r"splits: expected a number above 0, found 0"),
        ({"tile": [1, 2]}, r"tile: expected a whole number, found"),
        ({"head_dim": 0}, r"head_dim: expected a number above 0, found 0"),
        ({"keys": 2.5}, r"keys: expected a whole number, found 2.5"),
        ({"dtype": "fp9"}, r"unknown dtype 'fp9'"),
    ],
)
def test_impossible_arguments_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"batch": 1, "heads": 4, "queries": 10, "keys": 10, "head_dim": 8}
    with pytest.raises(InputError, match=message):
        attention(**(given | changes))


@pytest.mark.parametrize("form", FORMS)
def test_a_density_thins_both_products_and_the_exponentials(form: str) -> None:
    sizes: dict[str, Any] = {"queries": 8, "keys": 8, "head_dim": DIM, "causal": True}
    every, some = (
        attention(BATCH, HEADS, **sizes, density=density, **FORMS[form]) for density in (1.0, 0.25)
    )
    pairs = BATCH * HEADS * 36  # the triangle of 8
    for cascade, kept in ((every, pairs), (some, pairs / 4)):
        products = [e for e in cascade.einsums if e.name in ("QK", "AV", "SNV", "SLNV")]
        scores = next(e for e in products if e.name == "QK")
        assert points(scores, cascade) == pytest.approx(kept * DIM)
        exponentials = next(e for e in cascade.einsums if e.name in ("SN", "SLN"))
        assert operation_counts(exponentials, cascade)[("exp", "fp32")] == pytest.approx(kept)


@pytest.mark.parametrize("density", [0.0, 1.5, -1.0])
def test_a_density_is_a_share(density: float) -> None:
    with pytest.raises(InputError, match="density: expected a share above 0 and up to 1"):
        attention(1, 1, queries=4, keys=4, head_dim=4, density=density)
