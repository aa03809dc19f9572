"""What tokens do in the layers of a mixture of experts: transitions, loads, affinity, skew.

A trace says which experts each token chose in each layer, the first choice first. Counted, it gives

    transitions[a, b][i, j]   choices of expert i in layer a that went on to expert j in layer b
    loads[l, i]               choices of expert i in layer l
    coactivation[l, i, j]     tokens that chose both i and j in layer l

`top1` counts first choices alone; `topk` pairs equal ranks, the r-th choice of one layer with the
r-th of the next (as the counting script of OLMoE does). Affinity is P(j | i), as in ExFlow (Yao et
al., IPDPS 2024, arXiv 2401.08383). All numbers are counts of choices; no units.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.reading import EXPERTS, ROUTING_ENTRIES

Counts: TypeAlias = NDArray[np.floating[Any]]
"""Counts in float64, exact below 2^53."""
Trace: TypeAlias = NDArray[np.integer[Any]]
"""Expert numbers, `(tokens, layers, choices)`."""

KINDS = ("top1", "topk")


@dataclass(frozen=True, eq=False)
class Routing:
    """Routing statistics of one model on some text.

    Attributes:
        layers: numbers of the mixture layers, in order.
        transitions: counts `(experts, experts)` by pair of layer numbers; none where there is one
            layer, or loads alone are known.
        loads: counts `(layers, experts)`.
        coactivation: counts `(layers, experts, experts)`; None where only aggregates are known.
    """

    layers: tuple[int, ...]
    transitions: Mapping[tuple[int, int], Counts]
    loads: Counts
    coactivation: Counts | None = None

    def __post_init__(self) -> None:
        """Refuse counts that no trace can have."""
        if not self.layers or self.loads.ndim != 2 or len(self.loads) != len(self.layers):
            raise InputError(
                f"routing: expected loads (layers, experts) of one layer or more, found layers"
                f" {list(self.layers)} and loads of shape {self.loads.shape}"
            )
        for (a, b), counts in self.transitions.items():
            where = f"routing: transitions from layer {a} to {b}"
            if a not in self.layers or b not in self.layers or a == b:
                raise InputError(f"{where}: expected two different layers of {list(self.layers)}")
            if counts.shape != (self.experts, self.experts):
                raise InputError(
                    f"{where}: expected {self.experts} x {self.experts} counts, found"
                    f" {' x '.join(map(str, counts.shape))}"
                )
            _check_counts(counts, where)
        _check_counts(self.loads, "routing: loads")
        if self.total <= 0 and (self.transitions or not self.loads.sum() > 0):
            what = "transition" if self.transitions else "choice of an expert"
            raise InputError(f"routing: expected at least one {what}, found none")

    @property
    def experts(self) -> int:
        """Experts in each layer."""
        return self.loads.shape[1]

    @property
    def total(self) -> float:
        """All transitions, of all pairs of layers."""
        return float(sum(counts.sum() for counts in self.transitions.values()))

    def affinity(self, layer_from: int, layer_to: int) -> Counts:
        """P(next expert | expert), `(experts, experts)`; a row of zeros where none was chosen."""
        if (layer_from, layer_to) not in self.transitions:
            known = [f"{a}->{b}" for a, b in self.transitions]
            raise UnknownNameError("pair of layers", f"{layer_from}->{layer_to}", known)
        counts = self.transitions[layer_from, layer_to]
        rows = counts.sum(axis=1, keepdims=True)
        return np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)

    def concentration(self, successors: int) -> dict[tuple[int, int], float]:
        """Share of transitions that go to the `successors` likeliest next experts of each expert.

        `successors / experts` where there is no affinity at all.
        """
        if not 1 <= successors <= self.experts:
            raise InputError(
                f"successors: expected 1 to {self.experts} experts, found {successors}"
            )
        return {
            pair: float(np.sort(counts, axis=1)[:, -successors:].sum() / max(counts.sum(), 1.0))
            for pair, counts in self.transitions.items()
        }

    def skew(self) -> Counts:
        """Load of the busiest expert over the mean one, `(layers,)`; 1 is perfect balance."""
        mean = self.loads.mean(axis=1)
        return np.divide(self.loads.max(axis=1), mean, out=np.ones_like(mean), where=mean > 0)

    def pair_share(self) -> Counts:
        """P(j chosen | i chosen) within a layer, `(layers, experts, experts)`, zero diagonal.

        Raises `InputError` where the routing came from aggregated counts.
        """
        if self.coactivation is None:
            raise InputError(
                "co-activation: aggregated counts do not hold it; read a trace of tokens instead"
            )
        loads = np.diagonal(self.coactivation, axis1=1, axis2=2)[:, :, None]
        share = np.divide(
            self.coactivation, loads, out=np.zeros_like(self.coactivation), where=loads > 0
        )
        share[:, np.arange(self.experts), np.arange(self.experts)] = 0.0
        return share


def from_counts(transitions: Mapping[tuple[int, int], Counts]) -> Routing:
    """Routing of aggregated counts; loads are what leaves a layer, or enters the last one."""
    layers = tuple(sorted({layer for pair in transitions for layer in pair}))
    experts = max((counts.shape[0] for counts in transitions.values()), default=0)
    loads = np.zeros((len(layers), experts))
    for row, layer in enumerate(layers):
        leaving = [counts.sum(axis=1) for (a, _), counts in transitions.items() if a == layer]
        entering = [counts.sum(axis=0) for (_, b), counts in transitions.items() if b == layer]
        loads[row] = np.max(leaving or entering, axis=0)
    return Routing(layers, dict(transitions), loads)


def from_loads(loads: Any, layers: tuple[int, ...] | None = None) -> Routing:
    """Routing of loads alone, `(layers, experts)` or `(experts,)` of one layer, as EPLB takes them.

    They say how busy experts are, and nothing of where tokens go next. Raises `InputError`.
    """
    try:
        table = np.atleast_2d(np.asarray(loads).astype(np.float64, casting="same_kind"))
    except (TypeError, ValueError):
        raise InputError("loads: expected numbers, as many in each layer, found others") from None
    if table.ndim != 2 or not table.size:
        raise InputError(
            f"loads: expected (layers, experts) or (experts,), found shape {np.shape(loads)}"
        )
    if table.shape[1] > EXPERTS:
        raise InputError(f"loads: expected 1 to {EXPERTS} experts, found {table.shape[1]}")
    return Routing(tuple(range(len(table))) if layers is None else layers, {}, table)


def from_traces(
    chunks: Iterable[Trace],
    *,
    kind: str = "top1",
    experts: int | None = None,
    layers: tuple[int, ...] | None = None,
) -> Routing:
    """Count traces `(tokens, layers, choices)` chunk by chunk; memory does not grow with tokens.

    `experts` defaults to one more than the highest number met, `layers` to 0, 1, 2, ...
    Raises `InputError` where an expert is out of range or chunks differ in shape.
    """
    if experts is not None and not 0 < experts <= EXPERTS:
        raise InputError(f"trace: expected 1 to {EXPERTS} experts, found {experts}")
    if kind not in KINDS:
        raise UnknownNameError("kind of routing", kind, KINDS)
    pairs: Counts | None = None
    both: Counts | None = None
    shape: tuple[int, ...] = ()
    tokens = 0
    for chunk in chunks:
        if chunk.ndim != 3 or (shape and chunk.shape[1:] != shape) or chunk.shape[1] < 1:
            raise InputError(
                f"trace, token {tokens}: expected (tokens, layers, choices) with one layer or more"
                f" and the same for all tokens, found shape {chunk.shape}"
            )
        shape = chunk.shape[1:]
        if not chunk.shape[0]:
            continue
        _check_experts(chunk, EXPERTS if experts is None else experts, tokens)
        size = max(experts or 0, int(chunk.max()) + 1, 0 if both is None else both.shape[-1])
        depth = chunk.shape[1]
        if 2 * depth * size**2 > ROUTING_ENTRIES:
            raise InputError(
                f"trace: expected at most {ROUTING_ENTRIES:,} counts in all, found {depth} layers"
                f" of {size} x {size} experts, counted twice"
            )
        pairs = _grown(pairs, (depth - 1, size, size))
        both = _grown(both, (depth, size, size))
        _count(chunk[:, :, :1] if kind == "top1" else chunk, pairs, both)
        tokens += chunk.shape[0]
    if pairs is None or both is None:
        raise InputError("trace: expected at least one token, found none")
    names = tuple(range(len(both))) if layers is None else layers
    table = {(a, b): counts for a, b, counts in zip(names[:-1], names[1:], pairs, strict=True)}
    return Routing(names, table, np.diagonal(both, axis1=1, axis2=2).copy(), both)


def planted(
    *,
    layers: int,
    experts: int,
    group: int,
    share: float,
    tokens: int,
    seed: int,
    skew: float = 0.0,
    aligned: bool = True,
) -> Trace:
    """A trace `(tokens, layers, 1)` whose affinity is known, for tests and studies.

    In each layer the experts fall at random into groups of `group`. A token goes on to an expert of
    its own group's successor with probability `share`, and to any expert otherwise; group k of one
    layer is the successor of group k of the layer before. Where groups are not `aligned`, each
    expert leads to `group` experts of its own instead, drawn at random, so that no placement keeps
    them all. Within a group, and among all, expert i is drawn in proportion to rank^-skew (`skew`
    0: evenly), ranks drawn anew in each layer.
    """
    if not 0 <= share <= 1 or group < 1 or experts % group or layers < 2 or tokens < 1:
        raise InputError(
            "planted routing: expected a share of 0 to 1, a group that divides the experts, two"
            f" layers and a token or more; found share={share}, group={group}, experts={experts},"
            f" layers={layers}, tokens={tokens}"
        )
    random = np.random.default_rng(seed)
    trace = np.empty((tokens, layers, 1), dtype=np.int32)
    home = np.zeros(tokens, dtype=np.int64)
    for layer in range(layers):
        if aligned:
            members = random.permutation(experts).reshape(-1, group)
        else:
            members = np.argsort(random.random((experts, experts)), axis=1)[:, :group]
        weight = random.permutation(np.arange(1, experts + 1)).astype(float) ** -skew
        group_of = np.arange(experts)
        if aligned:
            group_of[members] = np.arange(len(members))[:, None]
        anywhere = random.choice(experts, size=tokens, p=weight / weight.sum())
        inside = np.cumsum(weight[members] / weight[members].sum(axis=1, keepdims=True), axis=1)
        rank = (random.random(tokens)[:, None] > inside[home]).sum(axis=1).clip(max=group - 1)
        stays = (random.random(tokens) < share) & (layer > 0)
        expert = np.where(stays, members[home, rank], anywhere)
        trace[:, layer, 0], home = expert, group_of[expert]
    return trace


def _check_counts(counts: Counts, where: str) -> None:
    """Counts are finite and not negative; the first that is not is named by its place."""
    wrong = ~(np.isfinite(counts) & (counts >= 0))
    if wrong.any():
        place = tuple(int(index) for index in np.argwhere(wrong)[0])
        raise InputError(
            f"{where}, entry {place}: expected a count of 0 or more, found {counts[place]}"
        )


def _check_experts(chunk: Trace, experts: int, tokens: int) -> None:
    wrong = (chunk < 0) | (chunk >= experts)
    if wrong.any():
        token, layer, rank = (int(index) for index in np.argwhere(wrong)[0])
        raise InputError(
            f"trace, token {tokens + token}, layer {layer}, choice {rank}: expected an expert of"
            f" 0 to {experts - 1}, found {chunk[token, layer, rank]}"
        )


def _grown(old: Counts | None, shape: tuple[int, int, int]) -> Counts:
    """The same counts in an array that has room for more experts."""
    if old is not None and old.shape == shape:
        return old
    new = np.zeros(shape)
    if old is not None:
        new[:, : old.shape[1], : old.shape[2]] = old
    return new


def _count(chunk: Trace, pairs: Counts, both: Counts) -> None:
    """Add a chunk to the counts of transitions and of co-activation, in place."""
    size = both.shape[-1]
    wide = chunk.astype(np.int64)
    for layer in range(wide.shape[1]):
        here = wide[:, layer]
        together = (here[:, :, None] * size + here[:, None, :]).ravel()
        both[layer] += np.bincount(together, minlength=size * size).reshape(size, size)
        if layer + 1 < wide.shape[1]:
            moves = (here * size + wide[:, layer + 1]).ravel()
            pairs[layer] += np.bincount(moves, minlength=size * size).reshape(size, size)
