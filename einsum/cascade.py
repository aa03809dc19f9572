"""The workload as a value: ranks, tensors, extended Einsums, and cascades of them.

A cascade is an ordered DAG of extended Einsums (FuseMax, MICRO 2024; TeAAL, MICRO 2023; EDGE). One
Einsum computes every point of its output from an expression over accesses of other tensors, and
reduces the ranks that the output lacks. Three things go beyond the textbook Einsum:

- map, reduce and unary operators are free (`max`, `exp`, `divide`, `argmin`, ... : `operators.py`);
- indices are affine (`I[c, y*2+r]`), and a tensor may be recurrent along an *iterative rank*
  (`RM[m1+1, p] = max(RM[m1, p], LM[m1, p])` with `RM[0, p] = -inf`);
- an iteration space may be thinned: by bands (`m <= p`), by a block density, by a rank whose extent
  depends on data (tokens of an expert) and by a probability that the Einsum happens at all.

Rank extents are ints, or float64 arrays that broadcast against each other: a cascade with arrays
stands for a whole sweep. Nothing here knows any hardware.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias, cast

from hwmodel.einsum.density import Density, density
from hwmodel.einsum.fan import Fan
from hwmodel.einsum.operators import LOOKED_UP
from hwmodel.einsum.origin import Origin, again
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.units import Amount
from hwmodel.text.shown import Shown

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Index:
    """An affine index `sum(coefficient * rank) + offset`.

    `terms` are (rank, coefficient) pairs; `at` names a rank whose *extent* is added (so that
    `RNV[f, M1, p]`, the last value along m1, is `Index((), at="m1")`).
    """

    terms: tuple[tuple[str, int], ...]
    offset: int = 0
    at: str | None = None

    @property
    def rank(self) -> str | None:
        """The rank, when the index is that rank and nothing else."""
        plain = len(self.terms) == 1 and self.terms[0][1] == 1 and not self.offset and not self.at
        return self.terms[0][0] if plain else None


class _Kept:
    """A record that is pickled without what it keeps of itself: hashes of texts are a process's."""

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(cast(Any, self))}


@dataclass(frozen=True)
class Access(_Kept):
    """A tensor read or written at affine indices, one per rank of the tensor."""

    tensor: str
    indices: tuple[Index, ...] = ()

    @cached_property
    def _hash(self) -> int:
        return hash((self.tensor, self.indices))

    def __hash__(self) -> int:
        return self._hash  # kept: recognition looks expressions up thousands of times a second

    @cached_property
    def ranks(self) -> tuple[str, ...]:
        """Every rank that an index mentions, in order, each once."""
        return tuple(dict.fromkeys(rank for i in self.indices for rank, _ in i.terms))


@dataclass(frozen=True)
class Constant:
    """A literal number in an expression."""

    value: float


@dataclass(frozen=True)
class Extent:
    """The extent of a rank as a number in an expression: `SS[r] / C` is a mean over c."""

    rank: str


@dataclass(frozen=True)
class Apply(_Kept):
    """An operator of `operators.OPERATORS` over argument expressions, elementwise."""

    operator: str
    arguments: tuple["Expression", ...]

    @cached_property
    def _hash(self) -> int:
        return hash((self.operator, self.arguments))

    def __hash__(self) -> int:
        return self._hash


Expression: TypeAlias = Access | Constant | Extent | Apply


def accesses(expression: Expression) -> Iterator[Access]:
    """Every access of an expression, left to right."""
    if isinstance(expression, Access):
        yield expression
    elif isinstance(expression, Apply):
        for argument in expression.arguments:
            yield from accesses(argument)


def gathered(expression: Expression) -> Iterator[str]:
    """Ranks that a `gather` or `ranked` looks up by value, so that no loop runs over them."""
    if isinstance(expression, Apply):
        if expression.operator in LOOKED_UP and isinstance(expression.arguments[0], Access):
            yield from (rank for rank, _ in expression.arguments[0].indices[0].terms)
        for argument in expression.arguments:
            yield from gathered(argument)


@dataclass(frozen=True)
class Band:
    """Points kept by `low <= sum(coefficient * rank) <= high`; None is no limit.

    A rank may be the parent of partitioned ranks: over (m1, m0) a band on m means m = m1*M0 + m0;
    over m1 alone it keeps the tiles that hold at least one kept point.
    In its canonical form the terms are sorted by rank and the first coefficient is positive.
    Causal attention over keys m and queries p is `Band((("m", 1), ("p", -1)), high=keys-queries)`.
    """

    terms: tuple[tuple[str, int], ...]
    low: Amount | None = None
    high: Amount | None = None


SKEWED = ("zipf", "hot", "power")
"""Kinds of distribution that an exponent or a share says how uneven they are."""


