"""Apart: an input that a cascade reads in two ways, as two inputs that share nothing.

A residual block reads its input through a layer, and once more where it is added. A fused tree
keeps one tile a tensor, whose ranks are named once; so the second way is a tensor of its own here,
which is moved by itself. That is a schedule of the cascade as it stands (both lie in the same
place); the bound that it is judged by is the cascade's, whose inputs are read once.

What is read at one place of each axis, such as `I[y + 2, c]`, is a tensor of those places alone.
"""

from dataclasses import replace
from types import MappingProxyType

from hwmodel.einsum.cascade import Access, Apply, Cascade, Expression, Index


def apart(cascade: Cascade) -> tuple[Cascade, tuple[str, ...]]:
    r"""The cascade with one way of reading each input, and what that changes; as it is where none.

    >>> from hwmodel.einsum.notation import parse
    >>> text = "T[m, n] = A[m, k] * B[k, n]\nZ[m, n] = T[m, n] + A[m, n]"
    >>> apart(parse(text, sizes={"m": 2, "n": 3, "k": 3}))[1]
    ('A is read in two ways, the second as A_2: they share nothing on their way in',)
    """
    made = {einsum.name for einsum in cascade.einsums}
    ways: dict[str, list[tuple[Index, ...]]] = {}
    for einsum in cascade.einsums:
        for access in einsum.reads:
            known = ways.setdefault(access.tensor, [])
            if access.tensor not in made and access.indices not in known:
                known.append(access.indices)
    tensors, told = dict(cascade.tensors), list[str]()
    names: dict[tuple[str, tuple[Index, ...]], Access] = {}
    for tensor, several in ways.items():
        for at, indices in enumerate(several[1:], 2):
            own = f"{tensor}_{at}"
            while own in tensors:
                own += "_"
            plain = tuple(_plain(index) for index in indices)
            ranks = zip(plain, cascade.tensors[tensor].ranks, strict=True)
            named = tuple(index.rank or axis for index, axis in ranks)
            tensors[own] = replace(tensors[tensor], name=own, ranks=named)
            names[tensor, indices] = Access(own, plain)
            told.append(
                f"{tensor} is read in two ways, the second as {own}: they share nothing on their"
                " way in"
            )
    if not names:
        return cascade, ()
    einsums = tuple(
        replace(einsum, expression=_renamed(einsum.expression, names)) for einsum in cascade.einsums
    )
    parts = {"tensors": MappingProxyType(tensors), "einsums": einsums}
    return replace(cascade, **parts, origin=None), tuple(told)


def _plain(index: Index) -> Index:
    """One place of an axis, from its first on: nothing else of the axis is read."""
    single = len(index.terms) == 1 and index.terms[0][1] == 1 and index.at is None
    return Index(index.terms) if single else index


def _renamed(
    expression: Expression, names: dict[tuple[str, tuple[Index, ...]], Access]
) -> Expression:
    if isinstance(expression, Access):
        return names.get((expression.tensor, expression.indices), expression)
    if isinstance(expression, Apply):
        return Apply(
            expression.operator, tuple(_renamed(each, names) for each in expression.arguments)
        )
    return expression
