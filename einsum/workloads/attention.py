"""Attention `softmax(Q K^T) V` as cascades with a chosen number of passes over the keys.

The forms, with FuseMax's names (Nayak et al., MICRO 2024, arXiv 2406.10491, cascades 4 and 5 and
table I), for queries p, keys m, and head dimensions e (of Q and K) and f (of V):

- `passes=3`: the row's maximum, then numerators and denominator, then the division (PyTorch, FLAT);
- `passes=2`: maxima of tiles of keys, corrected once when the row's maximum is known (TileFlow);
- `passes=1`: running maximum, denominator and output along tiles of keys (FlashAttention-2);
- `splits > 1`: the 1-pass form on each of `splits` shares of the keys, then combined, so that one
  query fills a machine (Flash-Decoding, Dao et al. 2023);
- `stable=False`: no maximum is taken out: 2 passes, or 1 with the division deferred to the output.

All compute the same value. Ranks b, h, g are batch, KV heads and query heads of one KV head, so Q
is [b, h, g, p, e] in memory order [batch, heads, queries, head_dim]; K and V are [b, h, m, e|f].
The factor 1/sqrt(head_dim) is part of the exponent's argument and counts no operation of its own.
Scores, maxima and sums are fp32; probabilities take the format of V for the second product.

Causal: query i sees keys j <= i + keys - queries, so a single query sees every key. A window W
further keeps the last W of these keys only, and a `density` that share of the pairs that are left,
in blocks of a pattern that data decides (block-sparse attention). A tile's size in the 1- and
2-pass forms is a choice of mapping: it moves no count of a product, only those of the corrections.
"""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import count, formats, instance, once, product_format, whole
from hwmodel.quantity.checked import checked
from hwmodel.quantity.dtypes import dtype as format_of
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import Amount, Share

DEFAULT_TILE = 128
"""Keys per tile of the 1- and 2-pass forms: what FlashAttention-2 takes at head_dim 64."""

_HEADER = """
tensor K[b, h, {m}, e]: cache
tensor V[b, h, {m}, f]: cache
output AV
"""
_NAIVE = """
QK[{o}, m, p] = Q[{o}, p, e] * K[b, h, m, e] {band}
SN[{o}, m, p] = exp(QK[{o}, m, p]) {band}
SD[{o}, p] = sum(m) SN[{o}, m, p] {band}
A[{o}, m, p] = SN[{o}, m, p] / SD[{o}, p] {band}
AV[{o}, p, f] = sum(m) A[{o}, m, p] * V[b, h, m, f] {band}
"""
_NAIVE_DEFERRED = """
QK[{o}, m, p] = Q[{o}, p, e] * K[b, h, m, e] {band}
SN[{o}, m, p] = exp(QK[{o}, m, p]) {band}
SD[{o}, p] = sum(m) SN[{o}, m, p] {band}
SNV[{o}, p, f] = sum(m) SN[{o}, m, p] * V[b, h, m, f] {band}
AV[{o}, p, f] = SNV[{o}, p, f] / SD[{o}, p]
"""
_THREE = """
QK[{o}, m, p] = Q[{o}, p, e] * K[b, h, m, e] {band}
GM[{o}, p] = max(m) QK[{o}, m, p] {band}
SN[{o}, m, p] = exp(QK[{o}, m, p] - GM[{o}, p]) {band}
SD[{o}, p] = sum(m) SN[{o}, m, p] {band}
A[{o}, m, p] = SN[{o}, m, p] / SD[{o}, p] {band}
AV[{o}, p, f] = sum(m) A[{o}, m, p] * V[b, h, m, f] {band}
"""
_TWO = """
rank m = m1 x m0
QK[{o}, m1, m0, p] = Q[{o}, p, e] * K[b, h, m1, m0, e] {band}
LM[{o}, m1, p] = max(m0) QK[{o}, m1, m0, p] {band}
SLN[{o}, m1, m0, p] = exp(QK[{o}, m1, m0, p] - LM[{o}, m1, p]) {band}
SLD[{o}, m1, p] = sum(m0) SLN[{o}, m1, m0, p] {band}
GM[{o}, p] = max(m1) LM[{o}, m1, p] {band}
PLM[{o}, m1, p] = exp(LM[{o}, m1, p] - GM[{o}, p]) {band}
SD[{o}, p] = sum(m1) SLD[{o}, m1, p] * PLM[{o}, m1, p] {band}
A[{o}, m1, m0, p] = SLN[{o}, m1, m0, p] * PLM[{o}, m1, p] / SD[{o}, p] {band}
AV[{o}, p, f] = sum(m1) sum(m0) A[{o}, m1, m0, p] * V[b, h, m1, m0, f] {band}
"""
_ONE = """
rank m = m1 x m0
QK[{o}, m1, m0, p] = Q[{o}, p, e] * K[b, h, m1, m0, e] {band}
LM[{o}, m1, p] = max(m0) QK[{o}, m1, m0, p] {band}
RM[{o}, m1+1, p] = max(RM[{o}, m1, p], LM[{o}, m1, p]) {band} ; RM[{o}, 0, p] = -inf
SLN[{o}, m1, m0, p] = exp(QK[{o}, m1, m0, p] - RM[{o}, m1+1, p]) {band}
SLD[{o}, m1, p] = sum(m0) SLN[{o}, m1, m0, p] {band}
SLNV[{o}, m1, p, f] = sum(m0) SLN[{o}, m1, m0, p] * V[b, h, m1, m0, f] {band}
PRM[{o}, m1, p] = exp(RM[{o}, m1, p] - RM[{o}, m1+1, p]) {band}
SPD[{o}, m1, p] = PRM[{o}, m1, p] * RD[{o}, m1, p] {band}
RD[{o}, m1+1, p] = SPD[{o}, m1, p] + SLD[{o}, m1, p] {band} ; RD[{o}, 0, p] = 0
SPNV[{o}, m1, p, f] = PRM[{o}, m1, p] * RNV[{o}, m1, p, f] {band}
RNV[{o}, m1+1, p, f] = SPNV[{o}, m1, p, f] + SLNV[{o}, m1, p, f] {band} ; RNV[{o}, 0, p, f] = 0
AV[{o}, p, f] = RNV[{o}, M1, p, f] / RD[{o}, M1, p]
"""
_COMBINE = """
CM[{o}, p] = max(s) RM[{o}, s, M1, p]
CW[{o}, s, p] = exp(RM[{o}, s, M1, p] - CM[{o}, p])
CD[{o}, p] = sum(s) CW[{o}, s, p] * RD[{o}, s, M1, p]
CNV[{o}, p, f] = sum(s) CW[{o}, s, p] * RNV[{o}, s, M1, p, f]
AV[{o}, p, f] = CNV[{o}, p, f] / CD[{o}, p]
"""
_HALF = ("SN", "A", "SLN")
"""Probabilities: they enter the second product, in the format of V."""
_SINGLE = (
    *("QK", "GM", "LM", "PLM", "SD", "SLD", "RM", "PRM", "SPD", "RD"),
    *("SNV", "SLNV", "SPNV", "RNV", "CM", "CW", "CD", "CNV"),
)
"""Scores, statistics and running sums: fp32."""


