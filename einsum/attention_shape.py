"""Attention recognised by its structure, in any number of passes.

It is two contractions with an exponential between them over the keys.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hwmodel.einsum.cascade import (
    Access,
    Apply,
    Cascade,
    Einsum,
    Expression,
    accesses,
)
from hwmodel.einsum.known import of_form
from hwmodel.einsum.passes import passes
from hwmodel.einsum.space import extent
from hwmodel.einsum.structure import (
    Form,
    Product,
    as_product,
    forms_of,
)
from hwmodel.quantity.units import Amount


@dataclass(frozen=True, eq=False)
class AttentionShape:
    """`softmax(Q K^T) V`: `group` query heads share each of `kv_heads` heads, `batch` times.

    `causal`: query i sees keys up to i + keys - queries; `window`: only the last so many of those.
    """

    query: str
    key: str
    value: str
    output: str
    batch: Amount
    kv_heads: Amount
    group: Amount
    queries: Amount
    keys: Amount
    head_dim: Amount
    value_dim: Amount
    causal: bool
    window: Amount | None
    density: Amount
    dtype: str
    kv_dtype: str
    dtype_out: str
    passes: int

    @property
    def read(self) -> tuple[str, ...]:
        """Tensors of queries, keys and values, each once."""
        return tuple(dict.fromkeys((self.query, self.key, self.value)))

    @property
    def heads(self) -> Amount:
        """Query heads."""
        return self.kv_heads * self.group

    @property
    def batch_heads(self) -> Amount:
        """Query heads of the whole batch."""
        return self.batch * self.heads


@dataclass(frozen=True)
class _Attention:
    """The form of attention: positions of its two contractions, and rank classes."""

    scores: int
    query: str
    key: str
    value: str
    shared: tuple[str, ...]
    group: tuple[str, ...]
    queries: tuple[str, ...]
    keys: tuple[str, ...]
    head: tuple[str, ...]
    values: tuple[str, ...]


def attention(cascade: Cascade) -> AttentionShape | None:
    """The cascade as attention in any of its forms, or None.

    Of the ranks that the queries alone have, the query rank is the one that a band names, else the
    last in the scores' output; those before it are query heads in a group. Of the shared ranks the
    last is the KV heads. Masks other than causal, with or without a window, give None.
    """
    form = _as_attention(cascade)
    return None if form is None else _shape(cascade, form)


def attention_gradient(cascade: Cascade) -> AttentionShape | None:
    """The cascade as the backward pass of attention, or None: the sizes of what it is of.

    It is five contractions: the scores again and the gradient of what the exponential made of them,
    over pairs of a query and a key; and three of those pairs with what made them, its outputs. The
    exponential also reads a statistic of each query, which has every rank but the keys'.
    """
    form = _as_gradient(cascade)
    return None if form is None else _shape(cascade, form)


def _shape(cascade: Cascade, form: "_Attention") -> AttentionShape | None:
    einsum = cascade.einsums[form.scores]
    queries, keys = extent(form.queries, cascade), extent(form.keys, cascade)
    mask = _mask(einsum, form, keys, queries, cascade)
    if mask is None:
        return None
    causal, window = mask
    tensors = cascade.tensors
    output = cascade.outputs[-1]
    family = {cascade.ranks[rank].parent or rank for rank in form.keys}
    found = passes(cascade)
    return AttentionShape(
        query=form.query,
        key=form.key,
        value=form.value,
        output=output,
        batch=extent(form.shared[:-1], cascade),
        kv_heads=extent(form.shared[-1:], cascade),
        group=extent(form.group, cascade),
        queries=queries,
        keys=keys,
        head_dim=extent(form.head, cascade),
        value_dim=extent(form.values, cascade),
        causal=causal,
        window=window,
        density=einsum.density,
        dtype=tensors[form.query].dtype,
        kv_dtype=tensors[form.key].dtype,
        dtype_out=tensors[output].dtype,
        passes=max((n for (r, t), n in found.items() if t == form.key and r in family), default=1),
    )


@of_form
def _as_gradient(cascade: Cascade) -> "_Attention | None":
    return _gradient_form(forms_of(cascade), cascade.outputs)


@lru_cache(maxsize=256)
def _gradient_form(forms: tuple[Form, ...], outputs: tuple[str, ...]) -> _Attention | None:
    products = {i: p for i, form in enumerate(forms) if (p := as_product(*form)) and p.m and p.n}
    if len(products) != 5 or len(outputs) != 3:
        return None
    first, *_ = products
    pairs = set(forms[first][0].ranks)
    made = [i for i in products if set(forms[i][0].ranks) == pairs]
    used = [i for i, p in products.items() if pairs in (set(p.a.ranks), set(p.b.ranks))]
    if len(made) != 2 or {forms[i][0].tensor for i in used} != set(outputs):
        return None
    for place in made:
        scores, other = products[place], products[sum(made) - place]
        statistic = _statistic(forms, forms[place][0].tensor)
        keys = tuple(rank for rank in forms[place][0].ranks if rank not in (statistic or pairs))
        for query, key in ((scores.a, scores.b), (scores.b, scores.a)):
            mine = tuple(rank for rank in query.ranks if rank not in (*key.ranks, *scores.k))
            if keys and set(keys) <= set(key.ranks) and mine:
                values = other.b if set(keys) <= set(other.b.ranks) else other.a
                return _Attention(
                    scores=place,
                    query=query.tensor,
                    key=key.tensor,
                    value=values.tensor,
                    shared=scores.batch,
                    group=mine[:-1],
                    queries=mine[-1:],
                    keys=keys,
                    head=scores.k,
                    values=other.k,
                )
    return None


def _statistic(forms: tuple[Form, ...], scores: str) -> set[str] | None:
    """Ranks of what an exponential takes from the scores."""
    for _, expression, _ in forms:
        read = {access.tensor: set(access.ranks) for access in accesses(expression)}
        if "exp" in _operators(expression) and scores in read and len(read) == 2:
            return next(ranks for tensor, ranks in read.items() if tensor != scores)
    return None


@of_form
def _as_attention(cascade: Cascade) -> "_Attention | None":
    return _attention_form(forms_of(cascade), _banded(cascade), cascade.outputs)


def _banded(cascade: Cascade) -> tuple[str, ...]:
    bands = (band for einsum in cascade.einsums for band in einsum.bands)
    return tuple(dict.fromkeys(rank for band in bands for rank, _ in band.terms))


@lru_cache(maxsize=2048)
def _attention_form(
    forms: tuple[Form, ...], banded: tuple[str, ...], outputs: tuple[str, ...]
) -> _Attention | None:
    products = {i: p for i, form in enumerate(forms) if (p := as_product(*form)) and p.m and p.n}
    if len(products) != 2 or len(outputs) != 1:
        return None
    (first, scores), (second, mixed) = products.items()
    if not any("divide" in _operators(expression) for _, expression, _ in forms):
        return None
    derived = {forms[first][0].tensor}
    weights: set[str] = set()
    for output, expression, _ in forms[first + 1 : second]:
        read = {access.tensor for access in accesses(expression)}
        if read & derived:
            derived.add(output.tensor)
            if read & weights or "exp" in _operators(expression):
                weights.add(output.tensor)
    sides = [(mixed.a, mixed.b, mixed.n), (mixed.b, mixed.a, mixed.m)]
    for weight, value, values in sides:
        if weight.tensor in weights and value.tensor not in derived:
            return _attention_parts(first, scores, value, values, set(mixed.k), banded)
    return None


def _attention_parts(
    first: int,
    scores: Product,
    value: Access,
    values: tuple[str, ...],
    summed: set[str],
    banded: tuple[str, ...],
) -> _Attention | None:
    for query, key, mine, keys in (
        (scores.a, scores.b, scores.m, scores.n),
        (scores.b, scores.a, scores.n, scores.m),
    ):
        if set(keys) <= set(value.ranks) and summed <= set(keys):
            marked = [rank for rank in mine if rank in banded]
            rank = (marked or mine)[-1:]
            return _Attention(
                scores=first,
                query=query.tensor,
                key=key.tensor,
                value=value.tensor,
                shared=scores.batch,
                group=tuple(r for r in mine if r not in rank),
                queries=tuple(rank),
                keys=keys,
                head=scores.k,
                values=values,
            )
    return None


@lru_cache(maxsize=8192)
def _operators(expression: Expression) -> frozenset[str]:
    def walk(node: Expression) -> Iterator[str]:
        if isinstance(node, Apply):
            yield node.operator
            for argument in node.arguments:
                yield from walk(argument)

    return frozenset(walk(expression))


def _mask(
    einsum: Einsum, form: _Attention, keys: Amount, queries: Amount, cascade: Cascade
) -> tuple[bool, Amount | None] | None:
    """(causal, window) of the scores' bands; None for any other mask."""
    low: Amount | None = None
    high: Amount | None = None
    names = {*form.keys, *(cascade.ranks[rank].parent for rank in form.keys)}
    for band in einsum.bands:
        signs = dict(band.terms)
        key = next((rank for rank in signs if rank in names), None)
        query = next((rank for rank in signs if rank in form.queries), None)
        opposite = key and query and signs[key] + signs[query] == 0 and abs(signs[key]) == 1
        if len(signs) != 2 or not opposite or key is None:
            return None
        least, most = (band.low, band.high)
        if signs[key] < 0:
            least, most = (None if x is None else -x for x in (band.high, band.low))
        if (least is not None and low is not None) or (most is not None and high is not None):
            return None
        low, high = (low if least is None else least), (high if most is None else most)
    if high is None:
        return (False, None) if low is None else None
    if not np.all(np.equal(high, keys - queries)):
        return None
    return True, None if low is None else high - low + 1
