"""Maps and reductions over strided tensors, as Einsums.

Frameworks compute element by element on views: transposed, broadcast, halves of a fused tensor. The
loops of such a kernel are the dimensions of its result (of its operand, where it reduces), adjacent
ones joined wherever every tensor walks them as one, as `TensorIterator` of torch does; a tensor has
the ranks along which its stride is not 0, outermost first. So a broadcast vector is read once, and
a transposed operand is seen to be one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse

OPERANDS = "XZWVUT"
"""What texts call the tensors that a map reads."""
_RANKS = "abcdefgh"


@dataclass(frozen=True)
class View:
    """A tensor as a kernel sees it: sizes and strides in elements, format, what its bytes are."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    role: str = "activation"

    @property
    def elements(self) -> int:
        """Elements, those of broadcast dimensions counted each time."""
        return prod(self.shape)

    @property
    def dense(self) -> bool:
        """Whether elements lie one after another in the order of the dimensions."""
        step = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size > 1 and stride != step:
                return False
            step *= size
        return True

    def over(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Strides along the dimensions of a larger shape that it broadcasts to."""
        missing = len(shape) - len(self.shape)
        own = zip(self.shape, self.strides, shape[missing:], strict=True)
        return (0,) * missing + tuple(0 if s == 1 != wide else step for s, step, wide in own)

    def viewable(self, shape: Sequence[int]) -> bool:
        """Whether another shape of as many elements is a view: no element has to move.

        A dimension of the other shape spans dimensions of this that are walked as one.
        """
        blocks: list[tuple[int, int]] = []  # sizes of runs walked as one, and their own stride
        for size, stride in zip(self.shape, self.strides, strict=True):
            if size == 1:
                continue
            if blocks and blocks[-1][1] == stride * size:
                blocks[-1] = (blocks[-1][0] * size, stride)
            else:
                blocks.append((size, stride))
        rest = [size for size, _ in blocks]
        for size in reversed([side for side in shape if side != 1]):
            if not rest or rest[-1] % size:
                return False
            rest[-1] //= size
            if rest[-1] == 1:
                rest.pop()
        return not rest


def joined(
    shape: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[list[int], list[list[int]]]:
    """Sizes of the loops over a shape, and each tensor's strides along them.

    Dimensions of size 1 are left out; adjacent ones are one loop where every tensor walks them so.
    """
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for place, size in enumerate(shape):
        if size == 1:
            continue
        mine = [each[place] for each in strides]
        if sizes and all(own[-1] == step * size for own, step in zip(steps, mine, strict=True)):
            sizes[-1] *= size
            for own, step in zip(steps, mine, strict=True):
                own[-1] = step
        else:
            sizes.append(size)
            for own, step in zip(steps, mine, strict=True):
                own.append(step)
    return (sizes, steps) if sizes else ([1], [[1] for _ in strides])


def _ranks(strides: Sequence[int]) -> str:
    """The ranks of a tensor, outermost in memory first."""
    own = [(step, name) for step, name in zip(strides, _RANKS, strict=False) if step]
    return ", ".join(name for _, name in sorted(own, key=lambda each: -each[0]))


def _named(tensor: str, ranks: str) -> str:
    return f"{tensor}[{ranks}]" if ranks else tensor


def mapped(name: str, expression: str, out: View, operands: Sequence[View]) -> Cascade:
    """`expression` of operands `{X}`, `{Z}`, ... at every element of the result."""
    every = [out.strides, *(each.over(out.shape) for each in operands)]
    order = sorted(range(len(out.shape)), key=lambda i: -out.strides[i])
    sizes, steps = joined(
        [out.shape[i] for i in order], [[each[i] for i in order] for each in every]
    )
    ranks = [_ranks(each) for each in steps]
    ranks[0] = ranks[0] or _RANKS[0]
    letters = OPERANDS[: len(operands)]
    told = {t: _named(t, own) for t, own in zip(letters, ranks[1:], strict=True)}
    roles = [
        f"tensor {told[t]}: {each.role}\n"
        for t, each in zip(letters, operands, strict=True)
        if each.role != "activation"
    ]
    text = "".join(roles) + f"{_named('Y', ranks[0])} = {expression.format(**told)}"
    dtypes = (("Y", out.dtype), *((t, e.dtype) for t, e in zip(letters, operands, strict=True)))
    return made(name, text, tuple(zip(_RANKS, sizes, strict=False)), dtypes)


REDUCTIONS = {
    "sum": "Y[{o}] = sum({r}) X[{x}]",
    "mean": "SUM[{o}] = sum({r}) X[{x}]\nY[{o}] = SUM[{o}] / {R}",
    "max": "Y[{o}] = max({r}) X[{x}]",
    "min": "Y[{o}] = min({r}) X[{x}]",
    "product": "Y[{o}] = product({r}) X[{x}]",
    "norm": "SUM[{o}] = sum({r}) X[{x}] * X[{x}]\nY[{o}] = sqrt(SUM[{o}])",
    "variance": (
        "SUM[{o}] = sum({r}) X[{x}]\n"
        "CENTRED[{x}] = X[{x}] - SUM[{o}] / {R}\n"
        "SQUARES[{o}] = sum({r}) CENTRED[{x}] * CENTRED[{x}]\n"
        "Y[{o}] = SQUARES[{o}] / {R}"
    ),
}
"""Reduction -> its Einsums; sums are kept in fp32, as torch does."""


def reduced(name: str, kind: str, operand: View, dims: Collection[int], dtype: str) -> Cascade:
    """A reduction over dimensions of an operand (none: all)."""
    ends = len(operand.shape)
    over = {dim % ends for dim in dims} if dims else set(range(ends))
    order = sorted(range(ends), key=lambda i: -operand.strides[i])
    left = [1 if i in over else operand.shape[i] for i in order]
    result = [0 if i in over else prod(left[at + 1 :]) for at, i in enumerate(order)]
    shape, strides = [operand.shape[i] for i in order], [operand.strides[i] for i in order]
    sizes, (walked, written) = joined(shape, [strides, result])
    names = _RANKS[: len(sizes)]
    gone = [n for n, step in zip(names, written, strict=True) if not step] or [names[0]]
    text = REDUCTIONS[kind].format(
        o=_ranks([0 if n in gone else step for n, step in zip(names, written, strict=True)]),
        r=", ".join(gone),
        x=_ranks(walked) or names[0],
        R=" / ".join(gone).upper(),
    )
    text = text.replace("[]", "")
    inside = "fp64" if operand.dtype == "fp64" else "fp32"
    sums = ((t, inside) for t in ("SUM", "CENTRED", "SQUARES") if t in text)
    dtypes = (("X", operand.dtype), ("Y", dtype), *sums)
    return made(name, text, tuple(zip(names, sizes, strict=True)), dtypes)


@lru_cache(maxsize=1024)
def made(
    name: str, text: str, sizes: tuple[tuple[str, int], ...], dtypes: tuple[tuple[str, str], ...]
) -> Cascade:
    """One cascade for all that say the same."""
    return parse(text, sizes=dict(sizes), dtypes=dict(dtypes), name=name)
