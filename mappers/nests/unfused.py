"""Unfused: every Einsum of a cascade by itself, one after the other, each mapped at its best.

Intermediates go out to the outermost memory and come back. The nests share nothing, so the sum of
the best is the best of the sums: an optimum of the mapspace in which nothing is fused, and what
fusion is measured against. Bytes and operations of all Einsums add up; under `overlap` the whole is
as fast as its busiest resource.
"""

from collections.abc import Mapping, Sequence

from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.boxes import alone
from hwmodel.machines.spatial.rules import OVERLAP, Rules
from hwmodel.mappers.mapper import Proposal
from hwmodel.mappers.nests.costs import check_objective
from hwmodel.mappers.nests.tiles import map_tiles
from hwmodel.quantity.errors import CoverageError
from hwmodel.spine.mapping import Mapping as LoopNest
from hwmodel.spine.mapping import Split


def map_unfused(
    cascade: Cascade,
    hardware: Hardware,
    *,
    objective: str,
    capacities: Mapping[str, float],
    mapspace: str = "uniform",
    rules: Rules = OVERLAP,
    double: bool = False,
    shares: Mapping[str, Sequence[str]] | None = None,
) -> Proposal:
    """The best nest of each Einsum, in order; arguments as those of `map_tiles`.

    With one buffer all objectives grow with the bytes moved, so the nests that move least are best
    for each of them. Otherwise, of objectives that are no sums over Einsums (latency, edp), the
    answer is the best nest of each, and the certificate claims no optimum of the whole.
    """
    check_objective(objective)
    running = [r.name for r in cascade.ranks.values() if r.iterative and r.size != 1]
    if running and len(cascade.einsums) > 1:
        raise CoverageError(
            f"{cascade.name} on {hardware.name}: expected no tensor that is recurrent along"
            f" {', '.join(running)} where nothing is fused: its steps are read where they are made;"
            " map it fused, or take a form without running sums, such as attention with passes=3"
        )
    by_bytes = len(hardware.memories) == 2 and not (rules.exposed and double)
    parts = [
        map_tiles(
            alone(einsum, cascade),
            hardware,
            objective="traffic" if by_bytes else objective,
            capacities=capacities,
            mapspace=mapspace,
            rules=rules,
            double=double,
            shares=_shares(shares or {}, einsum),
        )
        for einsum in cascade.einsums
    ]
    nests = [part.choice for part in parts]
    nest = Split(tuple(nest.nest for nest in nests if isinstance(nest, LoopNest)))
    return Proposal(
        LoopNest(cascade.name, hardware.name, (nest,)),
        mapspace=f"{mapspace}, unfused",
        candidates=sum(part.candidates for part in parts),
        optimal=by_bytes or objective == "traffic",
        least=0.0,
        rules=rules,
        notes=("nothing is fused: every intermediate goes out and comes back",),
    )


def _shares(shares: Mapping[str, Sequence[str]], einsum: Einsum) -> dict[str, tuple[str, ...]]:
    """Which of the Einsum's own tensors each buffer holds."""
    own = {access.tensor for access in (einsum.output, *einsum.reads)}
    return {level: tuple(t for t in names if t in own) for level, names in shares.items()}