@lru_cache(maxsize=64)
def _text(
    form: str, causal: bool, windowed: bool, shared: bool, thinned: bool
) -> tuple[str, tuple[str, ...]]:
    """The text of one form, and the tensors that it makes or reads."""
    band = "| m - p <= M - P" if causal else ""
    band += ", m - p > M - P - window" if windowed else ""
    band += " ~ density" if thinned else ""
    body = {"naive": _NAIVE, "deferred": _NAIVE_DEFERRED, "3": _THREE, "2": _TWO}.get(form, _ONE)
    keys = "m1, m0" if form in ("2", "1") else "m"
    if form == "split":
        keys = "s, m1, m0"
        head, _, _ = body.rpartition("AV[")
        body = head.replace("m1 x m0", "s x m1 x m0").replace("}, m1", "}, s, m1")
        body = body.replace("h, m1", "h, s, m1").replace("{o}, 0, p", "{o}, s, 0, p") + _COMBINE
    text = _HEADER + body
    if shared:
        text = text.replace("tensor V[b, h, {m}, f]: cache\n", "").replace(" V[b, h", " K[b, h")
    text = text.format(o="b, h, g", m=keys, band=band)
    names = ("Q", "K", "V", "AV", *_HALF, *_SINGLE)
    return text, tuple(name for name in names if f"\n{name}[" in text or f" {name}[" in text)


