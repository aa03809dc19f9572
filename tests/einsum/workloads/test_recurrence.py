"""Recurrences equal their token-by-token definition, and count what their papers say."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwmodel.einsum.counts import cascade_counts, footprint_bytes
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.recurrence import Rule, causal_conv, chunked, scanned, updated

Array = NDArray[np.float64]
RANDOM = np.random.default_rng(7)
BATCH, CHUNKS, CHUNK, GROUPS, EACH, KEY, VALUE = 2, 3, 4, 2, 3, 5, 6
TOKENS = CHUNKS * CHUNK


def drawn() -> dict[str, Array]:
    """Inputs [batch, chunks, tokens of a chunk, heads of keys, heads of each, elements]."""
    outer = (BATCH, CHUNKS, CHUNK, GROUPS)
    normal, uniform = RANDOM.standard_normal, RANDOM.random
    return {
        **{"Q": normal((*outer, KEY)), "K": normal((*outer, KEY))},
        **{"V": normal((*outer, EACH, VALUE)), "G": -uniform((*outer, EACH))},
        "STEP": uniform((*outer, EACH)),
    }


def token_by_token(rule: Rule, given: dict[str, Array]) -> tuple[Array, Array]:
    """Results and last states, by the definition of the rule."""
    state = np.zeros((BATCH, GROUPS, EACH, VALUE, KEY))
    made = np.zeros_like(given["V"])
    for chunk in range(CHUNKS):
        for token in range(CHUNK):
            q, k, v, g, step = (given[n][:, chunk, token] for n in ("Q", "K", "V", "G", "STEP"))
            state = state * np.exp(g)[..., None, None]
            if rule == "delta":
                v = v - np.einsum("bgrpn,bgn->bgrp", state, k)
            state = state + np.einsum("bgrp,bgn->bgrpn", v * step[..., None], k)
            made[:, chunk, token] = np.einsum("bgrpn,bgn->bgrp", state, q)
    return made, state


@pytest.mark.parametrize("rule", ["linear", "delta"])
def test_chunks_compute_what_tokens_one_by_one_do(rule: Rule) -> None:
    given = drawn()
    expected, last = token_by_token(rule, given)
    cascade = chunked(BATCH, TOKENS, GROUPS, GROUPS * EACH, KEY, VALUE, chunk=CHUNK, rule=rule)
    named = {("BETA" if n == "STEP" and rule == "delta" else n): a for n, a in given.items()}
    found = evaluate(cascade, named)
    np.testing.assert_allclose(found["Y"], expected, atol=1e-12)
    np.testing.assert_allclose(found["LAST"], last, atol=1e-12)


@pytest.mark.parametrize("rule", ["linear", "delta"])
def test_one_token_moves_the_state_as_the_definition_does(rule: Rule) -> None:
    given = drawn()
    expected, last = token_by_token(rule, given)
    cascade = updated(BATCH, GROUPS, GROUPS * EACH, KEY, VALUE, rule=rule)
    state = np.zeros((BATCH, GROUPS, EACH, VALUE, KEY))
    step = "BETA" if rule == "delta" else "STEP"
    for chunk in range(CHUNKS):
        for token in range(CHUNK):
            now = {n: given[n][:, chunk, token] for n in ("Q", "K", "V", "G")}
            found = evaluate(cascade, {**now, step: given["STEP"][:, chunk, token], "S": state})
            state = found["LAST"]
            np.testing.assert_allclose(found["Y"], expected[:, chunk, token], atol=1e-12)
    np.testing.assert_allclose(state, last, atol=1e-12)


def test_channels_decay_each_at_a_pace_of_its_own() -> None:
    """Mamba's selective scan, and its one token."""
    channels, state = 4, 3
    normal, uniform = RANDOM.standard_normal, RANDOM.random
    given: dict[str, Any] = {
        **{"A": -uniform((channels, state)), "STEP": uniform((1, TOKENS, channels))},
        **{"V": normal((1, TOKENS, channels)), "K": normal((1, TOKENS, state))},
        "Q": normal((1, TOKENS, state)),
    }
    found = evaluate(scanned(1, TOKENS, channels, state), given)
    one = updated(1, 1, 1, state, channels, rule="channel")
    held = np.zeros((1, channels, state))
    for t in range(TOKENS):
        step, v, k, q = (given[n][:, t] for n in ("STEP", "V", "K", "Q"))
        decayed = np.exp(step[..., None] * given["A"]) * held
        expected = decayed + (step * v)[..., None] * k[:, None]
        now = evaluate(one, {"A": given["A"], "STEP": step, "V": v, "K": k, "Q": q, "S": held})
        held = expected
        np.testing.assert_allclose(now["LAST"], expected, atol=1e-12)
        np.testing.assert_allclose(found["Y"][:, t], (held * q[:, None]).sum(-1), atol=1e-12)
    np.testing.assert_allclose(found["LAST"], held, atol=1e-12)


def test_a_gated_channel_keeps_its_variance() -> None:
    """RG-LRU: inputs are scaled by sqrt(1 - a^2)."""
    gates, values = -RANDOM.random((1, TOKENS, 5)), RANDOM.standard_normal((1, TOKENS, 5))
    found = evaluate(scanned(1, TOKENS, 5, rule="element"), {"G": gates, "V": values})
    held = np.zeros((1, 5))
    for t in range(TOKENS):
        a = np.exp(gates[:, t])
        held = a * held + np.sqrt(1 - a * a) * values[:, t]
        np.testing.assert_allclose(found["Y"][:, t], held, atol=1e-12)


def test_a_causal_convolution_sees_its_last_tokens_whether_all_at_once_or_one_by_one() -> None:
    channels, taps = 3, 4
    x, filters = RANDOM.standard_normal((1, 9, channels)), RANDOM.standard_normal((channels, taps))
    padded = np.concatenate([np.zeros((1, taps - 1, channels)), x], axis=1)
    every = evaluate(causal_conv(1, 9, channels, taps, act=None), {"X": padded, "F": filters})["Y"]
    one = causal_conv(1, 1, channels, taps, act=None, decoding=True)
    for t in range(9):
        expected = (padded[:, t : t + taps] * filters.T).sum(1)
        before = np.swapaxes(padded[:, t : t + taps - 1], 1, 2)
        given = {"S": before, "F": filters[:, :-1], "NOW": filters[:, -1], "X": x[:, t]}
        np.testing.assert_allclose(every[:, t], expected, atol=1e-12)
        np.testing.assert_allclose(evaluate(one, given)["Y"], expected, atol=1e-12)


def test_operations_of_a_prompt_grow_with_its_tokens_not_with_their_square() -> None:
    long, short = (
        cascade_counts(chunked(1, tokens, 4, 8, 128, 128, rule="delta")) for tokens in (4096, 2048)
    )
    kinds = [key for key in short if key[0] != "convert"]  # that of the last state
    assert len(kinds) > 3
    assert all(long[key] == 2 * short[key] for key in kinds)


def test_one_token_reads_and_writes_the_state_of_every_head_once() -> None:
    cascade = updated(3, 16, 32, 128, 128, rule="delta")
    state = 3 * 32 * 128 * 128 * 4
    assert footprint_bytes("S", cascade) == footprint_bytes("LAST", cascade) == state
