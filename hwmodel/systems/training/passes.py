"""Steps whose passes are not one forward and one backward: how often, and what is kept.

sharpness-aware (SAM)   the gradient at weights that the first gradient moved: two forward and
                        two backward passes; the perturbation is kept, in 16 bits
zeroth order (MeZO)     forward passes alone, at weights moved along random numbers that are
                        made again from their seed: nothing is kept for gradients, there are
                        none, weights in 16 bits are changed in place, and replicas exchange a
                        number each
"""

from dataclasses import dataclass, replace

from hwmodel.einsum.workloads.training_step import Training
from hwmodel.spine.execution import Execution
from hwmodel.systems.pipelines.schedule import Passes
from hwmodel.systems.pipelines.timing import Timed, timed
from hwmodel.systems.training.kernels import Seconds
from hwmodel.systems.training.layers import Piece
from hwmodel.systems.training.memory import WEIGHT_BYTES
from hwmodel.systems.training.stages import Stage

STREAMS = 2
"""Of hidden states, where layers are reversible."""


def operations(work: Training) -> float:
    """Operations of a step over those of its forward pass: gradients of inputs, and of weights."""
    return work.forwards + work.backwards * (1 + (0.0 if work.adapters else work.sampled))


def rounds(work: Training) -> int:
    """How often a step's pipeline runs, forward and backward, or forward where that is all."""
    return work.backwards or work.forwards


def forward_alone(stage: Stage, each: Piece, took: Seconds) -> Stage:
    """A layer without a backward pass: of what it computes the widest kernel's stands at a time."""
    backward_s = stage.inputs_s + stage.weights_s
    both_s = stage.forward_s + backward_s
    return replace(
        stage,
        inputs_s=0.0,
        weights_s=0.0,
        exposed_s=stage.exposed_s * (stage.forward_s / both_s if both_s else 0.0),
        kept_bytes=0.0,
        again_bytes=each.working_bytes,
        joules=took.forward_j,
        again_s=0.0,
        routed_s=stage.routed_s / 2,
        sent_bytes=stage.sent_bytes / 2,
        busy_s=took.forward_busy_s,
    )


@dataclass(frozen=True)
class Beside:
    """Forward passes that no backward pass follows: seconds, and their share of a round's work."""

    seconds: float
    share: float


def beside(work: Training, run: Timed, each: Passes) -> Beside:
    """Those of a step beside its rounds."""
    count = work.forwards - work.backwards if work.backwards else 0
    if not count:
        return Beside(0.0, 0.0)
    none = [0.0] * len(each.forward_s)
    alone = timed(run.schedule, replace(each, backward_s=none, weight_s=none))
    return Beside(count * alone.makespan_s, count * float(alone.busy_s.mean() / run.busy_s.mean()))


def streams(stages: list[Stage], work: Training, how: Execution) -> list[Stage]:
    """Stages whose layers are found again from what they made keep what the last of them made."""
    if how.recompute != "reversible":
        return stages
    tokens = how.micro_batch * work.sequence // how.cp / (how.tp if how.sp else 1)
    made = STREAMS * tokens * work.model.network.hidden * WEIGHT_BYTES
    return [replace(stage, kept_bytes=stage.kept_bytes + made) for stage in stages]
