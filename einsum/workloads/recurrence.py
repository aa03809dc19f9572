"""Linear recurrences over tokens: states of a fixed size in place of a cache that grows.

Each head keeps a matrix S [p, n] (values by keys). For a token with query q, key k, value v and
gate g:

    linear    S <- exp(g) S + step v k^T                           y = S q
    delta     S <- exp(g) S + beta (v - exp(g) S k) k^T            y = S q
    channel   S_pn <- exp(step_p A_pn) S_pn + step_p v_p k_n       y = S q
    element   s <- exp(g) s + sqrt(1 - exp(2 g)) v                 y = s

`linear` is Mamba-2 (Dao and Gu, arXiv 2405.21060, section 6), lightning attention (Qin et al.,
arXiv 2401.04658) and the matrix memory of xLSTM (Beck et al., arXiv 2405.04517); `delta` the gated
delta rule (Yang et al., arXiv 2412.06464, eq. 10); `channel` Mamba (Gu and Dao, arXiv 2312.00752,
algorithm 2); `element` the RG-LRU of Griffin (De et al., arXiv 2402.19427, eq. 4).

`chunked` computes `linear` and `delta` for a prompt: within chunks of tokens as attention with a
mask of decays, between them by the states at their ends; `delta` first solves the triangular system
that the keys of a chunk make with each other (arXiv 2412.06464, section 3.3). `scanned` computes
`channel` and `element`, token by token. `updated` is one token of any: it reads a state and writes
one. `causal_conv` is the short convolution before them.

Ranks: b batch, t tokens, g heads of queries and keys, r heads of values of each, c chunks, l, i, j
and o tokens of a chunk, n and p elements of a key and of a value. Gates, and states that are kept,
are fp32 unless said; products of chunks run in the format of the activations.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import formats, instance, whole
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.units import Amount

Rule: TypeAlias = Literal["linear", "delta", "channel", "element"]

_STATES = """
tensor G[b, c, j, g, r]
tensor K[b, c, j, g, n]
tensor V[b, c, j, g, r, p]
tensor LAST[b, g, r, p, n]: cache
output Y, LAST
D[{h}, l] = sum(j) G[b, c, j, g, r] | j <= l
END[{h}] = sum(j) G[b, c, j, g, r]
QK[b, c, g, l, j] = sum(n) Q[b, c, l, g, n] * K[b, c, j, g, n] | j <= l
M[{h}, l, j] = QK[b, c, g, l, j] * exp(D[{h}, l] - D[{h}, j]) | j <= l
KE[{h}, j, n] = K[b, c, j, g, n] * exp(END[{h}] - D[{h}, j])
QD[{h}, l, n] = Q[b, c, l, g, n] * exp(D[{h}, l])
{values}
ADDED[{h}, p, n] = sum(j) U[{h}, j, p] * KE[{h}, j, n]
S[b, c+1, g, r, p, n] = exp(END[{h}]) * S[{h}, p, n] + ADDED[{h}, p, n] ; S[b, 0, g, r, p, n] = 0
INNER[{h}, l, p] = sum(j) M[{h}, l, j] * U[{h}, j, p] | j <= l
OUTER[{h}, l, p] = sum(n) QD[{h}, l, n] * S[{h}, p, n]
Y[b, c, l, g, r, p] = INNER[{h}, l, p] + OUTER[{h}, l, p]
LAST[b, g, r, p, n] = cast(S[b, C, g, r, p, n])
"""
_STEPPED = """
tensor STEP[b, c, j, g, r]
U[{h}, j, p] = V[b, c, j, g, r, p] * STEP[b, c, j, g, r]
"""
# (I + A)^-1 is I - T: T solves T = A - A T row by row; X holds what the rows before take off.
_SOLVED = """
tensor BETA[b, c, i, g, r]
tensor A[{h}, i, j]
KK[b, c, g, i, j] = sum(n) K[b, c, i, g, n] * K[b, c, j, g, n] | j < i
A[{h}, i, j] = KK[b, c, g, i, j] * BETA[b, c, i, g, r] * exp(D[{h}, i] - D[{h}, j]) | j < i
X[{h}, o+1, i, j] = X[{h}, o, i, j] + A[{h}, i, o] * (A[{h}, o, j] - X[{h}, o, o, j]) | o < i
    ; X[{h}, 0, i, j] = 0