@dataclass(frozen=True)
class Distribution:
    """How a data-dependent rank's extent varies over the rank that it depends on.

    `kind` is "balanced" (as even as integers allow), "uniform" (each of `draws` draws takes `picks`
    distinct members of rank `over` at random), or a named skew with its `exponent`: "zipf" (load of
    the i-th most loaded member proportional to i**-exponent), "power" (loads drawn from a
    density x**-exponent), "hot" (that share of the draws takes
    one member, the others any). Where `ways` devices divide the members, these are those of one,
    and `picks` is its share of what a draw takes; of "power" these are the fullest's, and `ways` is
    how many times its loads all are.
    """

    kind: str
    over: str
    draws: Amount
    picks: Amount = 1
    exponent: Amount = 0.0
    ways: Amount = 1


@dataclass(frozen=True)
class Rank:
    """A named index with its extent.

    `parent` and `part` say that this rank is one part of a partitioned rank (m -> m1, m0: both have
    parent "m"; part 1 is outer, 0 inner). `distribution` makes the extent data-dependent: `size` is
    then its mean over the members of the rank that it depends on.
    """

    name: str
    size: Amount
    parent: str | None = None
    part: int = 0
    iterative: bool = False
    distribution: Distribution | None = None


@dataclass(frozen=True)
class Tensor:
    """A tensor's ranks (by the name of the rank that spans each axis) and its stored format.

    `role` is what its bytes are when a memory is filled: "activation", "weight" or "cache";
    `density` which of its elements are no zero, where that is said. `pads` are (rank, places
    before, places behind): zeros around what is stored, which no memory holds or has to move.
    """

    name: str
    ranks: tuple[str, ...]
    dtype: str = "bf16"
    role: str = "activation"
    density: Density | None = None
    pads: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True)
class Einsum:
    """One extended Einsum: output access, expression, and how absent ranks are reduced.

    `reductions` holds (rank, operator) pairs, outermost first, for exactly the ranks that the
    expression has and the output lacks. `density` is the fraction of points kept beyond the bands
    (block sparsity), `probability` the chance that the Einsum runs at all.
    """

    output: Access
    expression: Expression
    reductions: tuple[tuple[str, str], ...] = ()
    bands: tuple[Band, ...] = ()
    density: Amount = 1.0
    probability: Amount = 1.0

    @property
    def name(self) -> str:
        """An Einsum is called after the tensor that it makes."""
        return self.output.tensor

    @cached_property
    def reads(self) -> tuple[Access, ...]:
        """Every access of the expression, left to right."""
        return tuple(accesses(self.expression))

    @cached_property
    def ranks(self) -> tuple[str, ...]:
        """The ranks of its loops: those of the output, then those that only the inputs have."""
        skipped = set(gathered(self.expression))
        mentioned = (rank for access in (self.output, *self.reads) for rank in access.ranks)
        return tuple(rank for rank in dict.fromkeys(mentioned) if rank not in skipped)


@dataclass(frozen=True)
class Initial:
    """The value of a recurrent tensor before the first step: `RM[h, 0, p] = -inf`."""

    output: Access
    value: float


class Form:
    """What cascades that differ in their numbers alone have in common.

    It holds what follows from it, whatever the numbers are (`hwmodel.einsum.known`).
    """

    def __init__(self) -> None:
        self.known: dict[Any, Any] = {}


@lru_cache(maxsize=4096)
def _form(*said: Any) -> Form:
    """One form for all that say the same."""
    return Form()


def _is_one(share: Amount) -> bool:
    return isinstance(share, (int, float)) and share == 1


