"""What a cache policy is, and the classes of heads that it makes.

A policy sorts the key-value heads of each layer into classes, and says of each what it keeps and
what choosing costs in every step. The rest follows as for any network: a decode step reads the kept
tokens, the resident cache and so the largest batch are those of the tokens held, kernels that
choose are stages. Prompts are attended to in full, and their keys and values dropped afterwards;
a policy `OfChunks` cuts them too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.policies.kept import Kept
from hwmodel.einsum.workloads.selection import Heads
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class HeadClass:
    """Key-value heads of a layer that are treated alike, called `name`.

    A step attends to the `kept` tokens; memory is needed for those `held` (None: as many). Their
    keys and values are stored as `dtype` (None: as the cache is). Classes of the same heads keep
    other tokens of each.
    """

    name: str
    heads: int
    kept: Kept
    held: Kept | None = None
    dtype: str | None = None


class Policy(Protocol):
    """A frozen value; its fields are its options."""

    NAME: ClassVar[str]
    SOURCE: ClassVar[str]

    def classes(self, layer: int, kv_heads: int) -> tuple[HeadClass, ...]:
        """The classes of a layer's heads, those with a head."""
        ...

    def work(self, rows: Amount, kept: Amount) -> Sequence[Cascade]:
        """Kernels of one decode step that keep the books; `rows` are heads times sequences."""
        ...


@runtime_checkable
class OfChunks(Protocol):
    """What a policy has besides, whose cache is cut in every step that reads several tokens.

    What is kept of the tokens before, and the step's own, are cut to what is kept, and seen then.
    """

    def chunk(self, heads: Heads, kept: Kept) -> Sequence[Cascade]:
        """Kernels of such a step that choose what a class of heads keeps, before its attention."""
        ...


def uneven(share: float, layer: int, heads: int) -> int:
    """Heads of a layer among a share of all layers' heads, spread evenly over the layers.

    Of layers 0 to n together they are the whole heads of `share` times all their heads.
    """
    return int(share * heads * (layer + 1) + 1e-9) - int(share * heads * layer + 1e-9)