@once
@checked
def attention(
    batch: Amount,
    heads: Amount,
    queries: Amount,
    keys: Amount,
    head_dim: Amount,
    kv_heads: Amount | None = None,
    value_dim: Amount | None = None,
    shared: bool = False,
    causal: bool = False,
    window: Amount | None = None,
    density: Share = 1.0,
    passes: int = 1,
    splits: int = 1,
    tile: int = DEFAULT_TILE,
    stable: bool = True,
    dtype: str = "bf16",
    kv_dtype: str | None = None,
    out_dtype: str | None = None,
    name: str = "attention",
) -> Cascade:
    """Attention of `queries` on `keys`; decode is `queries=1`.

    Sizes are counts or arrays of them; `kv_heads` must divide `heads` (default: equal), `value_dim`
    is that of V (default: `head_dim`), which are the first elements of each key where they are
    `shared` with it (latent attention, DeepSeek-V2, arXiv 2405.04434), `window` needs `causal`.
    `density` is the share of pairs of queries and keys that is computed, of those that masks leave.
    `passes`, `splits`, `tile` and `stable` choose the form (see the module). `dtype` is the format
    of Q, `kv_dtype` of K and V, `out_dtype` of the output. Raises `InputError` naming
    the argument at fault.
    """
    arguments = {**locals()}
    sizes = whole(
        *("attention",),
        **{"batch": batch, "heads": heads, "queries": queries, "keys": keys},
        **{"head_dim": head_dim, "kv_heads": heads if kv_heads is None else kv_heads},
        **{"value_dim": head_dim if value_dim is None else value_dim},
        **({} if window is None else {"window": window}),
    )
    # A single query sees every key but those that a window leaves out, causal or not.
    causal = bool(causal) or (window is not None and bool(np.all(np.equal(sizes["queries"], 1))))
    _check(sizes, causal, shared)
    form = _form(passes, count("attention", "splits", splits), stable)
    thinned = bool(np.any(np.not_equal(density, 1)))
    text, names = _text(form, bool(causal), window is not None, bool(shared), thinned)
    extents: dict[str, Amount] = {
        **{"b": sizes["batch"], "h": sizes["kv_heads"], "p": sizes["queries"]},
        **{"g": _quotient(sizes["heads"], sizes["kv_heads"]), "m": sizes["keys"]},
        **{"e": sizes["head_dim"], "f": sizes["value_dim"]},
    }
    if form in ("1", "2", "split"):
        extents["m0"] = count("attention", "tile", tile)
    if form == "split":
        extents["s"] = splits
    if window is not None:
        extents["window"] = sizes["window"]
    if thinned:
        extents["density"] = _share(density)
    return instance(
        "attention",
        attention,
        text,
        sizes=extents,
        dtypes=_dtypes(names, dtype, kv_dtype, out_dtype),
        arguments=arguments,
        name=name,
    )


def _form(passes: int, splits: int, stable: bool) -> str:
    if passes not in (1, 2, 3):
        raise InputError(f"attention: passes: expected 1, 2 or 3, found {shown(passes)}")
    if splits > 1 and (passes != 1 or not stable):
        raise InputError(
            f"attention: splits: expected 1 with passes={passes}, stable={stable}, found {splits};"
            " split keys are combined by the stable 1-pass form"
        )
    if not stable:
        if passes == 3:
            raise InputError("attention: passes: expected 1 or 2 without a maximum, found 3")
        return "naive" if passes == 2 else "deferred"
    return "split" if splits > 1 else str(passes)


def _share(density: Share) -> Share:
    if not np.all(np.greater(density, 0) & np.less_equal(density, 1)):
        raise InputError(
            f"attention: density: expected a share above 0 and up to 1, found {shown(density)}"
        )
    return density


def _check(sizes: Mapping[str, Amount], causal: bool, shared: bool) -> None:
    heads, kv_heads = sizes["heads"], sizes["kv_heads"]
    if np.any(np.not_equal(np.mod(heads, kv_heads), 0)):
        raise InputError(
            f"attention: kv_heads: expected a divisor of heads ({heads}), found {kv_heads}"
        )
    if causal and np.any(np.greater(sizes["queries"], sizes["keys"])):
        raise InputError(
            f"attention: queries: expected at most as many as keys ({sizes['keys']}) when causal,"
            f" found {sizes['queries']}; query i sees keys up to i + keys - queries"
        )
    if shared and np.any(np.greater(sizes["value_dim"], sizes["head_dim"])):
        raise InputError(
            f"attention: value_dim: expected at most head_dim ({sizes['head_dim']}) where values"
            f" are a part of keys, found {sizes['value_dim']}"
        )
    if "window" in sizes and not causal:
        raise InputError(
            "attention: window: expected causal=True with a window and several queries, found False"
        )


def _quotient(whole_size: Amount, part: Amount) -> Amount:
    if isinstance(whole_size, int) and isinstance(part, int):
        return whole_size // part
    return whole_size / part


def _dtypes(
    names: tuple[str, ...], dtype: str, kv_dtype: str | None, out_dtype: str | None
) -> dict[str, str]:
    given = formats("attention", dtype=dtype, kv_dtype=kv_dtype or dtype)
    out = out_dtype or product_format(given["dtype"])
    out = formats("attention", out_dtype=out)["out_dtype"]
    inside = "fp32" if format_of(out).bits <= 32 else out
    kinds = {"Q": given["dtype"], "K": given["kv_dtype"], "V": given["kv_dtype"], "AV": out}
    # Keys and values that are stored narrower are converted before they are multiplied.
    wider = max(given.values(), key=lambda name: format_of(name).bits)
    kinds |= dict.fromkeys(_HALF, wider) | dict.fromkeys(_SINGLE, inside)
    return {tensor: kinds[tensor] for tensor in names}
