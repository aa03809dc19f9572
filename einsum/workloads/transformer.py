"""What a decoder layer does beside products, norms and attention, one kernel a cascade.

Rotary embedding as torch operations (Su et al., arXiv 2104.09864, section 3.4.2) on the two halves
of each head: `low*cos - high*sin` and `high*cos + low*sin`, concatenated. So four multiplies, a
subtraction, an addition and a concatenation, for q and for k each. Keys and values are copied into
a cache that stands still. The embedding is a gather of rows.
"""

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.workload import formats, instance, once, whole
from hwmodel.quantity.checked import checked
from hwmodel.quantity.units import Amount

_ROTARY = {
    # A half of each head, seen through the fused output [b, p, h, l, d] of the product before.
    "multiply": (
        "rank l = 2\ntensor X[b, p, h, l, d]\nY[b, h, p, d] = X[b, p, h, 0, d] * TABLE[p, d]",
        4,
    ),
    "subtract": ("Y[b, h, p, d] = X[b, h, p, d] - Z[b, h, p, d]", 1),
    "add": ("Y[b, h, p, d] = X[b, h, p, d] + Z[b, h, p, d]", 1),
    # The two halves stand along l.
    "concatenate": ("rank l = 2\nY[b, h, p, l, d] = copy(X[l, b, h, p, d])", 1),
}
_WRITE = "tensor CACHE[b, h, p, d]: cache\nCACHE[b, h, p, d] = {operator}(X[b, p, h, d])"
_EMBEDDING = "tensor TABLE[v, d]: weight\nY[t, d] = gather(TABLE[v, d], TOKEN[t])"


@once
def rotary(
    batch: Amount,
    queries: Amount,
    heads: Amount,
    head_dim: Amount,
    dtype: str = "bf16",
    name: str = "rotary",
    times: Amount = 1,
) -> tuple[Stage, ...]:
    """Rotary embedding of [batch, heads, queries, head_dim] as its seven elementwise kernels.

    The four multiplies are one stage that runs four times. `head_dim` must be even.
    """
    sizes = whole("rotary", batch=batch, queries=queries, heads=heads)
    half = whole("rotary", **{"head_dim (its half)": head_dim / 2})["head_dim (its half)"]
    extents = {"b": sizes["batch"], "h": sizes["heads"], "p": sizes["queries"], "d": half}
    kind = formats("rotary", dtype=dtype)["dtype"]
    stages: list[Stage] = []
    for operation, (text, repeats) in _ROTARY.items():
        tensors = [t for t in ("X", "Y", "Z", "TABLE") if f"{t}[" in text]
        cascade = parse(
            text,
            sizes=extents,
            dtypes=dict.fromkeys(tensors, kind),
            name=f"{name} {operation}",
        )
        stages.append(Stage(cascade, times * repeats))
    return tuple(stages)


@once
@checked
def kv_write(
    batch: Amount,
    tokens: Amount,
    kv_heads: Amount,
    head_dim: Amount,
    dtype: str = "bf16",
    kv_dtype: str | None = None,
    name: str = "kv_write",
) -> Cascade:
    """New keys (or values) [batch, kv_heads, tokens, head_dim] copied into the cache."""
    arguments = {**locals()}
    sizes = whole("kv_write", batch=batch, tokens=tokens, kv_heads=kv_heads, head_dim=head_dim)
    given = formats("kv_write", dtype=dtype, kv_dtype=kv_dtype or dtype)
    operator = "copy" if given["dtype"] == given["kv_dtype"] else "cast"
    return instance(
        "kv_write",
        kv_write,
        _WRITE.format(operator=operator),
        sizes={
            **{"b": sizes["batch"], "h": sizes["kv_heads"]},
            **{"p": sizes["tokens"], "d": sizes["head_dim"]},
        },
        dtypes={"X": given["dtype"], "CACHE": given["kv_dtype"]},
        arguments=arguments,
        name=name,
    )


@once
@checked
def embedding(
    tokens: Amount,
    vocabulary: Amount,
    hidden: Amount,
    dtype: str = "bf16",
    weight_dtype: str | None = None,
    name: str = "embedding",
) -> Cascade:
    """One row of the table [vocabulary, hidden] for each token."""
    arguments = {**locals()}
    sizes = whole("embedding", tokens=tokens, vocabulary=vocabulary, hidden=hidden)
    given = formats("embedding", dtype=dtype, weight_dtype=weight_dtype or dtype)
    return instance(
        "embedding",
        embedding,
        _EMBEDDING,
        sizes={"t": sizes["tokens"], "v": sizes["vocabulary"], "d": sizes["hidden"]},
        dtypes={"Y": given["dtype"], "TABLE": given["weight_dtype"], "TOKEN": "int64"},
        arguments=arguments,
        name=name,
    )
