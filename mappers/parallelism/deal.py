"""Layers of a model to the stages of its pipeline, by the seconds that each takes in a step.

An execution says how many stages there are; which layers each has is free where a rank has one run
of them (1F1B, GPipe), and each layer takes as long on any stage. As even numbers of layers as go
leave the head and its loss on top of the last stage: dealt by seconds (`hwmodel.mappers.stages`)
that has fewer layers.
"""

from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.hardware import Hardware
from hwmodel.mappers.stages import balanced
from hwmodel.spine.execution import Execution
from hwmodel.systems.training.alone import Known
from hwmodel.systems.training.fabric import Fabric
from hwmodel.systems.training.made import cut
from hwmodel.systems.training.stages import Stage

DEALT = ("gpipe", "1f1b")
"""Schedules whose ranks have one run of layers each."""
SLACK = 1e-9
"""Rounding of sums, relative."""


def dealt(
    work: Training, how: Execution, on: Hardware, fabric: Fabric, known: Known
) -> tuple[Execution, ...]:
    """The execution, behind one whose slowest stage takes less, if dealing makes one."""
    alike = how.recompute_layers is None and how.vocabulary == "ends"
    if how.pp == 1 or how.layers is not None or how.pipeline not in DEALT or not alike:
        return (how,)
    parts = cut(work, how, on, fabric, None, None, known)
    slowest = max(map(_seconds, parts.stages))
    first, last = map(_seconds, parts.made.ends)
    found = balanced([_seconds(s) for s in parts.made.layers], how.pp, first=first, last=last)
    if found.slowest >= slowest * (1 - SLACK):
        return (how,)
    return how.but(layers=list(found.layers)), how


def _seconds(stage: Stage) -> float:
    return stage.forward_s + stage.inputs_s + stage.weights_s