@dataclass(frozen=True, repr=False)
class Cascade(Shown):
    """Einsums in order, over declared ranks and tensors.

    `origin` remembers which workload function made it from which arguments, so that
    `attention(...).but(keys=8192)` is the same function called again.
    """

    name: str
    ranks: Mapping[str, Rank]
    tensors: Mapping[str, Tensor]
    einsums: tuple[Einsum, ...]
    initials: tuple[Initial, ...] = ()
    outputs: tuple[str, ...] = ()
    origin: "Origin | None" = field(default=None, compare=False)
    warnings: ClassVar[tuple[str, ...]] = ()
    served: ClassVar[None] = None
    layers: ClassVar[None] = None
    devices: ClassVar[int] = 1
    runs: ClassVar[int] = 1
    runs: ClassVar[int] = 1
    """What a network of stages may carry, a lone cascade does not (`hwmodel.einsum.network`)."""

    @property
    def stages(self) -> "tuple[Stage, ...]":
        """A cascade is one stage of itself."""
        return (Stage(self),)

    def sizes(self) -> dict[str, Amount]:
        """Extent of every rank."""
        return {name: rank.size for name, rank in self.ranks.items()}

    def einsum(self, name: str) -> Einsum:
        """The Einsum that makes tensor `name`."""
        return next(e for e in self.einsums if e.name == name)

    @cached_property
    def known(self) -> dict[Any, Any]:
        """What was worked out of this cascade already (`hwmodel.einsum.known`)."""
        return {}

    @cached_property
    def form(self) -> Form:
        """What it has in common with all cascades that differ in their numbers alone."""
        return _form(
            tuple(
                (r.name, r.parent, r.part, r.iterative, r.distribution and r.distribution.over)
                for r in self.ranks.values()
            ),
            tuple(self.tensors.values()),
            tuple(
                (
                    *(e.output, e.expression, e.reductions),
                    tuple((b.terms, b.low is None, b.high is None) for b in e.bands),
                    *(_is_one(e.density), _is_one(e.probability)),
                )
                for e in self.einsums
            ),
            self.initials,
            self.outputs,
        )

    def told(self, form: Form) -> "Cascade":
        """The same cascade, which knows its form without having worked it out."""
        vars(self)["form"] = form
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """Tensors that Einsums read and none makes, in the order of declaration."""
        kept = self.form.known
        if "inputs" not in kept:
            made = {e.name for e in self.einsums}
            read = {access.tensor for e in self.einsums for access in e.reads}
            kept["inputs"] = tuple(n for n in self.tensors if n in read and n not in made)
        return kept["inputs"]

    def with_sizes(self, **sizes: Amount) -> "Cascade":
        """The same cascade with other extents, without asking its origin.

        Bands and partitions were worked out from the old extents, so with them it refuses: parse
        the text again with the new sizes.
        """
        for name in sizes:
            if name not in self.ranks:
                raise UnknownNameError(f"rank of cascade {self.name!r}", name, self.ranks)
        parts = {r for rank in self.ranks.values() if rank.parent for r in (rank.name, rank.parent)}
        if parts & set(sizes) or any(einsum.bands for einsum in self.einsums):
            raise InputError(
                f"cascade {self.name!r}: expected ranks free of bands and partitions, whose numbers"
                f" follow from the old sizes; found {', '.join(sizes)}; parse the text again with"
                " the new sizes"
            )
        ranks = {n: replace(r, size=sizes.get(n, r.size)) for n, r in self.ranks.items()}
        return replace(self, ranks=MappingProxyType(ranks), origin=None)

    def sparse(self, **densities: Any) -> "Cascade":
        """The same cascade whose tensors have zeros: shares, words or masks (`density`).

        Raises `UnknownNameError` for a tensor that it lacks, `InputError` for a density.
        """
        tensors = dict(self.tensors)
        for name, given in densities.items():
            if name not in tensors:
                raise UnknownNameError(f"tensor of cascade {self.name!r}", name, tensors)
            found = density(given, ranks=tensors[name].ranks, where=f"{self.name}: {name}")
            tensors[name] = replace(tensors[name], density=found)
        return replace(self, tensors=MappingProxyType(tensors), origin=None)

    def but(self, **changes: Any) -> "Cascade":
        """The same workload with other arguments: its function, called again.

        Raises `UnknownNameError` for an argument that the function lacks.
        """
        return again(self, changes)


@dataclass(frozen=True)
class Collective:
    """A collective operation over `ranks` devices, with `bytes` counted as nccl-tests does.

    `op` is "all_reduce" (bytes: the buffer of a rank), "all_gather" (the total output of a rank),
    "reduce_scatter" (the total input of a rank), "all_to_all" (the send buffer of a rank),
    "broadcast" or "p2p". The devices are those that differ along the axis `over` of the division
    (`hwmodel.einsum.division`); all such groups exchange at once.
    """

    op: str
    bytes: Amount
    ranks: Amount
    over: str = "tp"
    beside: bool = False
    """Whether it goes on while the stage's cascade runs, and not after it."""
    fan: Fan | None = None
    """Of an all_to_all of rows to experts, `bytes` one for each choice: where choices lead. A row
    is then sent once to each device, and to each box, that has any of its experts."""
    algorithm: str = ""
    """The one that runs, where the library does not choose (`hwmodel.network.algorithms`)."""
    sent: str = ""
    """Whose sends these are, where the exchange is not the usual library's: a word of `dispatch`
    of a division."""


@dataclass(frozen=True)
class Stage:
    """One cascade, run `times` in sequence (once per layer, say), each time then its collective.

    What runs in some steps alone, or with a probability, has the times expected of a step, a float.
    Of a network `role` says what it does, the block first ("attention.scores", "mlp.gate-up",
    "norm"), whatever its name; `layers` are the numbers of the layers that run it, each as often
    (None: outside of the layers). `instead` is the same work for machines whose units do
    not multiply its formats: a product of quantised activations with them as they are stored.

    A cascade without Einsums computes nothing: its outputs are what a collective alone reads and
    writes of a device's memory.
    """

    cascade: Cascade
    times: Amount = 1
    collective: Collective | None = None
    role: str = field(default="", compare=False)
    layers: tuple[int | None, ...] = field(default=(), compare=False)
    instead: Cascade | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """A stage is called after its cascade."""
        return self.cascade.name