T[{h}, i, j] = A[{h}, i, j] - X[{h}, O, i, j] | j < i
BV[{h}, j, p] = V[b, c, j, g, r, p] * BETA[b, c, j, g, r]
BK[{h}, j, n] = K[b, c, j, g, n] * BETA[b, c, j, g, r] * exp(D[{h}, j])
TV[{h}, i, p] = sum(j) T[{h}, i, j] * BV[{h}, j, p] | j < i
TK[{h}, i, n] = sum(j) T[{h}, i, j] * BK[{h}, j, n] | j < i
W[{h}, j, n] = BK[{h}, j, n] - TK[{h}, j, n]
WS[{h}, j, p] = sum(n) W[{h}, j, n] * S[{h}, p, n]
U[{h}, j, p] = BV[{h}, j, p] - TV[{h}, j, p] - WS[{h}, j, p]
"""
_SCANNED: dict[str, str] = {
    "channel": """
        tensor A[p, n]: weight
        tensor LAST[b, p, n]: cache
        output Y, LAST
        S[b, t+1, p, n] = exp(STEP[b, t, p] * A[p, n]) * S[b, t, p, n]
            + STEP[b, t, p] * V[b, t, p] * K[b, t, n] ; S[b, 0, p, n] = 0
        Y[b, t, p] = sum(n) S[b, t+1, p, n] * Q[b, t, n]
        LAST[b, p, n] = cast(S[b, T, p, n])
    """,
    "element": """
        tensor LAST[b, p]: cache
        output Y, LAST
        U[b, t, p] = V[b, t, p] * sqrt(1 - exp(2 * G[b, t, p]))
        S[b, t+1, p] = exp(G[b, t, p]) * S[b, t, p] + U[b, t, p] ; S[b, 0, p] = 0
        Y[b, t, p] = cast(S[b, t+1, p])
        LAST[b, p] = cast(S[b, T, p])
    """,
}
_UPDATED: dict[str, str] = {
    "linear": """
        tensor S[b, g, r, p, n]: cache
        tensor LAST[b, g, r, p, n]: cache
        output Y, LAST
        U[b, g, r, p] = V[b, g, r, p] * STEP[b, g, r]
        LAST[b, g, r, p, n] = exp(G[b, g, r]) * S[b, g, r, p, n] + U[b, g, r, p] * K[b, g, n]
        Y[b, g, r, p] = sum(n) LAST[b, g, r, p, n] * Q[b, g, n]
    """,
    "delta": """
        tensor S[b, g, r, p, n]: cache
        tensor LAST[b, g, r, p, n]: cache
        output Y, LAST
        KEPT[b, g, r, p, n] = exp(G[b, g, r]) * S[b, g, r, p, n]
        FOUND[b, g, r, p] = sum(n) KEPT[b, g, r, p, n] * K[b, g, n]
        U[b, g, r, p] = (V[b, g, r, p] - FOUND[b, g, r, p]) * BETA[b, g, r]
        LAST[b, g, r, p, n] = KEPT[b, g, r, p, n] + U[b, g, r, p] * K[b, g, n]
        Y[b, g, r, p] = sum(n) LAST[b, g, r, p, n] * Q[b, g, n]
    """,
    "channel": """
        tensor A[p, n]: weight
        tensor S[b, p, n]: cache
        tensor LAST[b, p, n]: cache
        output Y, LAST
        LAST[b, p, n] = exp(STEP[b, p] * A[p, n]) * S[b, p, n] + STEP[b, p] * V[b, p] * K[b, n]
        Y[b, p] = sum(n) LAST[b, p, n] * Q[b, n]
    """,
    "element": """
        tensor S[b, p]: cache
        tensor LAST[b, p]: cache
        output Y, LAST
        LAST[b, p] = exp(G[b, p]) * S[b, p] + V[b, p] * sqrt(1 - exp(2 * G[b, p]))
        Y[b, p] = cast(LAST[b, p])
    """,
}
_CONV = """
tensor X[b, h, d]
tensor F[d, w]: weight
C[b, t, d] = sum(w) X[b, t+w, d] * F[d, w]
Y[b, t, d] = {act}
"""
_CONV_UPDATED = """
tensor S[b, d, w]: cache
tensor LAST[b, d, w]: cache
tensor F[d, w]: weight
tensor NOW[d]: weight
output Y, LAST
C[b, d] = sum(w) S[b, d, w] * F[d, w]
Y[b, d] = {act}
LAST[b, d, w] = copy(S[b, d, w])
"""
_HEADS = "b, c, g, r"
_TEXTS = {
    rule: _STATES.replace("{values}", values).replace("{h}", _HEADS)
    for rule, values in (
        ("linear", _STEPPED.replace("{h}", _HEADS)),
        ("delta", _SOLVED.replace("{h}", _HEADS)),
    )
}
_NARROW = ("Q", "K", "V", "Y", "X", "F", "NOW", "KE", "QD", "M", "U", "T", "BV", "BK", "W")
"""Tensors in the format of the activations; the states between chunks too."""


def _made(
    make: Callable[..., Cascade],
    text: str,
    extents: Mapping[str, Amount],
    arguments: Mapping[str, Any],
    **kinds: str,
) -> Cascade:
    """A text of this file with sizes and formats: those in `kinds`, or of `_NARROW`, or fp32."""
    stored = arguments["dtype"]
    found = {"*": "fp32", **{n: stored for n in _NARROW if re.search(rf"\b{n}\[", text)}, **kinds}
    return instance(
        *("recurrence", make, text),
        sizes=extents,
        dtypes=found,
        arguments=arguments,
        name=arguments["name"],
    )


def chunked(
    batch: Amount,
    tokens: Amount,
    key_heads: Amount,
    heads: Amount,
    key_dim: Amount,
    value_dim: Amount,
    chunk: int = 64,
    rule: Rule = "linear",
    dtype: str = "bf16",
    state_dtype: str = "fp32",
    name: str = "recurrence",
) -> Cascade:
    """A prompt by chunks of tokens, the last one padded; `heads` of values share `key_heads`."""
    arguments: dict[str, Any] = {**locals()}
    sizes = whole("recurrence", batch=batch, tokens=tokens, key_dim=key_dim, value_dim=value_dim)
    shared = whole("recurrence", key_heads=key_heads, heads=heads)
    given = formats("recurrence", dtype=dtype, state_dtype=state_dtype)
    text = _TEXTS[rule]
    inside = dict.fromkeys("ljio" if rule == "delta" else "lj", chunk)
    extents: dict[str, Amount] = {
        **{"b": sizes["batch"], "c": ceil_div(sizes["tokens"], chunk), **inside},
        **{"g": shared["key_heads"], "r": shared["heads"] // shared["key_heads"]},
        **{"n": sizes["key_dim"], "p": sizes["value_dim"]},
    }
    kinds = {"S": given["dtype"], "LAST": given["state_dtype"]}
    return _made(chunked, text, extents, arguments, **kinds)


def scanned(
    batch: Amount,
    tokens: Amount,
    channels: Amount,
    key_dim: int = 1,
    rule: Rule = "channel",
    dtype: str = "bf16",
    state_dtype: str = "fp32",
    name: str = "recurrence",
) -> Cascade:
    """A prompt token by token: channels whose states do not meet, of `key_dim` elements each."""
    arguments: dict[str, Any] = {**locals()}
    sizes = whole("recurrence", batch=batch, tokens=tokens, channels=channels, key_dim=key_dim)
    given = formats("recurrence", dtype=dtype, state_dtype=state_dtype)
    extents = {"b": sizes["batch"], "t": sizes["tokens"], "p": sizes["channels"]}
    extents |= {"n": sizes["key_dim"]} if rule == "channel" else {}
    return _made(scanned, _SCANNED[rule], extents, arguments, LAST=given["state_dtype"])


def updated(
    batch: Amount,
    key_heads: Amount,
    heads: Amount,
    key_dim: Amount,
    value_dim: Amount,
    rule: Rule = "linear",
    dtype: str = "bf16",
    state_dtype: str = "fp32",
    name: str = "recurrence",
) -> Cascade:
    """One token: states read and written. Of channels, `value_dim` counts them."""
    arguments: dict[str, Any] = {**locals()}
    sizes = whole("recurrence", batch=batch, key_dim=key_dim, value_dim=value_dim)
    shared = whole("recurrence", key_heads=key_heads, heads=heads)
    kept = formats("recurrence", dtype=dtype, state_dtype=state_dtype)["state_dtype"]
    extents: dict[str, Amount] = {"b": sizes["batch"], "p": sizes["value_dim"]}
    if rule in ("linear", "delta"):
        each = shared["heads"] // shared["key_heads"]
        extents |= {"g": shared["key_heads"], "r": each, "n": sizes["key_dim"]}
    elif rule == "channel":
        extents |= {"n": sizes["key_dim"]}
    return _made(updated, _UPDATED[rule], extents, arguments, S=kept, LAST=kept)


def causal_conv(
    batch: Amount,
    tokens: Amount,
    channels: Amount,
    taps: int,
    act: str | None = "silu",
    decoding: bool = False,
    dtype: str = "bf16",
    name: str = "causal conv",
) -> Cascade:
    """A filter of each channel over its last `taps` tokens, and an activation.

    A prompt has `taps - 1` tokens of zeros before it; `decoding`, the last ones are a state.
    """
    arguments: dict[str, Any] = {**locals()}
    sizes = whole("causal_conv", batch=batch, tokens=tokens, channels=channels, taps=taps)
    given = formats("causal_conv", dtype=dtype)["dtype"]
    extents: dict[str, Amount] = {"b": sizes["batch"], "d": sizes["channels"]}
    made = "C[b, d] + X[b, d] * NOW[d]" if decoding else "C[b, t, d]"
    shaped = made if act is None else f"{act}({made})"
    if decoding:
        kinds, extents = {"S": given, "LAST": given}, {**extents, "w": taps - 1}
        return _made(causal_conv, _CONV_UPDATED.format(act=shaped), extents, arguments, **kinds)
    extents |= {"t": sizes["tokens"], "w": taps, "h": sizes["tokens"] + taps - 1}
    shaped = shaped if act is not None else f"copy({made})"
    return _made(causal_conv, _CONV.format(act=shaped), extents, arguments)
