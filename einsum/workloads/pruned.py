"""Attention whose tokens and heads are pruned from layer to layer, as a stack of smaller attention.

Cascade pruning (SpAtten, Wang, Zhang, Han, HPCA 2021, arXiv 2012.09852): a token or a head that a
layer drops is absent from all later layers, so that the sets only shrink. The first 15 % of layers
keep all tokens, the first 30 % all heads. From there on the share that is kept falls linearly from
`start` to `end`, with start + end = 2 x the mean that is asked for. Sizes of one layer are those of
its surviving tokens and heads; which tokens they are depends on data, how many does not.
"""

import math

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Stack
from hwmodel.einsum.origin import Origin
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.workload import count
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError

SPATTEN = "int8"
"""The format that it is for, where none is said."""

TOKENS_FROM, HEADS_FROM = 0.15, 0.30
"""Share of layers that keep all tokens, and all heads."""


@checked
def pruned_attention(
    layers: int,
    batch: int,
    heads: int,
    keys: int,
    head_dim: int,
    queries: int | None = None,
    token_keep: float = 1.0,
    head_keep: float = 1.0,
    start: float = 1.0,
    dtype: str | None = None,
    name: str = "pruned attention",
) -> Stack:
    """`layers` layers of attention; `queries=1` generates, `None` has a query for each kept token.

    `token_keep` and `head_keep` are the mean shares that layers keep once pruning has begun; 1 is
    all. Without a `dtype` it is int8, and a GPU's own on one. Raises
    `InputError` naming the argument at fault.
    """
    arguments = {**locals()}
    where = "pruned_attention"
    sizes = {"layers": layers, "batch": batch, "heads": heads, "keys": keys, "head_dim": head_dim}
    sizes = {each: count(where, each, size) for each, size in sizes.items()}
    tokens = kept(sizes["layers"], sizes["keys"], token_keep, TOKENS_FROM, start, "token_keep")
    lanes = kept(sizes["layers"], sizes["heads"], head_keep, HEADS_FROM, start, "head_keep")
    asked = None if queries is None else count(where, "queries", queries)
    stages: list[Stage] = []
    for layer, (here, alive) in enumerate(zip(tokens, lanes, strict=True)):
        same = layer and (here, alive) == (tokens[layer - 1], lanes[layer - 1])
        if same:
            stages[-1] = Stage(stages[-1].cascade, stages[-1].times + 1)
            continue
        cascade = attention(
            batch=sizes["batch"],
            heads=alive,
            queries=here if asked is None else asked,
            keys=here,
            head_dim=sizes["head_dim"],
            dtype=SPATTEN if dtype is None else dtype,
            name=f"layer {layer}",
        )
        stages.append(Stage(cascade))
    return Stack(name, tuple(stages), Origin(where, arguments, pruned_attention))


def kept(
    layers: int, size: int, mean: float, after: float, start: float = 1.0, name: str = "keep"
) -> tuple[int, ...]:
    """How many of `size` survive in each layer, at least one.

    >>> kept(8, 100, 0.5, 0.25, start=0.8)
    (100, 100, 80, 68, 56, 44, 32, 20)
    """
    for at, share in ((name, mean), ("start", start)):
        if not 0 < share <= 1:
            raise InputError(f"pruned_attention: {at}: expected a share up to 1, found {share}")
    first = math.ceil(after * layers)
    pruning = layers - first
    if mean == 1 or pruning <= 0:
        return (size,) * layers
    end = 2 * mean - start
    if not 0 < end <= start:
        raise InputError(
            f"pruned_attention: {name}: shares fall from {start} (`start`) to 2 means less it:"
            f" expected a mean between {start / 2:g} and {start:g}, found {mean:g}; lower `start`"
            " for a smaller one"
        )
    shares = [
        start if pruning == 1 else start + (end - start) * step / (pruning - 1)
        for step in range(pruning)
    ]
    return (size,) * first + tuple(max(1, round(size * share)) for share in shares)
