"""Kernels that engines fuse from a decoder's row operations, each one cascade.

Residual and norm in one pass (the sum is kept for the next residual), rotary embedding of q and k
in place, a gate's activation and product, keys and values written to a paged cache, the choice of
experts and the sum over them, and the choice of a token from logits. Those that feed an fp8 product
scale their rows by the largest element and narrow them (dynamic quantisation by token). Formats of
sums are fp32.
"""

from collections.abc import Mapping, Sequence

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.notation import parse
from hwmodel.quantity.dtypes import base_of
from hwmodel.quantity.units import Amount

_NORM = """
tensor GAIN[c]: weight
{added}SQUARES[r] = sum(c) {x}[r, c] * {x}[r, c]
SCALE[r] = rsqrt(SQUARES[r] / C + 1e-6)
{y}[r, c] = {x}[r, c] * SCALE[r] * GAIN[c]
"""
_ADDED = "S[r, c] = X[r, c] + Z[r, c]\n"
_NARROWED = """
PEAK[r] = max(c) {y}[r, c]
Y[r, c] = {y}[r, c] / PEAK[r]
"""
_GATED = "{y}[r, c] = silu(GATE[r, c]) * UP[r, c]\n"
_ROTARY = "Y[t, h, d] = X[t, h, d] * COS[t, d] + X[t, h, d] * SIN[t, d]"
_CACHE = """
tensor CACHE[t, h, d]: cache
CACHE[t, h, d] = {operator}(X[t, h, d])
"""
_SUM = "Y[t, d] = sum(k) X[t, k, d]"

TOKEN = "token"


def norm(rows: Amount, cols: Amount, dtype: str, *, out: str, added: bool, name: str) -> Cascade:
    """RMSNorm of rows, of a residual sum where `added`, narrowed where `out` is another format."""
    narrow = base_of(out) != base_of(dtype)
    y, x = "WIDE" if narrow else "Y", "S" if added else "X"
    text = _NORM.format(added=_ADDED if added else "", x=x, y=y)
    text += _NARROWED.format(y=y) if narrow else ""
    outputs = "output Y, S\n" if added else ""
    inside = dict.fromkeys(("SQUARES", "SCALE", *(("PEAK", "WIDE") if narrow else ())), "fp32")
    kinds = {"*": dtype, **inside, "Y": out}
    return parse(outputs + text, sizes={"r": rows, "c": cols}, dtypes=kinds, name=name)


def gated(rows: Amount, cols: Amount, dtype: str, *, out: str, name: str) -> Cascade:
    """SiLU of the gate times the up half of [rows, 2, cols], narrowed where `out` is another."""
    narrow = base_of(out) != base_of(dtype)
    text = _GATED.format(y="WIDE" if narrow else "Y")
    text += _NARROWED.format(y="WIDE") if narrow else ""
    inside = dict.fromkeys(("WIDE", "PEAK"), "fp32") if narrow else {}
    kinds = {"*": dtype, **inside, "Y": out}
    return parse(text, sizes={"r": rows, "c": cols}, dtypes=kinds, name=name)


def narrowed(rows: Amount, cols: Amount, dtype: str, *, out: str, name: str) -> Cascade:
    """Rows scaled by their largest element and narrowed."""
    text = _NARROWED.format(y="X")
    kinds = {"X": dtype, "PEAK": "fp32", "Y": out}
    return parse(text, sizes={"r": rows, "c": cols}, dtypes=kinds, name=name)


def rotary(tokens: Amount, heads: Amount, head_dim: Amount, dtype: str, name: str) -> Cascade:
    """Rotary embedding of all heads of q and k of so many tokens, in one kernel."""
    sizes = {"t": tokens, "h": heads, "d": head_dim}
    return parse(_ROTARY, sizes=sizes, dtypes={"*": dtype}, name=name)


def cached(
    tokens: Amount, heads: Amount, head_dim: Amount, dtype: str, kv_dtype: str, name: str
) -> Cascade:
    """Keys and values of so many tokens (`heads` counts both) written into the cache."""
    text = _CACHE.format(operator="copy" if dtype == kv_dtype else "cast")
    sizes = {"t": tokens, "h": heads, "d": head_dim}
    return parse(text, sizes=sizes, dtypes={"X": dtype, "CACHE": kv_dtype}, name=name)


def summed(tokens: Amount, picks: Amount, hidden: Amount, dtype: str, name: str) -> Cascade:
    """Sum of the chosen experts' rows of each token."""
    sizes = {"t": tokens, "k": picks, "d": hidden}
    return parse(_SUM, sizes=sizes, dtypes={"*": dtype}, name=name)


def greedy(stages: Mapping[str, Stage]) -> Sequence[Stage]:
    """The head, and the most likely token of each sequence: what benchmarks ask for."""
    head = stages["head"]
    sizes = head.cascade.sizes()
    ranks = head.collective.ranks if head.collective else 1
    chosen = parse(
        "Y[b] = max(v) X[b, v]",
        sizes={"b": sizes["m"], "v": sizes["n"] * ranks},
        dtypes={"*": "fp32"},
        name=TOKEN,
    )
    return head, Stage(chosen)
