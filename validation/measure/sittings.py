"""The stages of a sitting: those of libraries, as each says, between those of the board.

Shares are of a sitting's time, as far as its stages are asked for; what one leaves over is shared
among those after it.
"""

from collections.abc import Mapping

from hwmodel.machines.gpu.libraries.library import Sampled
from hwmodel.machines.gpu.libraries.shipped import SHIPPED

FIRST = {"anchors": Sampled(0.04)}
LAST = {
    "anchors-again": Sampled(0.04),
    "probes": Sampled(0.05),
    "energy": Sampled(0.14, 42),
    "counters": Sampled(0.12, 66),
    "large-counters": Sampled(0.12, 28),
    "passes": Sampled(0.12, 12_000),
    "llm": Sampled(0.12),
    "launches": Sampled(0.06),
    "traced": Sampled(0.06),
    "triton-counters": Sampled(0.12),
}
"""Stages of the board and of what several libraries do together."""

OF_LIBRARIES: Mapping[str, Sampled] = {
    stage: sampled
    for library in SHIPPED.values()
    if library.measured is not None
    for stage, sampled in library.measured.stages.items()
}
"""Stages of single libraries, in the order in which they are fitted."""

STAGES: Mapping[str, Sampled] = {**FIRST, **OF_LIBRARIES, **LAST}
"""All, in order."""


def planned(part: str) -> tuple[str, ...]:
    """Stages of libraries that a part of `hwmodel calibrate` measures."""
    return tuple(stage for stage, sampled in OF_LIBRARIES.items() if part in sampled.plan)
