"""A Taylor series of attention equals its definition, and keeps what its paper says."""

from math import prod

import numpy as np
from numpy.typing import NDArray

import hwmodel as hw
from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.taylor import chunked, normalised, state_elements, updated

Array = NDArray[np.float64]
RANDOM = np.random.default_rng(11)
BATCH, CHUNKS, CHUNK, HEADS, KEY, VALUE = 2, 3, 4, 2, 3, 5
TOKENS = CHUNKS * CHUNK


def drawn() -> dict[str, Array]:
    """Inputs [batch, tokens, heads, elements], values with the one beside them."""
    outer = (BATCH, TOKENS, HEADS)
    values = RANDOM.standard_normal((*outer, VALUE))
    return {
        "Q": RANDOM.standard_normal((*outer, KEY)),
        "K": RANDOM.standard_normal((*outer, KEY)),
        "V": np.concatenate([values, np.ones((*outer, 1))], axis=-1),
    }


def by_definition(given: dict[str, Array]) -> Array:
    """Every token weighs all before it, and itself."""
    dots = np.einsum("bthn,bshn->bhts", given["Q"], given["K"])
    weights = np.tril(1 + dots + dots**2 / 2)
    return np.einsum("bhts,bshp->bthp", weights, given["V"])


def test_chunks_compute_what_the_definition_does() -> None:
    given = drawn()
    inside = {n: a.reshape(BATCH, CHUNKS, CHUNK, HEADS, -1) for n, a in given.items()}
    found = evaluate(chunked(BATCH, TOKENS, HEADS, KEY, VALUE, chunk=CHUNK), inside)
    made = found["Y"].reshape(BATCH, TOKENS, HEADS, VALUE + 1)
    np.testing.assert_allclose(made, by_definition(given), atol=1e-11)
    np.testing.assert_allclose(found["LAST0"], given["V"].sum(1), atol=1e-12)
    pairs = np.einsum("bthp,bthn,bthm->bhpnm", given["V"], given["K"], given["K"])
    np.testing.assert_allclose(found["LAST2"], pairs, atol=1e-11)


def test_one_token_after_the_other_computes_the_same() -> None:
    given = drawn()
    expected = by_definition(given)
    cascade = updated(BATCH, HEADS, KEY, VALUE)
    shapes = {"S0": (), "S1": (KEY,), "S2": (KEY, KEY)}
    sums = {n: np.zeros((BATCH, HEADS, VALUE + 1, *more)) for n, more in shapes.items()}
    for t in range(TOKENS):
        found = evaluate(cascade, {**{n: a[:, t] for n, a in given.items()}, **sums})
        sums = {f"S{order}": found[f"LAST{order}"] for order in range(3)}
        np.testing.assert_allclose(found["Y"], expected[:, t], atol=1e-11)


def test_results_are_divided_by_the_sum_of_their_weights() -> None:
    sums, totals = RANDOM.standard_normal((3, VALUE)), 1 + RANDOM.random(3)
    found = evaluate(normalised(3, VALUE, "fp32"), {"X": sums, "Z": totals})
    np.testing.assert_allclose(found["Y"], sums / totals[:, None])


def test_the_published_layer_keeps_493_584_elements() -> None:
    """16 heads, 273 by 112 values and one: BASED's 1.3B."""
    assert 16 * state_elements(16, 112) == 493_584
    cascade = updated(1, 16, 16, 112)
    kept = [t for t in cascade.tensors.values() if t.name.startswith("LAST")]
    sizes = cascade.sizes()
    assert sum(prod(int(sizes[r]) for r in t.ranks) for t in kept) == 493_584


def test_a_prompt_need_move_its_queries_keys_values_results_and_one_state() -> None:
    """bf16; a value has the one beside it."""
    batch, tokens = 4, 1024
    least = hw.predict(chunked(batch, tokens, 16, 16, 112), on="h200").bound_bytes
    per_token = 16 * (16 + 16 + 113 + 113)
    assert least == 2 * batch * (tokens * per_token + 493_584)


def test_operations_of_a_prompt_grow_with_its_tokens_not_with_their_square() -> None:
    def operations(tokens: int) -> float:
        return float(sum(cascade_counts(chunked(1, tokens, 16, 16, 112)).values()))

    last = 16 * 113 * 273  # the state that is returned is converted once, whatever the tokens
    assert operations(2048) - last == 2 * (operations(1024) - last)
