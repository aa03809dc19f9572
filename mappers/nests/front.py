"""Front: the least traffic for every size of the buffer, as a Pareto front of whole mappings.

Each point is a mapping that no other of the mapspace beats in both traffic and bytes held. From the
largest buffer down, the best mapping is searched; the next buffer is one byte too small for it, and
of mappings that move the same the one that holds least stays. So every point carries a certificate.
"""

from collections.abc import Sequence

from hwmodel.einsum.cascade import Cascade
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.rules import OVERLAP, Rules
from hwmodel.mappers.nests.certify import certified
from hwmodel.mappers.nests.mapped import NestMapped, whole
from hwmodel.mappers.nests.tiles import map_tiles
from hwmodel.quantity.errors import CapacityError, CoverageError
from hwmodel.quantity.units import show
from hwmodel.text.grid import grid


def front(
    cascade: Cascade,
    hardware: Hardware,
    *,
    mapspace: str = "uniform",
    rules: Rules = OVERLAP,
    double: bool = False,
) -> tuple[NestMapped, ...]:
    """Mappings of one Einsum by falling bytes held and growing traffic; raises as `map_tiles`."""
    _, *inner = hardware.memories
    if len(inner) != 1:
        raise CoverageError(
            f"{hardware.name}: a front has one buffer on its axis, found {', '.join(inner)}"
        )
    buffer = inner[0]
    found: list[NestMapped] = []
    while True:
        try:
            best = certified(
                map_tiles, cascade, hardware, mapspace=mapspace, rules=rules, double=double
            )
        except CapacityError:
            if found:
                return tuple(found)
            raise
        if found and found[-1].traffic_bytes == best.traffic_bytes:
            found.pop()
        found.append(best)
        held = best.costs.counts.footprint_bytes[buffer]
        smaller = hardware.memories[buffer].but(capacity_bytes=held - 1) if held > 1 else None
        if smaller is None:
            return tuple(found)
        memories = {**hardware.memories, buffer: smaller}
        hardware = hardware.model_copy(update={"memories": memories})


def front_text(points: Sequence[NestMapped]) -> str:
    """One row for each mapping of a front."""
    rows = [
        [
            ", ".join(f"{n} {whole(v)}" for n, v in p.costs.counts.footprint_bytes.items()),
            whole(p.traffic_bytes),
            show(p.costs.time_s, "s"),
            show(p.costs.energy_j, "j"),
            " ".join(f"{rank}={tile}" for rank, tile in p.tiles.items()),
        ]
        for p in points
    ]
    first = points[0]
    head = f"{first.mapping.cascade} on {first.mapping.machine}: {len(points)} mappings, none of"
    table = grid(("bytes held", "traffic", "time", "energy", "tiles"), rows, left=(0, 4))
    return f"{head} which another beats\n\n{table}"
