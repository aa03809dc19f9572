"""How the tiles of a kernel fill a GPU: tiles, slots that run them at the same time, rounds.

Equal tiles take whole rounds, so that in the last one slots may stand idle (wave quantisation).
"""

from dataclasses import dataclass

from hwmodel.einsum.network import Workload
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.gpu import support
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.engines.shipped import engine as engine_of
from hwmodel.machines.gpu.engines.step import kernels, step_of
from hwmodel.machines.gpu.libraries.library import Kernel
from hwmodel.machines.gpu.lower import Call, lower
from hwmodel.spine.activity import Activity, Chance, Repeat, Waves, Work, rounds
from hwmodel.spine.estimate import Estimate


@dataclass(frozen=True)
class Filling:
    """Tiles of one kernel on slots; `rounds` are turns of the busiest slot, in mean tiles."""

    kernel: str
    tiles: float
    slots: float
    rounds: float

    @property
    def idle(self) -> float:
        """Share of the slots' time in which they have no tile.

        >>> Filling("a", tiles=10, slots=8, rounds=2).idle
        0.375
        """
        return 1 - self.tiles / (self.slots * self.rounds)


def fillings(
    workload: Workload,
    hardware: Hardware,
    kernel: Kernel,
    estimate: Estimate,
    engine: str | Engine | None = None,
) -> tuple[Filling, ...]:
    """The longest run of waves of each kernel of an estimate at one point, those without left out.

    `workload` is that of one device, and `estimate` its prediction with the same `kernel`, or
    `engine`.
    """
    runs = engine_of(engine)
    calls: list[Call] = []
    for each in (*(one for one, _ in getattr(workload, "ahead", ())), workload):
        if runs is None:
            mine = [call for stage in each.stages for call in lower(stage.cascade, kernel)]
        else:
            step = step_of(each, hardware, runs)
            found_for = kernels(step, kernel)
            stages = step.workload.stages
            mine = [call for s in stages for call in lower(s.cascade, found_for(s.name))]
        calls += support.placed(mine, hardware)
    parts = [part for part in estimate.parts if part.work is not None]
    found: list[Filling] = []
    for call, part in zip(calls, parts, strict=True):
        activity = call.activity(call.problem, part.tile, limits(hardware))
        waves = [_filling(part.name, node) for node in _waves(activity)]
        found += sorted(waves, key=lambda each: -each.tiles)[:1]
    return tuple(found)


def _filling(kernel: str, node: Waves) -> Filling:
    turns = float(rounds(node.tiles, node.slots, node.spread))
    return Filling(kernel, float(node.tiles), float(node.slots), turns)


def _waves(node: Activity) -> list[Waves]:
    if isinstance(node, Waves):
        return [node]
    if isinstance(node, Work):
        return []
    children = (node.child,) if isinstance(node, (Repeat, Chance)) else node.children
    return [found for child in children for found in _waves(child)]
